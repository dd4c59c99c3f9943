package config

import "slices"

// stepKind is one kind of processor: how it is written, and what must hold for it.
type stepKind struct {
	name    string
	example string // what to write, for one that is empty
	repeats bool   // may stand in a stream more than once
	has     func(p *Processor) bool
	read    func(s *section, name string, p *Processor)
	check   func(p *Processor, r *report, path string)
}

// stepKinds are the processors of this version, in the order in which they are told to people.
func stepKinds() []stepKind {
	return []stepKind{
		{name: stepDecompress, has: func(p *Processor) bool { return p.Decompress != "" },
			read:  func(s *section, name string, p *Processor) { s.text(name, &p.Decompress) },
			check: func(p *Processor, r *report, path string) { r.oneOf(path, p.Decompress, "gzip") }},
		{name: stepCloudWatchLogs, has: func(p *Processor) bool { return p.CloudWatchLogs != nil }, read: (*section).cloudWatchLogs,
			check: func(p *Processor, r *report, path string) {
				r.oneOf(path+".extract", p.CloudWatchLogs.Extract, extractMessage)
			}},
		{name: stepDeaggregate, example: "write json, or {type: delimited, delimiter: TEXT}", has: func(p *Processor) bool { return p.Deaggregate != nil },
			read:  func(s *section, name string, p *Processor) { p.Deaggregate = s.deaggregate(name) },
			check: func(p *Processor, r *report, path string) { p.Deaggregate.check(r, path) }},
		{name: stepPartition, example: "write a jq expression for each key, such as customer: .customer_id", has: func(p *Processor) bool { return len(p.Partition) > 0 },
			read:  func(s *section, name string, p *Processor) { p.Partition = s.queries(name) },
			check: func(p *Processor, r *report, path string) { checkQueries(r, path, p.Partition) }},
		{name: stepAppendDelimiter, example: `write the text, such as "\n"`, has: func(p *Processor) bool { return p.AppendDelimiter != "" },
			read:  func(s *section, name string, p *Processor) { s.delimiter(name, &p.AppendDelimiter) },
			check: func(p *Processor, r *report, path string) { checkDelimiter(r, path, p.AppendDelimiter) }},
		jqStep(), filterStep(), setStep(), renameStep(), dropStep(), sampleStep(), lambdaStep(), dedupeStep(), redactStep(),
	}
}

// stepKindOf is the kind with that name, with false when this version has none.
func stepKindOf(name string) (stepKind, bool) {
	all := stepKinds()
	i := slices.IndexFunc(all, func(k stepKind) bool { return k.name == name })
	if i < 0 {
		return stepKind{}, false
	}
	return all[i], true
}

// steps are the names of the processors.
func steps() (names []string) {
	for _, k := range stepKinds() {
		names = append(names, k.name)
	}
	return names
}

// laterSteps are processors of the documented language that this version cannot run.
func laterSteps() []string {
	documented := []string{"jq", "filter", "redact", "set", "rename", "drop", "parse", "timestamp", "sample", "dedupe", "wasm", "lambda", "rollup"}
	return slices.DeleteFunc(documented, func(name string) bool { _, ready := stepKindOf(name); return ready })
}

// kind is the processor's name in YAML; "" when it is none.
func (p *Processor) kind() string {
	for _, k := range stepKinds() {
		if k.has(p) {
			return k.name
		}
	}
	return ""
}

// Name is the processor's name in YAML; "" when it is none.
func (p *Processor) Name() string { return p.kind() }

func (p *Processor) check(r *report, path string) {
	if k, ok := stepKindOf(p.kind()); ok {
		k.check(p, r, path+"."+k.name)
	}
}
