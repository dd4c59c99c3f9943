// Package firehose speaks the wire API of Amazon Data Firehose: JSON 1.1 over POST /, one header naming the
// operation. It checks a request as the service would, hands records to the log and answers once they are
// durable. It owns no state; streams belong to Control, records to Appender. It verifies no signatures.
package firehose

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"

	"hydrant/config"
	"hydrant/internal/bodies"
	"hydrant/record"
)

// Appender is the log, as a producer sees it.
type Appender interface {
	// Append makes the put durable in the stream's log and returns the ID of its first record (record i has
	// Pos first.Pos+i). All or nothing; safe for concurrent use. The put must not be touched after it returned,
	// not even when the context ended: it goes back to a pool.
	// Errors: record.ErrStreamNotFound, record.ErrStreamDeleting, record.ErrStopping, *record.Unavailable, the context's.
	Append(ctx context.Context, stream string, put *record.Put) (first record.ID, err error)
}

// Control makes and removes streams. Safe for concurrent use. Errors are those of Appender, or *config.APIError
// where the API knows an error of its own.
type Control interface {
	// Create makes the stream durable and returns its ARN.
	Create(ctx context.Context, spec *config.Stream) (arn string, err error)
	// Delete begins to remove the stream.
	Delete(ctx context.Context, name string, force bool) error
	// Describe returns the DeliveryStreamDescription, ready for encoding/json.
	Describe(ctx context.Context, name string) (any, error)
	// List returns at most limit names that sort after the given one, sorted, and whether there are more.
	List(ctx context.Context, after string, limit int) (names []string, more bool, err error)
}

// Options of the handler. Appender, Control and DecodeCreate are required.
type Options struct {
	Appender     Appender
	Control      Control
	AWS          config.AWS
	Denied       string                                    // not "": nobody may use the API, and why
	DecodeCreate func(body []byte) (*config.Stream, error) // the body of CreateDeliveryStream into a spec
	Bodies       *bodies.Reader                            // shared with the other handlers; nil: one of its own
	Logger       *slog.Logger                              // nil: none
	Metrics      *Metrics                                  // nil: none
}

const targetPrefix = "Firehose_20150804."

// The operations that are served, and those that clients know but this version lacks.
const (
	opPutRecord      = "PutRecord"
	opPutRecordBatch = "PutRecordBatch"
	opCreate         = "CreateDeliveryStream"
	opDelete         = "DeleteDeliveryStream"
	opDescribe       = "DescribeDeliveryStream"
	opList           = "ListDeliveryStreams"
	opUnknown        = "unknown" // in metrics, for whatever a client may invent
)

type handler struct {
	opts Options
	ops  map[string]operation
}

// operation answers one request; it returns an error instead of writing one. stream is the one that the request names, as far as that
// is known.
type operation func(w http.ResponseWriter, r *http.Request) (stream string, err error)

// New returns the handler for `/` of the record port.
func New(opts Options) http.Handler {
	if opts.Bodies == nil {
		opts.Bodies = bodies.NewReader(bodies.Limits{})
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	h := &handler{opts: opts}
	h.ops = map[string]operation{
		opPutRecord:      h.putRecord,
		opPutRecordBatch: h.putRecordBatch,
		opCreate:         h.create,
		opDelete:         h.remove,
		opDescribe:       h.describe,
		opList:           h.list,
	}
	for _, op := range []string{
		"UpdateDestination", "StartDeliveryStreamEncryption", "StopDeliveryStreamEncryption",
		"TagDeliveryStream", "UntagDeliveryStream", "ListTagsForDeliveryStream",
	} {
		h.ops[op] = notInThisVersion(op)
	}
	return h
}

func notInThisVersion(op string) operation {
	return func(http.ResponseWriter, *http.Request) (string, error) {
		return "", invalidArgument("The operation " + op + " is not supported by this version of Hydrant.")
	}
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path != "/":
		http.NotFound(w, r)
		return
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		help(w)
		return
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", "GET, HEAD, POST")
		http.Error(w, "the Firehose API takes POST requests only", http.StatusMethodNotAllowed)
		return
	}
	w.Header()["X-Amzn-Requestid"] = []string{requestID()}
	op, run := h.dispatch(r)
	if h.opts.Denied != "" {
		run = h.deny
	}
	status := http.StatusOK
	if stream, err := run(w, r); err != nil {
		e := h.failure(op, stream, err)
		status = e.Status
		writeError(w, e)
	}
	h.opts.Metrics.request(op, status)
}

// deny refuses whoever asks, before the body is read. SDKs do not try again.
func (h *handler) deny(http.ResponseWriter, *http.Request) (string, error) {
	return "", &apiError{Status: http.StatusForbidden, Type: "AccessDeniedException", Message: h.opts.Denied}
}

// dispatch finds the operation that the target header names, and its name for metrics.
func (h *handler) dispatch(r *http.Request) (string, operation) {
	target := r.Header.Get("X-Amz-Target")
	if op, ok := strings.CutPrefix(target, targetPrefix); ok {
		if run, ok := h.ops[op]; ok {
			return op, run
		}
	}
	return opUnknown, func(http.ResponseWriter, *http.Request) (string, error) {
		if target == "" {
			return "", badRequest("UnknownOperationException", "The header X-Amz-Target is missing; it names the operation, such as "+targetPrefix+opPutRecord+".")
		}
		return "", badRequest("UnknownOperationException", "The header X-Amz-Target names no operation of "+targetPrefix+"*.")
	}
}

func help(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, `Hydrant takes records here.

  Firehose API   POST / with X-Amz-Target: Firehose_20150804.PutRecordBatch (and the other operations);
                 point any Firehose client's endpoint URL at this address
  HTTP           POST /v1/streams/STREAM/records with application/x-ndjson, application/json,
                 text/plain or application/octet-stream
  Firehose       POST /v1/firehose/STREAM: Firehose's own HTTP endpoint deliveries
`) // a client that went away needs no help
}
