// Command redshiftd is a stand-in for Amazon Redshift: its wire protocol and its Data API in front of a real PostgreSQL, with COPY from an
// S3 store and faults on demand. It is for end-to-end tests and knows what is documented of Redshift, not more.
//
//	redshiftd -postgres postgres://test@127.0.0.1:5432/test?sslmode=disable -s3 http://127.0.0.1:9000 -listen :5439 -data-api :5440 -control :5441
//
// The control port takes POST /fail?fault=NAME[&n=N] to make a fault come, POST /release to let a hanging COPY go on, and GET /stats,
// which also tells the faults that did not come yet.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"hydrant/internal/redshiftfake"
)

type flags struct {
	postgres, s3, listen, dataAPI, control string
	user, password, database, credentials  string
	plain                                  bool
}

func main() {
	var f flags
	flag.StringVar(&f.postgres, "postgres", "", "URL of the PostgreSQL that runs the statements")
	flag.StringVar(&f.s3, "s3", "", "base URL of the S3 store, path style; keys by the SDK's chain")
	flag.StringVar(&f.listen, "listen", "127.0.0.1:5439", "address of the wire protocol")
	flag.StringVar(&f.dataAPI, "data-api", "127.0.0.1:5440", "address of the Data API")
	flag.StringVar(&f.control, "control", "127.0.0.1:5441", "address for faults and counts")
	flag.StringVar(&f.user, "user", "loader", "user of the wire protocol")
	flag.StringVar(&f.password, "password", "loader", "its password")
	flag.StringVar(&f.database, "database", "dev", "the database")
	flag.StringVar(&f.credentials, "credentials", "", "the clause COPY must bring, any when empty")
	flag.BoolVar(&f.plain, "plain", false, "let PostgreSQL's JSON functions pass")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, f); err != nil {
		fmt.Fprintln(os.Stderr, "redshiftd:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, f flags) error {
	store, err := newStore(ctx, f.s3)
	if err != nil {
		return err
	}
	engine := &redshiftfake.Engine{Store: store, Backend: redshiftfake.Postgres{URL: f.postgres}, Credentials: f.credentials, Plain: f.plain}
	wire := &redshiftfake.Wire{Engine: engine, User: f.user, Password: f.password, Database: f.database}
	addr, stop, err := wire.Start(f.listen)
	if err != nil {
		return err
	}
	defer stop()
	api := redshiftfake.NewDataAPI(engine)
	api.Database = f.database
	defer api.Close()
	failed := make(chan error, 2)
	for _, s := range []*http.Server{{Addr: f.dataAPI, Handler: api}, {Addr: f.control, Handler: control(engine, api)}} {
		s.ReadHeaderTimeout = 10 * time.Second
		defer func() { _ = s.Close() }()
		go func() { failed <- s.ListenAndServe() }()
	}
	fmt.Fprintln(os.Stderr, "redshiftd listens on", addr, f.dataAPI, f.control)
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return err
	}
}

// control serves faults and counts.
func control(e *redshiftfake.Engine, api *redshiftfake.DataAPI) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /fail", func(w http.ResponseWriter, r *http.Request) {
		fault, n := redshiftfake.Fault(r.URL.Query().Get("fault")), 1
		if given := r.URL.Query().Get("n"); given != "" {
			n, _ = strconv.Atoi(given) // 0 is refused below
		}
		if !slices.Contains(redshiftfake.AllFaults(), fault) || n < 1 {
			http.Error(w, fmt.Sprintf("want fault= one of %v, and n= at least 1", redshiftfake.AllFaults()), http.StatusBadRequest)
			return
		}
		e.Faults.Arm(fault, n)
	})
	mux.HandleFunc("POST /release", func(http.ResponseWriter, *http.Request) { e.Faults.Release() })
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, _ *http.Request) {
		commits, statements := 0, e.Statements()
		for _, sql := range statements {
			if strings.EqualFold(sql, "COMMIT") {
				commits++
			}
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"statements": len(statements), "copies": e.Copies(), "commits": commits, "submits": api.Submits(),
			"armed": e.Faults.Left()})
	})
	return mux
}

// store reads from S3.
type store struct{ client *s3.Client }

func newStore(ctx context.Context, endpoint string) (*store, error) {
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, err
	}
	if cfg.Region == "" {
		cfg.Region = "us-east-1"
	}
	return &store{s3.NewFromConfig(cfg, func(o *s3.Options) {
		if endpoint != "" {
			o.BaseEndpoint, o.UsePathStyle = aws.String(endpoint), true
		}
	})}, nil
}

// Get implements redshiftfake.Store.
func (s *store) Get(ctx context.Context, bucket, key string) ([]byte, error) {
	out, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return nil, classify(err)
	}
	defer out.Body.Close()
	return io.ReadAll(out.Body)
}

func classify(err error) error {
	var missing *types.NoSuchKey
	var api smithy.APIError
	switch {
	case errors.As(err, &missing):
		return redshiftfake.ErrNoObject
	case errors.As(err, &api) && api.ErrorCode() == "AccessDenied":
		return redshiftfake.ErrForbidden
	}
	return err
}
