package firehose

import (
	"fmt"
	"net/http"
	"strings"
)

// violations gathers what is wrong with a request's members, in the service's own words.
type violations struct {
	texts []string
}

func (v *violations) add(value, path, must string) {
	v.texts = append(v.texts, fmt.Sprintf("Value %sat '%s' failed to satisfy constraint: Member must %s", value, path, must))
}

func (v *violations) null(path string) { v.add("null ", path, "not be null") }

// err is nil when nothing was added.
func (v *violations) err() *apiError {
	if len(v.texts) == 0 {
		return nil
	}
	word := "errors"
	if len(v.texts) == 1 {
		word = "error"
	}
	return &apiError{
		Status:  http.StatusBadRequest,
		Type:    "ValidationException",
		Message: fmt.Sprintf("%d validation %s detected: %s", len(v.texts), word, strings.Join(v.texts, "; ")),
	}
}

// streamName checks the name of a stream. At most the first part of a long name is repeated.
func (v *violations) streamName(name string, has bool, path string) {
	if !has {
		v.null(path)
		return
	}
	shown := name
	if len(shown) > maxNameBytes {
		shown = strings.ToValidUTF8(shown[:maxNameBytes], "") + "..."
	}
	value := "'" + shown + "' "
	if name == "" {
		v.add(value, path, "have length greater than or equal to 1")
	}
	if len(name) > maxNameBytes {
		v.add(value, path, fmt.Sprintf("have length less than or equal to %d", maxNameBytes))
	}
	if strings.ContainsFunc(name, notInName) || name == "" {
		v.add(value, path, "satisfy regular expression pattern: [a-zA-Z0-9_.-]+")
	}
}

func notInName(r rune) bool {
	alnum := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
	return !alnum && r != '_' && r != '.' && r != '-'
}

// check says what the API forbids in the request that was parsed; nil when all is well.
func (p *putParser) check() *apiError {
	var v violations
	v.streamName(p.name, p.hasName, "deliveryStreamName")
	switch {
	case !p.hasData && p.single:
		v.null("record")
	case !p.hasData:
		v.null("records")
	case p.count == 0:
		v.add("'[]' ", "records", "have length greater than or equal to 1")
	case p.count > maxRecords:
		v.add("", "records", fmt.Sprintf("have length less than or equal to %d", maxRecords))
	}
	for _, f := range p.wrong {
		p.flaw(&v, f)
	}
	if e := v.err(); e != nil {
		return e
	}
	if p.bytes > maxBatchBytes {
		return invalidArgument("Records size exceeds 4 MB limit")
	}
	return nil
}

func (p *putParser) flaw(v *violations, f flaw) {
	path := "record"
	if !p.single {
		path = fmt.Sprintf("records.%d.member", f.index+1)
	}
	switch f.kind {
	case tooLong:
		v.add("", path+".data", fmt.Sprintf("have length less than or equal to %d", maxRecordBytes))
	case noData:
		v.null(path + ".data")
	case nullRecord:
		v.null(path)
	}
}
