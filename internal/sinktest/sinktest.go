// Package sinktest is the contract of an object store's sink: what delivery relies on, whatever the
// store is. Every implementation runs it in its own tests.
package sinktest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"hydrant/record"
)

// Store is what delivery asks of an object store.
type Store interface {
	Put(ctx context.Context, o *record.Object) record.Outcome
	Head(ctx context.Context, bucket, key string) (found *record.Identity, exists bool, err error)
}

// Subject is a store under test with a look behind its back.
type Subject struct {
	Store Store
	// Read returns what lies under a key, and false when there is nothing.
	Read func(bucket, key string) ([]byte, bool)
	// Hang makes the store's next Put wait until its context ends, without storing anything. nil when the store cannot.
	Hang func()
	// FailOnce makes the store read the whole body of the next Put and then answer with an error that is worth another attempt. nil when it cannot.
	FailOnce func()
}

// Bucket is the bucket that the suite uses; mk makes sure that it can be written.
const Bucket = "contract"

// RunObjectStore runs the contract. mk makes a new and empty store for each case and ends it by t.Cleanup.
func RunObjectStore(t *testing.T, mk func(t *testing.T) Subject) {
	cases := map[string]func(*testing.T, Subject){
		"delivers":               delivers,
		"repeats are recognised": repeats,
		"never overwrites":       neverOverwrites,
		"rejects long keys":      rejectsLongKeys,
		"keys":                   keys,
		"ended context":          endedContext,
		"deadline":               deadline,
		"body is read again":     readsBodyAgain,
		"one winner":             oneWinner,
		"absent":                 absent,
		"identity":               identityTravels,
	}
	for name, run := range cases {
		t.Run(name, func(t *testing.T) {
			ignore := goleak.IgnoreCurrent()
			t.Cleanup(func() { goleak.VerifyNone(t, ignore) }) // runs after mk's clean-up
			run(t, mk(t))
		})
	}
}

// Identity is the identity of a batch of n records.
func Identity(n int) record.Identity {
	id := record.Identity{Stream: "weblogs", Role: record.RoleMain, Version: 1, Count: n, Digest: 0x0123456789abcdef}
	id.First = record.ID{Epoch: record.Epoch{1, 2, 3}, Pos: 1}
	id.Last = record.ID{Epoch: record.Epoch{1, 2, 3}, Pos: record.Position(n)}
	return id
}

// Object is an object of the suite's bucket.
func Object(key string, body []byte, id record.Identity) *record.Object {
	return &record.Object{Bucket: Bucket, Key: key, Body: bytes.NewReader(body), Size: int64(len(body)),
		ContentType: "application/octet-stream", Identity: id}
}

func put(t *testing.T, s Subject, o *record.Object) record.Outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return s.Store.Put(ctx, o)
}

func mustDeliver(t *testing.T, s Subject, o *record.Object) {
	t.Helper()
	if out := put(t, s, o); out.Kind != record.Delivered {
		t.Fatalf("put %q: %+v, want delivered", o.Key, out)
	}
}

func mustHold(t *testing.T, s Subject, key string, want []byte) {
	t.Helper()
	got, ok := s.Read(Bucket, key)
	if !ok || !bytes.Equal(got, want) {
		t.Errorf("%q holds %d bytes (there: %v), want %d", key, len(got), ok, len(want))
	}
}

func delivers(t *testing.T, s Subject) {
	for _, n := range []int{0, 1, 1000, 3 << 20} {
		body := bytes.Repeat([]byte("0123456789abcde\n"), n/16+1)[:n]
		key := fmt.Sprintf("logs/2026/11/21/%d", n)
		mustDeliver(t, s, Object(key, body, Identity(3)))
		mustHold(t, s, key, body)
	}
}

func repeats(t *testing.T, s Subject) {
	id := Identity(3)
	mustDeliver(t, s, Object("k", []byte("abc"), id))
	for range 2 {
		out := put(t, s, Object("k", []byte("abc"), id))
		if out.Kind != record.Exists || out.Found == nil || *out.Found != id || out.Unreadable {
			t.Errorf("second put: %+v, want exists and found %v", out, id)
		}
	}
}

func neverOverwrites(t *testing.T, s Subject) {
	mine, other := Identity(3), Identity(4)
	mustDeliver(t, s, Object("k", []byte("first"), mine))
	out := put(t, s, Object("k", []byte("second, and longer"), other))
	if out.Kind != record.Exists || out.Found == nil || *out.Found != mine {
		t.Errorf("put of another batch: %+v, want exists and found %v", out, mine)
	}
	mustHold(t, s, "k", []byte("first"))
	found, exists, err := s.Store.Head(context.Background(), Bucket, "k")
	if err != nil || !exists || found == nil || *found != mine {
		t.Errorf("head: %v %v %v, want %v", found, exists, err, mine)
	}
}

func rejectsLongKeys(t *testing.T, s Subject) {
	for _, key := range []string{strings.Repeat("k", 1025), strings.Repeat("folder/", 147), strings.Repeat("é", 513)} {
		out := put(t, s, Object(key, []byte("x"), Identity(1)))
		if out.Kind != record.Rejected || out.Code != "S3.KeyTooLongError" || out.Err == nil {
			t.Errorf("key of %d bytes: %+v, want rejected", len(key), out)
		}
	}
	longest := strings.Repeat("folder/", 146) + "ab"
	mustDeliver(t, s, Object(longest, []byte("x"), Identity(1)))
	mustHold(t, s, longest, []byte("x"))
}

func keys(t *testing.T, s Subject) {
	for i, key := range []string{
		"plain", "with space", " leading and trailing ", "a+b", "100%", "%41", "%2F", "ünïcödé/日本語", "emoji/🚰", "c=a&b?/#frag", `quote'"<>`, `back\slash`,
		"tilde~(*)!,;:@$", "dt=2026-11-21/hour=10/part", "UPPER", "upper", "..a/b..", "trailing.", strings.Repeat("n", 255), strings.Repeat("é", 127) + "/x",
	} {
		body := []byte(fmt.Sprintf("body %d", i))
		mustDeliver(t, s, Object(key, body, Identity(i+1)))
		mustHold(t, s, key, body)
		found, exists, err := s.Store.Head(context.Background(), Bucket, key)
		if err != nil || !exists || found == nil || *found != Identity(i+1) {
			t.Errorf("head of %q: %v %v %v", key, found, exists, err)
		}
	}
}

func endedContext(t *testing.T, s Subject) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	out := s.Store.Put(ctx, Object("k", []byte("x"), Identity(1)))
	if out.Kind != record.Retry || !errors.Is(out.Err, context.Canceled) {
		t.Errorf("%+v, want retry for the cancelled context", out)
	}
	if _, ok := s.Read(Bucket, "k"); ok {
		t.Error("something was stored")
	}
	mustDeliver(t, s, Object("k", []byte("x"), Identity(1)))
}

func deadline(t *testing.T, s Subject) {
	if s.Hang == nil {
		return // the store answers at once or not at all: a local disk knows no deadline
	}
	s.Hang()
	o := Object("k", bytes.Repeat([]byte("x"), 100_000), Identity(1))
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	out := s.Store.Put(ctx, o)
	if out.Kind != record.Retry || out.Err == nil || ctx.Err() == nil {
		t.Errorf("%+v, want retry once the deadline is over", out)
	}
	mustDeliver(t, s, o)
}

// oneRead fails the test when a body is used after its Put has returned, which a second attempt with the same reader would suffer from.
type oneRead struct {
	io.ReadSeeker
	mu   sync.Mutex
	over bool
	late int
}

func (r *oneRead) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		r.late++
	}
	return r.ReadSeeker.Read(p)
}

func readsBodyAgain(t *testing.T, s Subject) {
	body := bytes.Repeat([]byte("0123456789"), 50_000)
	o := Object("k", body, Identity(1))
	if _, err := o.Body.Seek(17, io.SeekStart); err != nil { // as an attempt that was broken off leaves it
		t.Fatal(err)
	}
	if s.FailOnce != nil {
		s.FailOnce()
		watch := &oneRead{ReadSeeker: o.Body}
		o.Body = watch
		if out := put(t, s, o); out.Kind != record.Retry || out.Err == nil {
			t.Fatalf("%+v, want retry", out)
		}
		watch.mu.Lock()
		watch.over = true
		watch.mu.Unlock()
		mustDeliver(t, s, Object("other", body, Identity(2)))
		watch.mu.Lock()
		if watch.late > 0 {
			t.Errorf("%d reads of the body after the attempt", watch.late)
		}
		watch.over = false
		watch.mu.Unlock()
	}
	mustDeliver(t, s, o)
	mustHold(t, s, "k", body)
}

func oneWinner(t *testing.T, s Subject) {
	const writers = 12
	outs := make([]record.Outcome, writers)
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			outs[i] = put(t, s, Object("dir/k", []byte(fmt.Sprintf("writer %02d", i)), Identity(i+1)))
		})
	}
	wg.Wait()
	winner := -1
	for i, out := range outs {
		switch {
		case out.Kind == record.Delivered && winner >= 0:
			t.Errorf("writers %d and %d both delivered", winner, i)
		case out.Kind == record.Delivered:
			winner = i
		case out.Kind != record.Exists:
			t.Errorf("writer %d: %+v", i, out)
		}
	}
	if winner < 0 {
		t.Fatal("nobody delivered")
	}
	for i, out := range outs {
		if i != winner && (out.Found == nil || *out.Found != Identity(winner+1)) {
			t.Errorf("writer %d found %v, want %v", i, out.Found, Identity(winner+1))
		}
	}
	mustHold(t, s, "dir/k", []byte(fmt.Sprintf("writer %02d", winner)))
}

func absent(t *testing.T, s Subject) {
	for _, bucket := range []string{Bucket, "no-such-bucket"} {
		found, exists, err := s.Store.Head(context.Background(), bucket, "nothing/here")
		if found != nil || exists || err != nil {
			t.Errorf("head in %s: %v %v %v, want proven absent", bucket, found, exists, err)
		}
	}
}

func identityTravels(t *testing.T, s Subject) {
	for i, partition := range []string{"", "customer=7", "a;b=c%d", "100%25", "日本 €", "new\nline\tand\x01more", " spaces ", "\xff\xfe", "%E3%81"} {
		id := Identity(5)
		id.Partition, id.Role = partition, record.ErrorRole("processing-failed")
		key := fmt.Sprintf("p/%d", i)
		mustDeliver(t, s, Object(key, []byte("x"), id))
		found, _, err := s.Store.Head(context.Background(), Bucket, key)
		if err != nil || found == nil || *found != id {
			t.Errorf("partition %q came back as %+v (%v)", partition, found, err)
		}
	}
}
