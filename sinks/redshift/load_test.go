package redshift

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"hydrant/internal/redshiftfake"
	"hydrant/record"
)

// A batch is loaded once, however often that is asked for, and in one transaction of just these statements.
func TestLoad(t *testing.T) {
	transports(t, func(t *testing.T, mk func(func(*Options)) *world) {
		w := mk(func(o *Options) { o.Columns = []string{"name", "id"} })
		ld := w.batch(1, "{\"id\":1,\"name\":\"a\"}\n{\"id\":2,\"name\":\"ü'\\\"\"}\n")
		for range 3 {
			w.mustLoad(t, ld)
		}
		w.mustHold(t, "1|a", `2|ü'"`)
		if n := w.engine.Copies(); n != 1 {
			t.Errorf("%d copies", n)
		}
		ledger := w.memory.Rows("hydrant_loads")
		if len(ledger) != 1 || !regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\|weblogs\|`+ld.ID+`\|s3://lake/logs/it's\\1.json\|2$`).MatchString(ledger[0]) {
			t.Errorf("ledger %q", ledger)
		}
		w.mustLoad(t, w.batch(2, `{"id":3}`))
		w.mustHold(t, "1|a", `2|ü'"`, "3|NULL")
	})
}

func TestStatements(t *testing.T) {
	transports(t, func(t *testing.T, mk func(func(*Options)) *world) {
		w := mk(func(o *Options) { o.Columns = []string{"id"} })
		w.mustLoad(t, w.batch(1, `{"id":1}`))
		all := slices.DeleteFunc(w.engine.Statements(), func(s string) bool { return strings.HasPrefix(s, "SET ") })
		id := "00000000-0000-8000-8000-000000000001"
		want := []string{
			"CREATE TABLE IF NOT EXISTS \"hydrant_loads\"" + ledgerColumns,
			"BEGIN",
			`LOCK TABLE "hydrant_loads"`,
			`SELECT 1 / (CASE WHEN COUNT(*) = 0 THEN 1 ELSE 0 END) FROM "hydrant_loads" WHERE stream = 'weblogs' AND batch_id = '` + id + `'`,
			`INSERT INTO "hydrant_loads" (loaded_at, stream, batch_id, url, records) VALUES ('TIME', 'weblogs', '` + id + `', 's3://lake/logs/it''s\\1.json', 0)`,
			`COPY "public"."events" ("id") FROM 's3://lake/manifests/logs/it''s\\1.json.manifest' ` + clause + ` MANIFEST JSON 'auto'`,
			"COMMIT",
		}
		for i := range all {
			all[i] = regexp.MustCompile(`'\d{4}-[0-9: -]*'`).ReplaceAllString(all[i], "'TIME'")
		}
		if !slices.Equal(all, want) {
			t.Errorf("%s\nwant\n%s", strings.Join(all, "\n"), strings.Join(want, "\n"))
		}
		if got, want := string(w.lake.objects["lake/manifests/logs/it's\\1.json.manifest"]),
			`{"entries":[{"url":"s3://lake/logs/it's\\1.json","mandatory":true,"meta":{"content_length":8}}]}`; got != want {
			t.Errorf("manifest %s, want %s", got, want)
		}
	})
}

func TestConcurrentLoads(t *testing.T) {
	transports(t, func(t *testing.T, mk func(func(*Options)) *world) {
		w := mk(nil)
		var wg sync.WaitGroup
		var want []string
		for i := range 8 {
			want = append(want, fmt.Sprintf("%d|NULL", i))
			ld := w.batch(i, fmt.Sprintf(`{"id":%d}`, i))
			for range 2 {
				wg.Go(func() {
					if out := w.Load(context.Background(), ld); out.Kind != record.Delivered {
						t.Errorf("batch %d: %+v", i, out)
					}
				})
			}
		}
		wg.Wait()
		w.mustHold(t, want...)
	})
}

// Whatever goes wrong is tried again, under the name it has at Firehose; and once it is mended, the batch is loaded once.
func TestFailures(t *testing.T) {
	transports(t, func(t *testing.T, mk func(func(*Options)) *world) {
		for name, c := range map[string]struct {
			change func(*Options)
			spoil  func(w *world, ld *record.Load)
			mend   func(w *world, ld *record.Load)
			code   string
		}{
			"no table": {
				spoil: func(w *world, _ *record.Load) { w.memory.Drop("events") },
				mend:  func(w *world, _ *record.Load) { w.memory.Create("events", "id int", "name") }, code: "TableNotFound"},
			"no column": {
				spoil: func(w *world, _ *record.Load) { w.memory.Create("events", "name") },
				mend:  func(w *world, _ *record.Load) { w.memory.Create("events", "id int", "name") }, code: "ColumnNotFound"},
			"disk full":     {spoil: func(w *world, _ *record.Load) { w.engine.Faults.Arm(redshiftfake.DiskFull, 1) }, code: "DiskFull"},
			"lock conflict": {spoil: func(w *world, _ *record.Load) { w.engine.Faults.Arm(redshiftfake.LockConflict, 1) }, code: "LockConflict"},
			"denied": {
				spoil: func(w *world, _ *record.Load) { w.engine.Credentials = "IAM_ROLE 'other'" },
				mend:  func(w *world, _ *record.Load) { w.engine.Credentials = clause }, code: "S3BucketAccessDenied"},
			"no object": {
				spoil: func(w *world, ld *record.Load) { delete(w.lake.objects, "lake/"+ld.Key) },
				mend:  func(w *world, ld *record.Load) { w.lake.objects["lake/"+ld.Key] = []byte(`{"id":1,"name":"x"}`) }, code: "MissingS3File"},
			"bad data": {
				spoil: func(w *world, ld *record.Load) { w.lake.objects["lake/"+ld.Key] = []byte(`{"id":"body","x":12}`)[:19] },
				mend:  func(w *world, ld *record.Load) { w.lake.objects["lake/"+ld.Key] = []byte(`{"id":1,"name":"x"}`) }, code: "DataLoadFailed"},
		} {
			t.Run(name, func(t *testing.T) {
				w := mk(func(o *Options) { o.Columns = []string{"id", "name"} })
				ld := w.batch(1, `{"id":1,"name":"x"}`)
				c.spoil(w, ld)
				w.mustRetry(t, ld, "Redshift."+c.code, true)
				w.mustHold(t)
				if c.mend != nil {
					c.mend(w, ld)
				}
				w.mustLoad(t, ld)
				w.mustHold(t, "1|x")
			})
		}
	})
}

func TestIncorrectOptions(t *testing.T) {
	transports(t, func(t *testing.T, mk func(func(*Options)) *world) {
		w := mk(func(o *Options) { o.CopyOptions = "JSON 'auto' FASTER" })
		w.mustRetry(t, w.batch(1, `{}`), "Redshift.IncorrectCopyOptions", true)
	})
}

// Where the data is wrong is told, and not what it is.
func TestDiagnosis(t *testing.T) {
	transports(t, func(t *testing.T, mk func(func(*Options)) *world) {
		w := mk(nil)
		out := w.mustRetry(t, w.batch(1, "{\"id\":1}\n{\"id\":\"secret-body\"}\n"), "Redshift.DataLoadFailed", true)
		for _, want := range []string{`file s3://lake/logs/it's\1.json`, "line 2", `column "id"`, "Invalid digit, Value '…', Pos 0, Type: Integer"} {
			if !strings.Contains(out.Err.Error(), want) {
				t.Errorf("%v lacks %s", out.Err, want)
			}
		}
		if strings.Contains(out.Err.Error(), "secret-body") {
			t.Errorf("%v quotes the record", out.Err)
		}
	})
}

// The end of the context ends the attempt and its statement.
func TestHang(t *testing.T) {
	transports(t, func(t *testing.T, mk func(func(*Options)) *world) {
		w := mk(nil)
		ld := w.batch(1, `{"id":1}`)
		w.engine.Faults.Arm(redshiftfake.HangInCopy, 1)
		ctx, cancel := context.WithCancel(context.Background())
		go w.whenHanging(cancel)
		out := w.Load(ctx, ld)
		if out.Kind != record.Retry || !errors.Is(out.Err, context.Canceled) || out.Code != "Redshift.QueryCancelled" {
			t.Fatalf("%+v, want a retry for the cancelled context", out)
		}
		w.mustLoad(t, ld)
		w.mustHold(t, "1|NULL")
	})
}

func TestCancelledBefore(t *testing.T) {
	transports(t, func(t *testing.T, mk func(func(*Options)) *world) {
		w := mk(nil)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if out := w.Load(ctx, w.batch(1, `{"id":1}`)); out.Kind != record.Retry || !errors.Is(out.Err, context.Canceled) || !out.Unsent {
			t.Errorf("%+v", out)
		}
		w.mustHold(t)
	})
}

// An attempt is given up while its COPY still runs and does not let itself be cancelled. The next one waits for it.
func TestNextAttemptWaitsForTheLast(t *testing.T) {
	transports(t, func(t *testing.T, mk func(func(*Options)) *world) {
		w := mk(nil)
		locks := w.watch("LOCK")
		ld := w.batch(1, `{"id":1}`)
		w.engine.Faults.Arm(redshiftfake.HangInCopy, 1)
		w.engine.Faults.Arm(redshiftfake.IgnoreCancel, 2) // over the wire it is asked twice
		ctx, cancel := context.WithCancel(context.Background())
		go w.whenHanging(cancel)
		if out := w.Load(ctx, ld); out.Kind != record.Retry || out.Unsent {
			t.Fatalf("%+v, want a retry of what still runs", out)
		}
		<-locks
		second := make(chan record.Outcome)
		go func() { second <- w.Load(context.Background(), ld) }()
		<-locks
		w.engine.Faults.Release()
		if out := <-second; out.Kind != record.Delivered {
			t.Fatalf("%+v", out)
		}
		w.mustHold(t, "1|NULL")
	})
}

func TestUnreachable(t *testing.T) {
	transports(t, func(t *testing.T, mk func(func(*Options)) *world) {
		w := mk(nil)
		w.stop()
		w.mustRetry(t, w.batch(1, `{}`), "Redshift.ConnectionFailed", true)
		if _, err := w.Loaded(context.Background(), "weblogs", "x"); err == nil {
			t.Error("loaded: want an error, as nobody knows")
		}
		if err := w.Forget(context.Background(), "weblogs", []string{"x"}); err == nil {
			t.Error("forget: want an error")
		}
	})
}

func TestManifestNotStored(t *testing.T) {
	w := overWire(t, func(o *Options) {
		o.PutManifest = func(context.Context, string, string, []byte) record.Outcome {
			return record.Outcome{Kind: record.Rejected, Code: "S3.AccessDenied", Err: errBroken}
		}
	})
	out := w.Load(context.Background(), w.batch(1, `{}`))
	if out.Kind != record.Retry || out.Code != "S3.AccessDenied" || !errors.Is(out.Err, errBroken) || !out.Unsent {
		t.Errorf("%+v", out)
	}
}

// What COPY may read with is asked for each time, and errors quote nothing of it.
func TestCredentials(t *testing.T) {
	var give string
	var fail error
	w := overWire(t, func(o *Options) { o.Credentials = func() (string, error) { return give, fail } })
	ld := w.batch(1, `{"id":1}`)
	for _, bad := range []string{"", "IAM_ROLE", "IAM_ROLE arn:x", "IAM_ROLE ''", "CREDENTIALS wJalrXUtnFEMI", "CREDENTIALS 'a' MANIFEST 'wJalrXUtnFEMI'",
		"SECRET 'wJalrXUtnFEMI'", "IAM_ROLE 'a'; DROP TABLE x; --'"} {
		give = bad
		w.mustRetry(t, ld, "Redshift.AccessDenied", true)
	}
	fail = errBroken
	w.mustRetry(t, ld, "Redshift.AccessDenied", true)
	give, fail = clause, nil
	w.mustLoad(t, ld)
	for _, role := range []string{"IAM_ROLE 'arn:aws:iam::1:role/r'", "iam_role DEFAULT"} {
		w.engine.Credentials, give = "", role
		w.mustLoad(t, w.batch(len(role), `{"id":1}`))
	}
}
