package schema

// kindOf is the kind of a type without parameters; 0 when there is none of that name.
func kindOf(name string) Kind {
	if name == "integer" {
		return Int
	}
	for k := Boolean; k <= Timestamp; k++ {
		if k != Decimal && k.String() == name {
			return k
		}
	}
	return 0
}

// refusal says why there is no type of that name, and what to write.
func refusal(name string) string {
	switch name {
	case "uniontype", "void", "interval", "interval_year_month", "interval_day_time", "variant", "geometry", "geography":
		return "the type " + name + " is not supported: no column of a Parquet file can hold it for every reader; write string, which keeps JSON text"
	case "timestamptz", "timestamplocaltz":
		return "the type " + name + " is not supported; write timestamp, which holds UTC"
	case "row", "object", "record":
		return "unknown type " + quote(name) + "; write struct<name:type,...>, map<string,type>, or string, which keeps JSON text"
	}
	if instead := hiveName(name); instead != "" {
		return "unknown type " + quote(name) + "; write " + instead
	}
	return "unknown type " + quote(name) + "; there are boolean, tinyint, smallint, int, bigint, float, double, decimal(p,s), string, " +
		"varchar(n), char(n), binary, date, timestamp, array<type>, map<key,type> and struct<name:type,...>"
}

// hiveName is Hive's name for a type of which other systems have another.
func hiveName(name string) string {
	switch name {
	case "bool":
		return "boolean"
	case "int8", "byte":
		return "tinyint"
	case "int16", "short":
		return "smallint"
	case "int32":
		return "int"
	case "long", "int64", "uint32":
		return "bigint"
	case "uint64", "hugeint", "number":
		return "decimal(38,0), or bigint where values are below 9223372036854775808"
	case "real", "float4", "float32":
		return "float"
	case "float8", "float64":
		return "double"
	case "text", "str", "json", "uuid", "enum", "time":
		return "string"
	case "bytes", "blob", "varbinary":
		return "binary"
	case "datetime", "timestamp_ntz", "timestamp_ltz":
		return "timestamp"
	case "list":
		return "array<type>"
	}
	return ""
}
