package hook

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"hydrant/record"
)

// Firehose's codes, in error records. Those of one record's answer are Firehose's words where it has some.
const (
	codeFunction   = "Lambda.FunctionError"
	codeTimedOut   = "Lambda.FunctionTimedOut"
	codeThrottled  = "Lambda.InvokeLimitExceeded"
	codeNotFound   = "Lambda.ResourceNotFound"
	codeDenied     = "Lambda.InvokeAccessDenied"
	codeTooLarge   = "Lambda.PayloadTooLarge"
	codeJSON       = "Lambda.JsonProcessingException"
	codeMissing    = "Lambda.MissingRecordId"
	codeDuplicated = "Lambda.DuplicatedRecordId"
	codeProcessing = "Lambda.ProcessingFailedStatus"
)

// invokeError is why there is no answer.
type invokeError struct {
	code, message string
	tooLarge      bool // fewer records may work
}

func (e *invokeError) Error() string { return e.code + ": " + e.message }

type event struct {
	InvocationID string        `json:"invocationId"`
	Stream       string        `json:"deliveryStreamArn"`
	Region       string        `json:"region"`
	Records      []eventRecord `json:"records"`
}

type eventRecord struct {
	ID      string `json:"recordId"`
	Arrival int64  `json:"approximateArrivalTimestamp"` // Unix ms
	Data    []byte `json:"data"`                        // base64
}

func newID() string { return uuid.NewString() }

// event is the invocation's payload. The ids count from 0: they need only tell the records of one invocation apart.
func (c *Client) event(id string, records []Record) []byte {
	e := event{InvocationID: id, Stream: c.arnv, Region: c.o.Region, Records: make([]eventRecord, len(records))}
	for i, r := range records {
		e.Records[i] = eventRecord{recordID(i), r.ArrivalMillis, r.Data}
		if r.Data == nil {
			e.Records[i].Data = []byte{}
		}
	}
	b, _ := json.Marshal(e) // strings and numbers always have a JSON form
	return b
}

// recordID looks like one of Firehose's: 56 digits.
func recordID(i int) string { return fmt.Sprintf("%056d", i) }

type response struct {
	Records []answerRecord `json:"records"`
}

type answerRecord struct {
	ID       string  `json:"recordId"`
	Result   string  `json:"result"`
	Data     *string `json:"data"`
	Metadata struct {
		PartitionKeys map[string]any `json:"partitionKeys"`
	} `json:"metadata"`
}

// read takes an answer apart. One that is not as the contract has it is final: the function would give it again.
func (c *Client) read(answer []byte, records []Record, out []Answer, attempt int) {
	var r response
	if err := json.Unmarshal(answer, &r); err != nil || r.Records == nil {
		why := `The answer has no "records".`
		if err != nil {
			why = "The answer is no JSON of the contract: " + clip(err.Error())
		}
		for i := range out {
			out[i] = c.failure(codeJSON, why, attempt)
		}
		return
	}
	seen := make([]int, len(records))
	for _, a := range r.Records {
		i, ok := indexOf(a.ID, len(records))
		if !ok {
			continue // an id that was not asked about
		}
		if seen[i]++; seen[i] == 1 {
			out[i] = c.answer(&a, attempt)
		}
	}
	for i, n := range seen {
		switch {
		case n == 0:
			out[i] = c.failure(codeMissing, "The answer lacks the record's recordId.", attempt)
		case n > 1:
			out[i] = c.failure(codeDuplicated, "The answer has the record's recordId more than once.", attempt)
		}
	}
}

func indexOf(id string, n int) (int, bool) {
	if len(id) != 56 {
		return 0, false
	}
	i, err := strconv.ParseUint(strings.TrimLeft(id[:55], "0")+id[55:], 10, 31)
	return int(i), err == nil && int(i) < n && id == recordID(int(i))
}

func (c *Client) answer(a *answerRecord, attempt int) Answer {
	switch a.Result {
	case "Dropped":
		return Answer{Dropped: true}
	case "ProcessingFailed":
		return c.failure(codeProcessing, "ProcessingFailed status set for record.", attempt)
	case "Ok":
	default:
		return c.failure(codeJSON, fmt.Sprintf("The result is %q; it must be Ok, Dropped or ProcessingFailed.", clip(a.Result)), attempt)
	}
	if a.Data == nil {
		return c.failure(codeJSON, "The result is Ok, and there is no data.", attempt)
	}
	data, err := base64.StdEncoding.DecodeString(*a.Data)
	if err != nil {
		return c.failure(codeJSON, "The data is no base64.", attempt)
	}
	keys, why := partitionKeys(a.Metadata.PartitionKeys)
	if why != "" {
		return c.failure(codeJSON, why, attempt)
	}
	return Answer{Data: data, Keys: keys}
}

func partitionKeys(in map[string]any) (map[string]string, string) {
	if len(in) == 0 {
		return nil, ""
	}
	keys := make(map[string]string, len(in))
	for k, v := range in {
		s, ok := v.(string)
		if !ok || s == "" {
			return nil, "partitionKeys values must not be null or empty, and strings: " + clip(k) + " is none."
		}
		keys[k] = s
	}
	return keys, ""
}

// failure sets a record aside.
func (c *Client) failure(code, message string, attempts int) Answer {
	return Answer{Failure: &record.Failure{Type: record.ProcessingFailed, Code: code, Message: message, Attempts: attempts,
		Fields: []record.Field{{Name: "lambdaArn", Value: c.to.arn()}}}}
}

func clip(s string) string {
	const limit = 200
	s = strings.ToValidUTF8(s, "\ufffd")
	if len(s) > limit {
		return strings.ToValidUTF8(s[:limit], "") + "..."
	}
	return s
}
