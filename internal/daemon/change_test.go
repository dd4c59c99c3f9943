package daemon

import (
	"context"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"hydrant/config"
	"hydrant/internal/vfs"
)

// What a changed configuration does to streams that hold records.

func withBackup(name string) config.Stream {
	s := small(name)
	s.Backup = config.Backup{Mode: config.BackupAll, S3: &config.S3{Bucket: "b-backup"}, Buffer: s.Buffer}
	s.Normalize()
	return s
}

func TestBackupAddedHoldsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.open(small("x"))
		w.mustPut("x", 3)
		w.sleep(30 * time.Second)
		w.stop(time.Minute)
		w.open(withBackup("x"))
		w.mustPut("x", 30)
		w.sleep(time.Minute)
		if n := strings.Count(w.store.text("b-backup"), "\n"); n < 30 {
			t.Errorf("%d of 30 records were backed up", n)
		}
		w.stop(time.Minute)
	})
}

func TestBackupTurnedOffFinishesAndLetsGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.store.setBucket("b-backup", weather{fail: 1})
		w.open(withBackup("x"))
		w.mustPut("x", 3)
		w.sleep(30 * time.Second)
		w.stop(time.Second)
		w.store.setBucket("b-backup", weather{})
		w.open(small("x"))
		w.mustPut("x", 30)
		w.sleep(10 * time.Minute)
		if n := strings.Count(w.store.text("b-backup"), "\n"); n != 3 {
			t.Errorf("%d records in the backup, want the 3 that it had closed", n)
		}
		if b := w.d.Statuses()[0].BacklogBytes; b != 0 {
			t.Errorf("%d bytes are stuck", b)
		}
		w.stop(time.Minute)
	})
}

func TestBackupTurnedOnAgainRepeatsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		retained := func(s config.Stream) config.Stream {
			s.Buffer.Retain = config.Duration(24 * time.Hour)
			return s
		}
		for _, s := range []config.Stream{withBackup("x"), small("x"), small("x"), withBackup("x"), withBackup("x")} {
			w.open(retained(s))
			w.mustPut("x", 4)
			w.sleep(time.Minute)
			if n := testutil.ToFloat64(w.d.metrics.damaged.WithLabelValues("x")); n != 0 {
				t.Errorf("%v stretches reported damaged", n)
			}
			w.stop(time.Minute)
		}
		seen := map[string]int{}
		for line := range strings.SplitSeq(strings.TrimSuffix(w.store.text("b-backup"), "\n"), "\n") {
			if seen[line]++; seen[line] > 1 {
				t.Errorf("%s is in the backup twice", line)
			}
		}
		if len(seen) < 12 {
			t.Errorf("%d records in the backup, want the 12 that came while it was on", len(seen))
		}
	})
}

func TestRetainAddedHoldsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.open(small("x"))
		w.mustPut("x", 3)
		w.sleep(time.Minute)
		w.stop(time.Minute)
		c := small("x")
		c.Buffer.Retain = config.Duration(24 * time.Hour)
		w.open(c)
		w.mustPut("x", 30)
		w.sleep(10 * time.Minute)
		if log, _ := w.d.stream("x").opened(); log.Start() == log.End() {
			t.Error("nothing is retained")
		}
		w.stop(time.Second)
	})
}

func TestEditOnAFullDiskStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.store.set(weather{fail: 1})
		w.open(small("x"))
		w.mustPut("x", 3)
		w.sleep(time.Minute)
		w.cut(true, 0)
		w.mem.SetHook(func(op vfs.Op) error {
			if op.Kind == vfs.OpCreate {
				return syscall.ENOSPC
			}
			return nil
		})
		c := small("x")
		c.Destination.S3.Prefix = "p/"
		w.cfg.Streams = []config.Stream{c}
		if err := w.tryOpen(); err != nil {
			t.Fatalf("an edited stream: %v", err)
		}
		w.stop(time.Second)
		w.cfg.Streams, w.cfg.File = nil, "other.yml"
		if err := w.tryOpen(); err != nil {
			t.Fatalf("a stream that left: %v", err)
		}
		w.store.set(weather{})
		w.sleep(time.Minute)
		if n := strings.Count(w.store.text("b-x"), "\n"); n != 3 {
			t.Errorf("%d of 3 records were drained from the full disk", n)
		}
		w.mem.SetHook(nil)
		w.stop(time.Minute)
	})
}

// Whoever forgets --config must not lose the streams of his file.
func TestForgottenConfigurationIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.open(small("x"))
		w.mustPut("x", 3)
		w.stop(time.Minute)
		w.cfg.Streams, w.cfg.File = nil, ""
		err := w.tryOpen()
		if err == nil || !strings.Contains(err.Error(), "--config") || !strings.Contains(err.Error(), "x") {
			t.Fatalf("started without the configuration: %v", err)
		}
		w.open(small("x"))
		w.mustPut("x", 1)
		w.stop(time.Minute)
	})
}

func TestConfiguredNameWaitsForADrainingStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.store.set(weather{fail: 1})
		w.open()
		c := small("x")
		if _, err := w.d.Create(context.Background(), &c); err != nil {
			t.Fatal(err)
		}
		w.mustPut("x", 3)
		if err := w.d.Delete(context.Background(), "x", false); err != nil {
			t.Fatal(err)
		}
		w.stop(time.Second)
		w.open(small("x"))
		w.sleep(time.Second)
		if err := w.put("x", 1); err == nil {
			t.Error("a draining stream took a record")
		}
		w.store.set(weather{})
		w.sleep(time.Minute)
		w.mustPut("x", 2)
		w.stop(time.Minute)
	})
}

func TestPutLargerThanTheBacklogHasItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		s := small("x")
		s.Buffer.Size, s.Buffer.MaxBacklog = config.MB, config.MB
		w.open(s)
		if err := w.put("x", 12000); err != nil {
			t.Errorf("refused with nothing waiting: %v", err)
		}
		w.stop(time.Minute)
	})
}

// Who refuses puts says so where people look.
func TestRefusalsAreShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.store.set(weather{fail: 1})
		s := small("x")
		s.Buffer.Size, s.Buffer.MaxBacklog = config.MB, config.MB
		w.open(s)
		refused := w.d.metrics.refused.WithLabelValues("x")
		if testutil.ToFloat64(refused) != 0 {
			t.Error("the counter does not begin at 0")
		}
		for range 200 {
			_ = w.put("x", 500)
		}
		if testutil.ToFloat64(refused) == 0 {
			t.Fatal("nothing was refused")
		}
		if words := w.d.Statuses()[0].Words(time.Now()); !strings.Contains(words, "refusing puts") || !strings.Contains(words, "max_backlog") {
			t.Errorf("the state says %q", words)
		}
		w.store.set(weather{})
		w.sleep(time.Minute)
		if words := w.d.Statuses()[0].Words(time.Now()); words != "ACTIVE" {
			t.Errorf("a minute after the last refusal the state says %q", words)
		}
		w.stop(time.Minute)
	})
}

// With a backup of failures that has a place of its own, what is set aside goes there, after a change too.
func TestBackupOfFailuresTakesWhatIsSetAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		s := small("web")
		s.Destination.S3.Prefix = strings.Repeat("x", 490) + "/"
		s.Destination.S3.FileExtension = "." + strings.Repeat("e", 550) // no key of the batch fits
		s.Destination.S3.ErrorPrefix = "errors/!{firehose:error-output-type}/"
		s.Backup = config.Backup{Mode: config.BackupFailed, S3: &config.S3{Bucket: "b-aside", Prefix: "set/", ErrorPrefix: "aside/!{firehose:error-output-type}/"}}
		s.Normalize()
		w.open(s)
		w.mustPut("web", 5)
		w.stop(time.Minute)
		if n := len(w.store.list("b-web")); n != 0 {
			t.Errorf("%d objects in the destination's bucket", n)
		}
		for _, name := range w.store.list("b-aside") {
			if !strings.HasPrefix(name, "b-aside/aside/s3-failed/") {
				t.Errorf("%s is not below the backup's error prefix", name)
			}
		}
		if n := strings.Count(w.store.text("b-aside"), "\n"); n != 5 {
			t.Errorf("%d of 5 records are in the backup", n)
		}
	})
}
