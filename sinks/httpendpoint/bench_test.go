package httpendpoint

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"hydrant/internal/sinktest"
	"hydrant/record"
)

// BenchmarkSend is a request of 4 MB of log lines to a server in this process that throws it away.
func BenchmarkSend(b *testing.B) {
	line := fmt.Sprintf(`{"time":"2026-11-27T09:28:00.123Z","level":"info","path":"/a/b","status":200,"agent":%q}`, strings.Repeat("Mozilla/5.0 ", 45))
	data := make([]string, 6000)
	for i := range data {
		data[i] = line
	}
	req := sinktest.NewRequest(1, data...)
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, good(req.ID))
	}))
	b.Cleanup(h.Close)
	for _, encoding := range []string{encodingNone, encodingGzip} {
		for _, shape := range []string{"", bodyNDJSON, bodyArray, bodyLoki} {
			o, name := plainOptions(shape), shape
			if shape == "" {
				o, name = firehoseOptions(), "firehose"
			}
			o.URL, o.ContentEncoding = h.URL, encoding
			b.Run(name+"/"+encoding, func(b *testing.B) {
				s := mustNew(b, o)
				b.SetBytes(req.Bytes)
				b.ReportAllocs()
				for b.Loop() {
					if reply := s.Send(context.Background(), req); reply.Kind != record.Delivered {
						b.Fatalf("%+v", reply)
					}
				}
			})
		}
	}
}
