package config

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/itchyny/gojq"
)

// maxQueryBytes bounds a jq expression.
const maxQueryBytes = 5120

// checkQuery says what is wrong with a jq expression. It must be a function of its record: a record is read again after a
// crash, and must come to the same then.
func checkQuery(text string) error {
	switch {
	case strings.TrimSpace(text) == "":
		return errors.New("is empty; write a jq expression, such as .customer_id")
	case len(text) > maxQueryBytes:
		return fmt.Errorf("has %d bytes; use at most %d", len(text), maxQueryBytes)
	}
	q, err := gojq.Parse(text)
	if err != nil {
		return fmt.Errorf("%q is no jq expression: %w", clip(text), err)
	}
	if word, why := impure(reflect.ValueOf(q)); word != "" {
		return fmt.Errorf("%q uses %s, %s; only what stands in the record may decide", clip(text), word, why)
	}
	if _, err := gojq.Compile(q); err != nil {
		return fmt.Errorf("%q is no jq expression: %w", clip(text), err)
	}
	return nil
}

// impure finds a word whose value does not come from the record, anywhere in the syntax tree.
func impure(v reflect.Value) (word, why string) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return "", ""
		}
		if word, why := impureNode(v.Interface()); word != "" {
			return word, why
		}
		return impure(v.Elem())
	case reflect.Slice:
		for i := range v.Len() {
			if word, why := impure(v.Index(i)); word != "" {
				return word, why
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if word, why := impure(v.Field(i)); word != "" {
				return word, why
			}
		}
	}
	return "", ""
}

func impureNode(node any) (word, why string) {
	switch n := node.(type) {
	case *gojq.Func:
		if word = n.Name; word == "strptime" && strings.Contains(n.String(), "%Z") {
			return "strptime with %Z", "which knows the machine's own time zone"
		}
	case *gojq.ObjectKeyVal:
		if strings.HasPrefix(n.Key, "$") { // {$ENV}; {now} is a field of that name
			word = n.Key
		}
	case *gojq.Import:
		return "import", "which reads a file"
	}
	if why = whyImpure(word); why == "" {
		return "", ""
	}
	return word, why
}

// whyImpure is what is wrong with a function or variable; "" for nothing.
func whyImpure(name string) string {
	switch name {
	case "now":
		return "the time of day"
	case "localtime", "strflocaltime":
		return "which depends on the machine's time zone"
	case "env", "$ENV":
		return "the environment"
	case "input", "inputs", "input_filename", "input_line_number":
		return "another record"
	case "debug", "stderr":
		return "which writes to the daemon's output"
	case "halt", "halt_error":
		return "which ends the program"
	case "modulemeta", "get_search_list":
		return "which reads a file"
	case "builtins":
		return "which depends on the version of the jq engine"
	case "$__prog_args", "$__prog_name":
		return "the program's arguments"
	}
	return ""
}
