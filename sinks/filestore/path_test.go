package filestore

import (
	"path"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestPath(t *testing.T) {
	for _, c := range []struct{ bucket, key, want string }{
		{"lake", "logs/2026/11/21/09/a-1-2026.gz", "lake/logs/2026/11/21/09/a-1-2026.gz"},
		{"lake", "c=a b+c/ü/日本", "lake/c=a b+c/ü/日本"},
		{"lake", "100%", "lake/100%x25"},
		{"lake", "c=a%2Fb%25/%2E%2E", "lake/c=a%2Fb%25/%2E%2E"},
		{"lake", "%2f%x2F%%2F", "lake/%x252f%x25x2F%x25%2F"},
		{"lake", "a%o", "lake/a%x25o"},
		{"lake", "../../etc/passwd", "lake/%x2E%x2E/%x2E%x2E/etc/passwd"},
		{"lake", "./a/..", "lake/%x2E/a/%x2E%x2E"},
		{"lake", "...", "lake/..."},
		{"lake", "/a//b/", "lake/%z/a/%z/b/%z"},
		{"lake", "nul\x00tab\t\xff", "lake/nul%x00tab%x09%xFF"},
		{"..", "k", "%x2E%x2E/k"},
		{"a/b", "k", "a%x2Fb/k"},
		{"lake", strings.Repeat("n", 250), "lake/" + strings.Repeat("n", 250)},
		{"lake", strings.Repeat("n", 251), "lake/" + strings.Repeat("n", 240) + "%m/" + strings.Repeat("n", 11)},
		{"lake", strings.Repeat("é", 126), "lake/" + strings.Repeat("é", 120) + "%m/" + strings.Repeat("é", 6)},
		{"lake", strings.Repeat("%", 84), "lake/" + strings.Repeat("%x25", 60) + "%m/" + strings.Repeat("%x25", 24)},
	} {
		if got := Path(c.bucket, c.key); got != c.want {
			t.Errorf("Path(%q, %q) = %q, want %q", c.bucket, c.key, got, c.want)
		}
	}
}

func TestKeyRefuses(t *testing.T) {
	for _, p := range []string{"", "bucket", "b/k%", "b/k%G1", "b/k%m", "b/%0", "b/%x", "b/%x1", "b/%xg1"} {
		if bucket, key, err := Key(p); err == nil {
			t.Errorf("Key(%q) = %q %q", p, bucket, key)
		}
	}
}

// Whatever the key: one place that stays below the store's folder, names that fit, and a way back.
func FuzzPath(f *testing.F) {
	for _, s := range []string{"a/b", "..", "%", "%25", "a%o", "a%m/b", "//", "\x00\xff", strings.Repeat("%é", 300), "%z", "a%p/b"} {
		f.Add("lake", s)
		f.Add(s, "k")
	}
	f.Fuzz(func(t *testing.T, bucket, key string) {
		if bucket == "" || key == "" {
			return
		}
		p := Path(bucket, key)
		if path.Clean("/"+p) != "/"+p || !utf8.ValidString(p) {
			t.Fatalf("%q is no clean path", p)
		}
		names := strings.Split(p, "/")
		for i, n := range names {
			if len(n) > 253 || n == "" || n == "." || n == ".." || strings.ContainsRune(n, 0) {
				t.Fatalf("name %q", n)
			}
			if i < len(names)-1 && !strings.HasSuffix(n, markMore) {
				names[i] += markFolder
			}
		}
		for _, way := range []string{p, p + markObject, path.Join(names...)} {
			if b, k, err := Key(way); err != nil || b != bucket || k != key {
				t.Fatalf("Key(%q) = %q %q %v, want %q %q", way, b, k, err, bucket, key)
			}
		}
	})
}

// A damaged identity file must not crash anything nor point out of the store.
func FuzzParseID(f *testing.F) {
	f.Add("hydrant object 1\nkey \"k\"\npath \"b/k\"\nsize 1\nbatch \"v1;\"\n")
	f.Add("hydrant object 1\nkey \"k\"\npath \"../../etc/passwd\"\nsize 1\n")
	f.Fuzz(func(t *testing.T, text string) {
		at, _, ok := parseID(text, "k")
		if ok && (path.Clean("/"+at.path) != "/"+at.path || at.path == "") {
			t.Fatalf("path %q", at.path)
		}
	})
}

func TestParseIDRefusesOtherPlaces(t *testing.T) {
	for _, p := range []string{"../x/y", "/etc/passwd", "b/../../x", "b/./k", ""} {
		text := idHeader + "key \"k\"\npath \"" + p + "\"\nsize 1\nbatch \"\"\n"
		if at, _, ok := parseID(text, "k"); ok {
			t.Errorf("%q was taken: %+v", p, at)
		}
	}
}
