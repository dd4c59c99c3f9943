// Package httpin takes records over HTTP: POST /v1/streams/{stream}/records with lines, JSON or raw bytes, POST /v1/firehose/{stream} with
// Firehose's HTTP delivery protocol, and POST /v1/streams/{stream}/error-records with what an error prefix holds. A request is accepted
// whole, once it is durable, or not at all; where its sender names it, once however often it is sent. Streams and their logs belong to the
// Appender, tokens to Authorize.
package httpin

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

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

// Options of the handler. Appender and Replayer are required.
type Options struct {
	Appender Appender
	Replayer Replayer
	// Authorize says whether a token may put records into a stream, and the token's name. Its errors are ErrNoToken, ErrWrongToken and
	// ErrForbidden. nil: everybody may.
	Authorize func(token, stream string) (name string, err error)
	Bodies    *bodies.Reader // shared with the other handlers; nil: one of its own
	Logger    *slog.Logger   // nil: none
	Metrics   *Metrics       // nil: none
}

// maxRecordBytes is the longest record, as for the Firehose API.
const maxRecordBytes = 1_024_000

type handler struct {
	opts    Options
	browser *http.CrossOriginProtection
}

// New returns the handler for everything under /v1/.
func New(opts Options) http.Handler {
	if opts.Bodies == nil {
		opts.Bodies = bodies.NewReader(bodies.Limits{})
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	h := &handler{opts: opts, browser: http.NewCrossOriginProtection()}
	mux := http.NewServeMux()
	mux.HandleFunc("/v1/streams/{stream}/records", h.records)
	mux.HandleFunc("/v1/streams/{stream}/error-records", h.errorRecords)
	mux.HandleFunc("/v1/firehose/{stream}", h.delivery)
	mux.HandleFunc("/", h.nowhere)
	return mux
}

func (h *handler) nowhere(w http.ResponseWriter, _ *http.Request) {
	h.fail(w, problem(http.StatusNotFound, "not_found", "There is nothing here. Records go to POST /v1/streams/STREAM/records, deliveries of Firehose to POST /v1/firehose/STREAM."))
}

// records serves POST of records to a stream.
func (h *handler) records(w http.ResponseWriter, r *http.Request) {
	n, err := h.accept(w, r)
	if err != nil {
		h.fail(w, h.problemOf(r.PathValue("stream"), err))
		return
	}
	h.opts.Metrics.request(http.StatusOK)
	b := append(make([]byte, 0, 32), `{"accepted":`...)
	b = strconv.AppendInt(b, int64(n), 10)
	write(w, http.StatusOK, append(b, '}'))
}

// accept takes a request's records and returns their number.
func (h *handler) accept(w http.ResponseWriter, r *http.Request) (int, error) {
	start := time.Now()
	if err := h.precheck(w, r); err != nil {
		return 0, err
	}
	stream := r.PathValue("stream")
	sender, err := h.authorize(r, stream, "")
	if err != nil {
		return 0, err
	}
	key, err := idempotencyKey(r)
	if err != nil {
		return 0, err
	}
	split, err := splitterFor(r.Header.Get("Content-Type"))
	if err != nil {
		return 0, err
	}
	body, err := h.opts.Bodies.Read(w, r, "gzip", "zstd")
	if err != nil {
		return 0, err
	}
	defer body.Release()
	put := record.NewPut()
	defer put.Release()
	if err := split(body.Bytes(), put); err != nil {
		return 0, err
	}
	if put.Count() == 0 {
		return 0, nil // nothing to keep; whether the stream exists was not asked
	}
	if key != "" {
		if err := put.SetNote(record.Note{Request: requestKey("v1", sender, key, put)}); err != nil {
			return 0, err
		}
	}
	body.Recycle()
	if _, err := h.opts.Appender.Append(r.Context(), stream, put); err != nil {
		return 0, err
	}
	h.opts.Metrics.put(stream, time.Since(start))
	return put.Count(), nil
}

// precheck refuses what needs no look at the body.
func (h *handler) precheck(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return problem(http.StatusMethodNotAllowed, "method_not_allowed", "Records are sent with POST.")
	}
	// text/plain needs no preflight: without this, any web page could write through a visitor's browser.
	if err := h.browser.Check(r); err != nil {
		return problem(http.StatusForbidden, "cross_origin", "Requests from web pages of other origins are refused.")
	}
	if !validName(r.PathValue("stream")) {
		return record.ErrStreamNotFound
	}
	return nil
}

// What Authorize answers: no token, one that is not known, and one that may not do this.
var (
	ErrNoToken    = errors.New("a token is needed")
	ErrWrongToken = errors.New("the token is not known")
	ErrForbidden  = errors.New("the token may not put records into this stream")
)

// authorize says who sends: by the access key of Firehose's protocol, or by a bearer token. A wrong access key is forbidden: it is no
// question of how to ask, and the protocol has no other header for it.
func (h *handler) authorize(r *http.Request, stream, accessKey string) (sender string, err error) {
	if h.opts.Authorize == nil {
		return "", nil
	}
	token := accessKey
	if token == "" {
		token = bearer(r)
	}
	sender, err = h.opts.Authorize(token, stream)
	if accessKey != "" && errors.Is(err, ErrWrongToken) {
		err = ErrForbidden
	}
	return sender, err
}

func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// validName says whether a stream could have this name.
func validName(s string) bool {
	for _, c := range []byte(s) {
		alnum := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alnum && c != '_' && c != '.' && c != '-' {
			return false
		}
	}
	return len(s) >= 1 && len(s) <= 64
}
