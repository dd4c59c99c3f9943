package transform

// appendDelimiter ends each record with a text, whether or not it ends so already, as Firehose does.
// What an error record keeps has no delimiter.
type appendDelimiter string

func (s appendDelimiter) process(p part, out *output) {
	r := out.room
	from := len(r.buf)
	r.buf = append(append(r.buf, p.data...), s...)
	p.data = r.since(from)
	out.add(p)
}
