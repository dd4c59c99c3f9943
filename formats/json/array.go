package json

import (
	"fmt"
	"io"

	"hydrant/internal/bodies/strictjson"
	"hydrant/record"
)

// Array writes records as one JSON array. Not safe for concurrent use.
type Array struct {
	out  Encoder
	some bool // a record was written
}

// NewArray returns an encoder of one array in front of w. It holds 128 KiB.
func NewArray(w io.Writer) *Array {
	return &Array{out: *New(w)}
}

// Write adds one record, without the white space around it. A record that is not exactly one JSON value, nested at most
// strictjson.MaxDepth deep, would spoil the array for its neighbours: the error is then a *record.Failure, and the array
// goes on as if it had not come. Any other error is the writer's, and is final. data is not kept.
func (a *Array) Write(data []byte) error {
	value, failure := oneValue(data)
	if failure != nil {
		return failure
	}
	before := ",\n"
	if !a.some {
		before, a.some = "[", true
	}
	a.out.append(before)
	a.out.put(value)
	return a.out.err
}

// Close ends the array and hands what is buffered to the writer, which stays open. Without a record the array
// is empty. It returns the first error of any call but those that concern a record alone.
func (a *Array) Close() error {
	if !a.some {
		a.out.append("[")
	}
	a.out.append("]\n")
	return a.out.Close()
}

// Extension is what the format adds to an object's name: nothing.
func (a *Array) Extension() string { return "" }

// oneValue gives the record without white space around it.
func oneValue(data []byte) ([]byte, *record.Failure) {
	from := strictjson.Space(data, 0)
	if from == len(data) {
		return nil, &record.Failure{Type: record.ConversionFailed, Code: "DataFormatConversion.MalformedData",
			Message: "the record is empty or has white space only"}
	}
	end, err := strictjson.Skip(data, from, 0)
	if err == nil {
		err = strictjson.End(data, end)
	}
	if err != nil {
		return nil, &record.Failure{Type: record.ConversionFailed, Code: "DataFormatConversion.ParseError",
			Message: fmt.Sprintf("a JSON array needs records of one JSON value each: %v", err)}
	}
	return data[from:end], nil
}
