package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"
)

// stream is one life of a delivery stream.
type stream struct {
	name, life string
	api        bool
	compressed bool
}

// streams are those that producers may choose. Safe for concurrent use.
type streams struct {
	mu      sync.RWMutex
	list    []stream
	made    int // lives made by API
	deleted int
	listen  string
	client  *http.Client
}

func newStreams(listen string) *streams {
	return &streams{listen: listen, client: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}}
}

// configuration is the daemon's file.
type configuration struct {
	store       string
	plain, lake int  // streams
	even        bool // the partition query is that of even versions
}

// streams are those of the file, which producers may choose from the start.
func (c configuration) streams() (list []stream) {
	for i := range c.plain {
		list = append(list, stream{name: fmt.Sprintf("y%d", i), life: fmt.Sprintf("y%d.1", i), compressed: i%2 == 1})
	}
	for i := range c.lake {
		name := fmt.Sprintf("%c%d", recipes()[i%len(recipes())], i)
		list = append(list, stream{name: name, life: name + ".1"})
	}
	return list
}

func (c configuration) yaml() string {
	var b strings.Builder
	fmt.Fprintf(&b, "object_store: %s\nshutdown_timeout: 60s\nstreams:\n", c.store)
	for i, st := range c.streams() {
		r, interval := recipeOf(st.name), 1+i%2
		if r != 0 { // longer ones see more of kills, and batches that close by size
			interval = 1 + 2*((i-c.plain)%len(recipes()))
		}
		fmt.Fprintf(&b, "  - name: %s\n    source: {direct: {}}\n    buffer: {size: 1MB, interval: %ds}\n", st.name, interval)
		if r != 0 {
			b.WriteString(c.recipe(r, st.name))
			continue
		}
		fmt.Fprintf(&b, "    format: json\n    compression: %s\n", map[bool]string{true: "gzip", false: "none"}[st.compressed])
		fmt.Fprintf(&b, "    destination: {s3: {bucket: %s, prefix: %s/}}\n", bucket, st.name)
	}
	return b.String()
}

// recipe is what a stream's section says beside its name and buffer.
func (c configuration) recipe(r recipe, name string) string {
	format := map[recipe]string{
		lines:    "json",
		columns:  "parquet\n    parquet: {schema: {columns: {rec: string, k: string, alt: int, n: bigint, x: double, ok: boolean}}}",
		inferred: "parquet\n    parquet: {schema: infer}",
	}[r]
	processors, folder := "", ""
	if r.partitioned() {
		query := oddQuery
		if c.even {
			query = evenQuery
		}
		processors, folder = fmt.Sprintf("    processors: [{deaggregate: json}, {partition: {k: '%s'}}]\n", query), "k=!{partitionKeyFromQuery:k}/"
	}
	return fmt.Sprintf("    format: %s\n%s    destination: {s3: {bucket: %s, prefix: '%s/%s', error_prefix: '%s/errors/!{firehose:error-output-type}/'}}\n",
		format, processors, bucket, name, folder, name)
}

// pick returns any living stream.
func (s *streams) pick(r *rand.Rand) (stream, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if len(s.list) == 0 {
		return stream{}, false
	}
	return s.list[r.IntN(len(s.list))], true
}

var errGone = errors.New("no such stream")

// call makes one API call; errGone stands for ResourceNotFoundException.
func (s *streams) call(op string, in map[string]any) (kind string, err error) {
	body, err := json.Marshal(in)
	if err != nil {
		return "", err
	}
	req, err := http.NewRequest(http.MethodPost, "http://"+s.listen+"/", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", "Firehose_20150804."+op)
	resp, err := s.client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	if resp.StatusCode == http.StatusOK {
		return "", nil
	}
	var e struct {
		Type string `json:"__type"`
	}
	_ = json.Unmarshal(raw, &e)
	if e.Type == "ResourceNotFoundException" {
		return e.Type, errGone
	}
	return e.Type, fmt.Errorf("%s: %d %s", op, resp.StatusCode, raw)
}

// create makes the n-th life by API and keeps trying while the daemon is down.
func (s *streams) create(ctx context.Context, name string) error {
	s.mu.Lock()
	s.made++
	n := s.made
	s.mu.Unlock()
	st := stream{name: name, life: fmt.Sprintf("%s.%d", name, n), api: true, compressed: n%2 == 1}
	destination := map[string]any{
		"RoleARN": "arn:aws:iam::000000000000:role/firehose", "BucketARN": "arn:aws:s3:::" + bucket, "Prefix": name + "/",
		"BufferingHints":    map[string]any{"SizeInMBs": 1, "IntervalInSeconds": 1 + n%2},
		"CompressionFormat": map[bool]string{true: "GZIP", false: "UNCOMPRESSED"}[st.compressed],
	}
	in := map[string]any{"DeliveryStreamName": name, "DeliveryStreamType": "DirectPut", "ExtendedS3DestinationConfiguration": destination}
	err := s.insist(ctx, func() (bool, error) {
		kind, err := s.call("CreateDeliveryStream", in)
		return err == nil || kind == "ResourceInUseException", err // in use: an earlier call worked, its answer was lost
	})
	if err != nil {
		return fmt.Errorf("create %s: %w", name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, st)
	return nil
}

// remove deletes one stream that was made by API and waits until it is gone: it is drained first.
func (s *streams) remove(ctx context.Context, r *rand.Rand) (string, error) {
	s.mu.Lock()
	var mine []int
	for i, st := range s.list {
		if st.api {
			mine = append(mine, i)
		}
	}
	if len(mine) == 0 {
		s.mu.Unlock()
		return "", nil
	}
	i := mine[r.IntN(len(mine))]
	st := s.list[i]
	if r.IntN(2) == 0 { // half of them are deleted while producers still write to them
		s.list = append(s.list[:i], s.list[i+1:]...)
	}
	s.mu.Unlock()
	in := map[string]any{"DeliveryStreamName": st.name}
	err := s.insist(ctx, func() (bool, error) {
		_, err := s.call("DeleteDeliveryStream", in)
		return err == nil || errors.Is(err, errGone), err
	})
	s.drop(st)
	if err != nil {
		return "", fmt.Errorf("delete %s: %w", st.name, err)
	}
	err = s.insist(ctx, func() (bool, error) {
		_, err := s.call("DescribeDeliveryStream", in)
		return errors.Is(err, errGone), err
	})
	if err != nil {
		return "", fmt.Errorf("%s is still there after its deletion: %w", st.name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deleted++
	return st.name, nil
}

func (s *streams) drop(gone stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, st := range s.list {
		if st == gone {
			s.list = append(s.list[:i], s.list[i+1:]...)
			return
		}
	}
}

// insist repeats a call until it is done; the daemon may be dead in between.
func (s *streams) insist(ctx context.Context, try func() (bool, error)) error {
	for end := time.Now().Add(3 * time.Minute); ; {
		done, err := try()
		if done {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("gave up after 3 minutes: %w", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// churn deletes streams and makes new ones, under old names as well, until stop is closed. A deletion that has begun is finished.
func (s *streams) churn(ctx context.Context, stop <-chan struct{}, r *rand.Rand) error {
	for {
		select {
		case <-stop:
			return nil
		case <-time.After(time.Duration(2+r.IntN(6)) * time.Second):
		}
		name, err := s.remove(ctx, r)
		if err != nil {
			return err
		}
		if name == "" || r.IntN(2) == 0 {
			name = fmt.Sprintf("a%d", 100+r.IntN(1_000_000))
		}
		time.Sleep(1100 * time.Millisecond) // keys of two lives under one name are in order only by their second
		if err := s.create(ctx, name); err != nil {
			return err
		}
	}
}
