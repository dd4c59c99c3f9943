package config

import (
	"encoding/base64"
	"strings"
	"time"
)

// firstOf is the first that is not nil.
func firstOf(a, b map[string]any) map[string]any {
	if a != nil {
		return a
	}
	return b
}

// describeProcessors is the ProcessingConfiguration of processors that run; nil without any.
func describeProcessors(processors []Processor) map[string]any {
	if len(processors) == 0 {
		return nil
	}
	out := []any{}
	for _, p := range processors {
		kind, parameters := p.describe()
		if kind == "" { // Firehose has none like it
			continue
		}
		list := []any{}
		for i := 0; i+1 < len(parameters); i += 2 {
			list = append(list, map[string]any{"ParameterName": parameters[i], "ParameterValue": parameters[i+1]})
		}
		out = append(out, map[string]any{"Type": kind, "Parameters": list})
	}
	return map[string]any{"Enabled": true, "Processors": out}
}

// describe is the processor's type on the API, and its parameters' names and values in turn.
func (p Processor) describe() (kind string, parameters []string) {
	switch {
	case p.Decompress != "":
		return "Decompression", []string{"CompressionFormat", strings.ToUpper(p.Decompress)}
	case p.CloudWatchLogs != nil:
		return "CloudWatchLogProcessing", []string{"DataMessageExtraction", "true"}
	case p.Deaggregate != nil:
		parameters = []string{"SubRecordType", strings.ToUpper(p.Deaggregate.Type)}
		if d := p.Deaggregate.Delimiter; d != "" {
			parameters = append(parameters, "Delimiter", base64.StdEncoding.EncodeToString([]byte(d)))
		}
		return "RecordDeAggregation", parameters
	case p.AppendDelimiter != "":
		return "AppendDelimiterToRecord", []string{"Delimiter", p.AppendDelimiter}
	}
	if len(p.Partition) == 0 {
		return "", nil
	}
	var queries []string
	for _, q := range p.Partition {
		queries = append(queries, q.Name+":("+q.Query+")")
	}
	return "MetadataExtraction", []string{"MetadataExtractionQuery", "{" + strings.Join(queries, ",") + "}", "JsonParsingEngine", "JQ-1.6"}
}

// describePartitioning is the DynamicPartitioningConfiguration; nil when records are not parted.
func describePartitioning(s Stream) map[string]any {
	if !s.Partitioned() {
		return nil
	}
	seconds := int64(time.Duration(s.Retry.For) / time.Second)
	return map[string]any{"Enabled": true, "RetryOptions": map[string]any{"DurationInSeconds": seconds}}
}

// describeConversion is the DataFormatConversionConfiguration of Parquet; nil without.
func describeConversion(p *Parquet) map[string]any {
	if p == nil {
		return nil
	}
	serializer := map[string]any{
		"BlockSizeBytes":              int64(p.RowGroupSize),
		"PageSizeBytes":               int64(p.PageSize),
		"EnableDictionaryCompression": p.Dictionary != "off",
		"MaxPaddingBytes":             0,
		"WriterVersion":               strings.ToUpper(p.Writer),
		"Compression":                 "UNCOMPRESSED", // for zstd too, which the API has no word for
	}
	if p.Compression == CompressionSnappy || p.Compression == CompressionGzip {
		serializer["Compression"] = strings.ToUpper(p.Compression)
	}
	out := map[string]any{
		"Enabled":                   true,
		"InputFormatConfiguration":  map[string]any{"Deserializer": p.JSON.describe()},
		"OutputFormatConfiguration": map[string]any{"Serializer": map[string]any{"ParquetSerDe": serializer}},
	}
	if g := p.Schema.Glue; g != nil {
		schema := map[string]any{"DatabaseName": g.Database, "TableName": g.Table, "VersionId": g.Version}
		for name, v := range map[string]string{"CatalogId": g.Catalog, "Region": g.Region} {
			if v != "" {
				schema[name] = v
			}
		}
		out["SchemaConfiguration"] = schema
	}
	return out
}

// describe is the one deserializer that the API can name: Hive's where formats of timestamps are given, else OpenX's.
func (j JSONReading) describe() map[string]any {
	if len(j.TimestampFormats) > 0 {
		return map[string]any{"HiveJsonSerDe": map[string]any{"TimestampFormats": j.TimestampFormats}}
	}
	open := map[string]any{"CaseInsensitive": !j.CaseSensitive, "ConvertDotsInJsonKeysToUnderscores": j.DotsToUnderscores}
	if len(j.Keys) > 0 {
		open["ColumnToJsonKeyMappings"] = j.Keys
	}
	return map[string]any{"OpenXJsonSerDe": open}
}
