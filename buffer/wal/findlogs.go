package wal

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"hydrant/internal/vfs"
)

// FindLogs returns the folders of the logs in dir, which is a log's folder, a stream's or a data directory. fs.ErrNotExist when there is none.
func FindLogs(fsys vfs.FS, dir string) ([]string, error) {
	names, err := fsys.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var logs []string
	for _, n := range names {
		switch _, segment := parseSegmentName(n); {
		case segment:
			return []string{dir}, nil
		case n == "log/":
			return []string{filepath.Join(dir, "log")}, nil
		case n == "streams/":
			if logs, err = logsOfStreams(fsys, filepath.Join(dir, "streams")); err != nil {
				return nil, err
			}
		}
	}
	if len(logs) == 0 && filepath.Base(dir) == "log" {
		return []string{dir}, nil // of a stream that never took a record
	}
	if len(logs) == 0 {
		return nil, fmt.Errorf("no log in %s: %w", dir, fs.ErrNotExist)
	}
	return logs, nil
}

func logsOfStreams(fsys vfs.FS, dir string) (logs []string, err error) {
	names, err := fsys.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, n := range names {
		log := filepath.Join(dir, n, "log")
		if !strings.HasSuffix(n, "/") {
			continue
		}
		if ok, err := fsys.Exists(log); err != nil {
			return nil, err
		} else if ok {
			logs = append(logs, log)
		}
	}
	return logs, nil
}
