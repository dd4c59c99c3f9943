package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"

	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"hydrant/config"
	"hydrant/ingest/firehose"
	"hydrant/ingest/httpin"
	"hydrant/internal/bodies"
	"hydrant/internal/tokens"
)

// Server is a daemon with its two ports.
type Server struct {
	*Daemon
	records, admin *http.Server
	recordsAddr    string
	adminAddr      string
	wg             sync.WaitGroup
	failed         chan error
}

// Listen opens the ports first, so that a taken one is an error before any work begins, then the daemon.
func Listen(o Options) (*Server, error) {
	records, err := net.Listen("tcp", o.Config.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen %s: %w; another Hydrant may be running, or choose another address with --listen", o.Config.Listen, err)
	}
	admin, err := net.Listen("tcp", o.Config.Admin)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("admin %s: %w; choose another address with --admin", o.Config.Admin, err), records.Close())
	}
	d, err := Open(o)
	if err != nil {
		return nil, errors.Join(err, records.Close(), admin.Close())
	}
	s := &Server{Daemon: d, failed: make(chan error, 2), recordsAddr: records.Addr().String(), adminAddr: admin.Addr().String()}
	s.records = bodies.Server(s.recordsAddr, d.RecordsHandler())
	s.admin = bodies.Server(s.adminAddr, d.AdminHandler())
	s.serve(s.records, records)
	s.serve(s.admin, admin)
	return s, nil
}

func (s *Server) serve(srv *http.Server, l net.Listener) {
	srv.ErrorLog = slog.NewLogLogger(s.logger.Handler(), slog.LevelDebug)
	s.wg.Go(func() {
		if err := srv.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
			s.failed <- err
		}
	})
}

// Addr is the address that takes records, AdminAddr the other one; with the port that was chosen when it was 0.
func (s *Server) Addr() string { return s.recordsAddr }

// AdminAddr is the address of metrics and health.
func (s *Server) AdminAddr() string { return s.adminAddr }

// Failed delivers an error when a port stops serving by itself.
func (s *Server) Failed() <-chan error { return s.failed }

// Stop refuses puts, delivers until ctx ends, then closes everything.
func (s *Server) Stop(ctx context.Context) error {
	err := s.Daemon.Stop(ctx)
	_ = s.records.Close() // whoever is still connected was answered 503, or is answered now by the closed connection
	_ = s.admin.Close()
	s.wg.Wait()
	return err
}

// RecordsHandler serves the record port.
func (d *Daemon) RecordsHandler() http.Handler {
	reader := bodies.NewReader(bodies.Limits{})
	api := firehose.New(firehose.Options{
		Appender: d, Control: d, Denied: denied(d.cfg.Auth), AWS: d.cfg.AWS, Bodies: reader, Logger: d.logger, Metrics: d.metrics.firehose,
		DecodeCreate: func(body []byte) (*config.Stream, error) {
			s, _, err := config.StreamFromCreate(body, d.cfg.AWS)
			if err != nil {
				return nil, err
			}
			return s, nil
		},
	})
	plain := httpin.New(httpin.Options{Appender: d, Replayer: d, Authorize: authorize(d.cfg.Auth, d.logger), Bodies: reader, Logger: d.logger,
		Metrics: d.metrics.http})
	mux := http.NewServeMux()
	mux.Handle("/", api)
	mux.Handle("/v1/", plain)
	return mux
}

// authorize asks the tokens of the configuration; nil: nobody is asked.
func authorize(auth *config.Auth, logger *slog.Logger) func(token, stream string) (string, error) {
	if auth == nil {
		return nil
	}
	var all []tokens.Token
	for _, t := range auth.Tokens {
		all = append(all, tokens.Token{Name: t.Name, Reveal: t.Token.Reveal, Allows: t.Allows})
	}
	set := tokens.New(all, logger)
	return func(token, stream string) (string, error) {
		name, err := set.Check(token, config.ActionPut, stream)
		switch {
		case errors.Is(err, tokens.ErrNone):
			err = httpin.ErrNoToken
		case errors.Is(err, tokens.ErrUnknown):
			err = httpin.ErrWrongToken
		case errors.Is(err, tokens.ErrForbidden):
			err = httpin.ErrForbidden
		}
		return name, err
	}
}

// denied is why nobody may use the Firehose API: its clients sign with keys, and the configuration can name none yet.
func denied(auth *config.Auth) string {
	if auth == nil {
		return ""
	}
	return "This Hydrant takes records over HTTP with tokens only: its configuration has an auth section, and signatures are not supported by this version."
}

// AdminHandler serves metrics, health and the state of the streams.
func (d *Daemon) AdminHandler() http.Handler {
	d.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(d.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("GET /readyz", d.readyz)
	mux.HandleFunc("GET /api/streams", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, d.Statuses()) })
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintln(w, "Hydrant: /metrics, /healthz, /readyz, /api/streams. Records are taken on "+d.cfg.Listen+".")
	})
	return mux
}

// readyz is 200 as soon as puts are accepted, whatever the destinations do: their state is in the body.
func (d *Daemon) readyz(w http.ResponseWriter, _ *http.Request) {
	code, state := http.StatusOK, "ready"
	if d.stop.Load() {
		code, state = http.StatusServiceUnavailable, "stopping"
	}
	streams := map[string]string{}
	for _, st := range d.Statuses() {
		streams[st.Name] = st.Words(d.now())
	}
	writeJSON(w, code, map[string]any{"status": state, "since": d.started.UTC(), "streams": streams})
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) // the client is gone when this fails
}
