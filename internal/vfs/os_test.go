package vfs

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestLockRefusesASecondHolder(t *testing.T) {
	dir := t.TempDir()
	unlock, err := Lock(dir, "first\n")
	must(t, err)
	_, err = Lock(dir, "second")
	var locked *LockedError
	if !errors.As(err, &locked) {
		t.Fatalf("error is %v", err)
	}
	if locked.Holder != "first" || locked.Path != filepath.Join(dir, "LOCK") || !strings.Contains(err.Error(), "the data directory "+dir+" is in use: held by first") {
		t.Fatalf("%+v: %v", locked, err)
	}
	must(t, unlock())
	must(t, unlock())
	unlock, err = Lock(dir, "second")
	must(t, err)
	_, err = Lock(dir, "third")
	if !errors.As(err, &locked) || locked.Holder != "second" {
		t.Fatal(err)
	}
	must(t, unlock())
}

func TestLockWithoutAFolder(t *testing.T) {
	_, err := Lock(filepath.Join(t.TempDir(), "none"), "x")
	wantErr(t, err, fs.ErrNotExist)
	var locked *LockedError
	if errors.As(err, &locked) {
		t.Fatal("a missing folder is not a held one")
	}
}

func TestLockOfAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	must(t, os.WriteFile(file, nil, 0o600))
	if _, err := Lock(file, "x"); err == nil || err.Error() != "data directory "+file+": is a file; name a folder" {
		t.Fatal(err)
	}
}

func TestLockLimitsTheHolderText(t *testing.T) {
	dir := t.TempDir()
	unlock, err := Lock(dir, strings.Repeat("x", 1<<20))
	must(t, err)
	defer unlock()
	_, err = Lock(dir, "y")
	var locked *LockedError
	if !errors.As(err, &locked) || len(locked.Holder) != maxHolderBytes {
		t.Fatal(err)
	}
}

const lockDirEnv = "VFS_TEST_LOCK_DIR"

// TestMain lets the test binary be the other process of TestLockIsFreedByKill.
func TestMain(m *testing.M) {
	dir := os.Getenv(lockDirEnv)
	if dir == "" {
		goleak.VerifyTestMain(m)
		return
	}
	if _, err := Lock(dir, HolderText(time.Now())); err != nil {
		os.Exit(1)
	}
	os.Stdout.WriteString("locked\n")
	select {}
}

func TestLockIsFreedByKill(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), lockDirEnv+"="+dir)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "locked\n" {
		t.Fatalf("%q, %v", line, err)
	}
	_, err = Lock(dir, "x")
	var locked *LockedError
	if !errors.As(err, &locked) || !strings.HasPrefix(locked.Holder, "pid ") {
		t.Fatal(err)
	}
	must(t, cmd.Process.Kill())
	_ = cmd.Wait() // it says that the process was killed
	unlock, err := Lock(dir, "x")
	must(t, err)
	must(t, unlock())
}

func TestOSModes(t *testing.T) {
	dir := t.TempDir()
	old := syscall.Umask(0o022)
	defer syscall.Umask(old)
	create(t, NewOS(), dir+"/a", "x")
	must(t, NewOS().Mkdir(dir+"/d"))
	for name, want := range map[string]fs.FileMode{"a": 0o644, "d": 0o755} {
		st, err := os.Stat(filepath.Join(dir, name))
		must(t, err)
		if st.Mode().Perm() != want {
			t.Fatalf("%s has mode %v", name, st.Mode())
		}
	}
}

func TestOSSyncAfterClose(t *testing.T) {
	h := create(t, NewOS(), t.TempDir()+"/a", "x")
	must(t, h.Close())
	wantErr(t, h.Sync(), fs.ErrClosed)
}

func TestOSSyncReportsTheFile(t *testing.T) {
	r, w, err := os.Pipe()
	must(t, err)
	defer r.Close()
	defer w.Close()
	err = osFile{w}.Sync() // a pipe cannot be synced
	var pe *fs.PathError
	if !errors.As(err, &pe) || pe.Op != "fdatasync" {
		t.Fatal(err)
	}
	wantErr(t, err, syscall.EINVAL)
}

func TestRetryEINTR(t *testing.T) {
	calls := 0
	err := retryEINTR(func() error {
		calls++
		if calls < 3 {
			return syscall.EINTR
		}
		return syscall.EIO
	})
	if calls != 3 || !errors.Is(err, syscall.EIO) {
		t.Fatal(calls, err)
	}
}
