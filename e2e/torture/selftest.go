package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// proveDisk shows that the lossy disk keeps what was synced and loses what was not: otherwise power cuts would prove nothing.
func proveDisk(o *options) (err error) {
	d := &disk{bin: filepath.Join(o.components, "lossyfs"), dir: filepath.Join(o.dir, "selftest")}
	d.mount = filepath.Join(d.dir, "mount")
	if err := d.start(); err != nil {
		return err
	}
	defer d.unmount()
	at := func(name string) string { return filepath.Join(d.mount, name) }
	steps := []error{
		write(at("unsynced data"), "lost", false), write(at("cut"), "0123456789", true), os.Mkdir(at("kept"), 0o755), syncFolder(d.mount),
		write(at("kept/file"), "data", true), syncFolder(at("kept")),
		write(at("kept/unsynced name"), "data", true),
		os.Mkdir(at("unsynced folder"), 0o755), write(at("unsynced folder/file"), "data", true), syncFolder(at("unsynced folder")),
		os.Rename(at("kept/file"), at("kept/renamed")), os.Remove(at("cut")),
	}
	if err := errors.Join(steps...); err != nil {
		return err
	}
	if err := d.image(); err != nil {
		return err
	}
	want := map[string]string{"unsynced data": "", "cut": "0123456789", "kept/file": "data"}
	root := filepath.Join(d.state(), "after-crash")
	err = filepath.WalkDir(root, func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		name, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		got, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		if expected, ok := want[name]; !ok || string(got) != expected {
			return fmt.Errorf("after a power cut the lossy disk holds %q with %q", name, got)
		}
		delete(want, name)
		return nil
	})
	if err == nil && len(want) > 0 {
		err = fmt.Errorf("after a power cut the lossy disk has lost %v, which was synced", want)
	}
	return err
}

func write(name, data string, synced bool) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(data)
	if err == nil && synced {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
