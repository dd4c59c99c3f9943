package config

import (
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"hydrant/config/prefix"
)

func (f *File) check(r *report, path string, s *Stream) {
	f.checkPath(r, path+".path")
	f.checkRotation(r, path+".rotate")
	if s.Format == FormatParquet || s.Format == FormatJSONArray {
		r.add("format", "%s cannot be appended to; use json or raw", s.Format)
	}
	if !slices.Contains([]string{CompressionNone, CompressionGzip, CompressionZstd}, s.Compression) {
		r.add("compression", "%s cannot be appended to; use none, gzip or zstd", s.Compression)
	}
}

func (f *File) checkPath(r *report, path string) {
	switch {
	case f.Path == "":
		r.add(path, "is missing; write a file's path, or \"-\" for standard output")
		return
	case strings.HasSuffix(f.Path, "/"):
		r.add(path, "%q is a folder; name a file in it", clip(f.Path))
		return
	}
	if _, err := prefix.Parse(f.Path, prefix.Path); err != nil {
		r.add(path, "%s", constraint(err))
		return
	}
	names := strings.Split(expression.ReplaceAllString(f.Path, "x"), "/")
	last := names[len(names)-1]
	tooLong := func(folder string) bool { return len(folder) > maxFileName }
	limit := maxFileName
	if f.Rotate.Size > 0 {
		limit -= roomForNumber
	}
	switch {
	case slices.Contains(names, "."), slices.Contains(names, ".."):
		r.add(path, "%q has a part . or ..; write a path without, which is relative to the folder the daemon runs in, or an absolute one", clip(f.Path))
	case slices.ContainsFunc(names[:len(names)-1], tooLong):
		r.add(path, "a folder's name has more than %d bytes; choose a shorter one", maxFileName)
	case len(last) > limit:
		r.add(path, "the file's name has %d bytes; use at most %d, with rotate %d", len(last), maxFileName, maxFileName-roomForNumber)
	}
}

func (f *File) checkRotation(r *report, path string) {
	switch {
	case f.Rotate != Rotate{} && f.Path == Stdout:
		r.add(path, "has no effect on standard output; remove it")
		return
	case f.Rotate.Size == 0 && f.Rotate.Keep != 0:
		r.add(path+".keep", "has no effect without rotate.size; write one such as 100MB")
	case f.Rotate.Size != 0:
		checkRange(r, path+".size", f.Rotate.Size, 64*KB, maxSpace, "64KB and more, or leave it out")
	}
	if f.Rotate.Keep < 0 || f.Rotate.Keep > maxFileKeep {
		r.add(path+".keep", "%d is outside 0 (all) to %d", f.Rotate.Keep, maxFileKeep)
	}
}

// checkFiles: a file belongs to one stream, and so do the names that it gets when it is put aside.
func (c *Config) checkFiles(r *report) {
	first, rotated := map[string]int{}, map[string]int{}
	for i, s := range c.Streams {
		f := s.Destination.File
		if f == nil || f.Path == "" {
			continue
		}
		name := f.place()
		if of, taken := first[name]; taken {
			r.add(fmt.Sprintf("streams[%d].destination.file.path", i), "%q is already the path of streams[%d]; every stream needs a file of its own", clip(f.Path), of)
			continue
		}
		first[name] = i
		if f.Rotate.Size > 0 {
			rotated[name] = i
		}
	}
	for _, name := range slices.Sorted(maps.Keys(first)) {
		at := number.FindStringIndex(name)
		if at == nil {
			continue
		}
		if of, taken := rotated[name[:at[0]]]; taken {
			i := first[name]
			r.add(fmt.Sprintf("streams[%d].destination.file.path", i), "%q is a name that the file of streams[%d] gets by rotation; choose another", clip(c.Streams[i].Destination.File.Path), of)
		}
	}
}

// place is the same for paths that are written differently and name the same file.
func (f *File) place() string {
	if f.Path == Stdout {
		return f.Path
	}
	if abs, err := filepath.Abs(f.Path); err == nil {
		return abs
	}
	return filepath.Clean(f.Path)
}

// number is what rotation puts behind a name.
var number = regexp.MustCompile(`\.[1-9][0-9]*$`)

const (
	maxFileName   = 255
	roomForNumber = 10 // .1 and so on, behind the name of a file that was put aside
)

// expression is one in a path, which may have slashes of its own.
var expression = regexp.MustCompile(`!\{[^}]*\}`)
