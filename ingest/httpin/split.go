package httpin

import (
	"bytes"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"

	"hydrant/internal/bodies/strictjson"
	"hydrant/record"
)

// splitter makes records of a body. It copies them into put, so that the body may go afterwards.
type splitter func(body []byte, put *record.Put) error

// splitterFor chooses by content type; parameters are ignored, but for a charset in which a newline is not one byte.
func splitterFor(contentType string) (splitter, error) {
	if contentType == "" {
		return whole, nil
	}
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return nil, unsupportedType(contentType)
	}
	if cs := strings.ToLower(params["charset"]); strings.HasPrefix(cs, "utf-16") || strings.HasPrefix(cs, "utf-32") {
		return nil, problem(http.StatusUnsupportedMediaType, "unsupported_type", "Send text as UTF-8.")
	}
	switch kind {
	case "application/x-ndjson", "text/plain":
		return lines, nil
	case "application/json":
		return jsonValues, nil
	case "application/octet-stream":
		return whole, nil
	}
	return nil, unsupportedType(kind)
}

func unsupportedType(received string) error {
	return problem(http.StatusUnsupportedMediaType, "unsupported_type",
		fmt.Sprintf("The Content-Type %.64q is not taken; send application/x-ndjson, text/plain, application/json or application/octet-stream, "+
			"with curl as -H 'Content-Type: application/x-ndjson'.", received))
}

// add makes one record, numbered n from 1 in what is told to people.
func add(put *record.Put, data []byte, what string) error {
	if len(data) > maxRecordBytes {
		return problem(http.StatusRequestEntityTooLarge, "record_too_large",
			fmt.Sprintf("%s %d is longer than %d bytes; nothing was accepted.", what, put.Count()+1, maxRecordBytes))
	}
	if put.Count() >= record.MaxPutRecords {
		return problem(http.StatusRequestEntityTooLarge, "too_many_records",
			fmt.Sprintf("A request may hold at most %d records; nothing was accepted.", record.MaxPutRecords))
	}
	put.Add(data)
	return nil
}

// whole makes one record of the body, none when it is empty.
func whole(body []byte, put *record.Put) error {
	if len(body) == 0 {
		return nil
	}
	return add(put, body, "Record")
}

// lines makes a record of each line that is not empty, without its line end.
func lines(body []byte, put *record.Put) error {
	put.Grow(len(body))
	for len(body) > 0 {
		var line []byte
		if n := bytes.IndexByte(body, '\n'); n >= 0 {
			line, body = body[:n], body[n+1:]
		} else {
			line, body = body, nil
		}
		if n := len(line); n > 0 && line[n-1] == '\r' {
			line = line[:n-1]
		}
		if len(line) == 0 {
			continue
		}
		if err := add(put, line, "Record"); err != nil {
			return err
		}
	}
	return nil
}

// jsonValues makes a record of the one value in the body, or of each element when it is an array,
// exactly as their bytes stand there.
func jsonValues(body []byte, put *record.Put) error {
	if !utf8.Valid(body) {
		return problem(http.StatusBadRequest, "bad_json", "The body is not valid UTF-8; nothing was accepted.")
	}
	from := strictjson.Space(body, 0)
	if from < len(body) && body[from] == '[' {
		return elements(body, from+1, put)
	}
	end, err := strictjson.Skip(body, from, 0)
	if err == nil {
		err = strictjson.End(body, end)
	}
	if err != nil {
		return badJSON(err)
	}
	return add(put, body[from:end], "Record")
}

// elements reads an array from behind its bracket to the end of the body.
func elements(body []byte, i int, put *record.Put) error {
	put.Grow(len(body))
	i = strictjson.Space(body, i)
	if i < len(body) && body[i] == ']' {
		return badJSON(strictjson.End(body, i+1))
	}
	for {
		from := strictjson.Space(body, i)
		end, err := strictjson.Skip(body, from, 1)
		if err != nil {
			return badJSON(err)
		}
		if err := add(put, body[from:end], "Element"); err != nil {
			return err
		}
		i = strictjson.Space(body, end)
		switch {
		case i < len(body) && body[i] == ',':
			i++
		case i < len(body) && body[i] == ']':
			return badJSON(strictjson.End(body, i+1))
		default:
			return badJSON(strictjson.Unexpected(body, i))
		}
	}
}

// badJSON is nil for nil.
func badJSON(err error) error {
	if err == nil {
		return nil
	}
	return problem(http.StatusBadRequest, "bad_json", "The body is not accepted as JSON: "+err.Error()+"; nothing was accepted.")
}
