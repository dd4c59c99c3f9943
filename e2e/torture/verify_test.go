package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestTheFileStoreIsRead: keys and identities come from beside the objects; an identity without an object is nothing.
func TestTheFileStoreIsRead(t *testing.T) {
	data := t.TempDir()
	put := func(name, text string) {
		name = filepath.Join(data, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	id := func(key, path string) string {
		return fmt.Sprintf("hydrant object 1\nkey %q\npath %q\nsize 1\nbatch %q\n", key, bucket+"/"+path, "of "+key)
	}
	put("s3/"+bucket+"/b%2F", "x")
	put("s3/"+bucket+"/z", "y")
	put("s3-meta/ids/"+bucket+"/01/01.id", id("b/", "b%2F"))
	put("s3-meta/ids/"+bucket+"/02/02.id", id("a", "a"))
	var got []string
	err := folder{data}.each(context.Background(), func(o object) error {
		got = append(got, fmt.Sprintf("%s=%s by %q", o.key, o.body, o.identity))
		return nil
	})
	if want := []string{`b/=x by "of b/"`, `z=y by ""`}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q %v", got, err)
	}
}
