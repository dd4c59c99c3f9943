package s3

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"hydrant/internal/s3fake"
	"hydrant/internal/sinktest"
)

// open makes a store in front of a fake that has the suite's bucket.
func open(t *testing.T, fake *s3fake.Server, change func(*Options)) *Store {
	t.Helper()
	noEnvironment(t)
	if err := fake.CreateBucket(sinktest.Bucket); err != nil {
		t.Fatal(err)
	}
	url, stop := fake.Start()
	t.Cleanup(stop)
	o := Options{Region: "eu-west-1", Endpoint: url, Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", "")}
	if change != nil {
		change(&o)
	}
	s, err := New(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// noEnvironment keeps the machine's own AWS settings out of the test.
func noEnvironment(t *testing.T) {
	t.Helper()
	for _, k := range []string{"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_CA_BUNDLE"} {
		t.Setenv(k, "")
	}
	t.Setenv("AWS_CONFIG_FILE", "/dev/null")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
}

// once answers the first request of an operation with an action.
func once(armed *atomic.Bool, op string, a s3fake.Action) func(*s3fake.Request) s3fake.Action {
	return func(r *s3fake.Request) s3fake.Action {
		if r.Op == op && armed.CompareAndSwap(true, false) {
			return a
		}
		return s3fake.None
	}
}

func contract(t *testing.T, mode func(*s3fake.Server)) {
	sinktest.RunObjectStore(t, func(t *testing.T) sinktest.Subject {
		var next atomic.Int64 // an s3fake.Action for the next PutObject
		fake := s3fake.New()
		fake.Fault = func(r *s3fake.Request) s3fake.Action {
			if r.HTTP.Method != http.MethodPut {
				return s3fake.None
			}
			return s3fake.Action(next.Swap(0))
		}
		mode(fake)
		return sinktest.Subject{
			Store: open(t, fake, nil),
			Read: func(bucket, key string) ([]byte, bool) {
				o, ok := fake.Object(bucket, key)
				return o.Body, ok
			},
			Hang:     func() { next.Store(int64(s3fake.Hang)) },
			FailOnce: func() { next.Store(int64(s3fake.FailBefore)) },
		}
	})
}

func TestContract(t *testing.T) { contract(t, func(*s3fake.Server) {}) }

func TestContractWithFoldersBehind(t *testing.T) {
	contract(t, func(f *s3fake.Server) {
		if err := f.UseDir(t.TempDir()); err != nil {
			t.Fatal(err)
		}
	})
}
