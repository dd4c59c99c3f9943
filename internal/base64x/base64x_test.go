package base64x

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"
)

func TestDecodeBase64AllLengths(t *testing.T) {
	data := bytes.Repeat([]byte{0, 0xff, 0x10, 0x83, 0x7e, 0xbf}, 40)
	for n := range len(data) {
		checkBase64(t, []byte(base64.StdEncoding.EncodeToString(data[:n])))
	}
}

func TestDecodeBase64RefusesEveryBadByte(t *testing.T) {
	good := []byte(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("x"), 50)))
	for at := range good {
		for c := range 256 {
			s := bytes.Clone(good)
			s[at] = byte(c)
			checkBase64(t, s)
		}
	}
}

// checkBase64 compares with the standard library, but for line breaks, which we refuse.
func checkBase64(t *testing.T, src []byte) {
	t.Helper()
	want, err := base64.StdEncoding.DecodeString(string(src))
	if bytes.ContainsAny(src, "\r\n") {
		want, err = nil, base64.CorruptInputError(0)
	}
	dst := make([]byte, Max(len(src)))
	n, ok := Decode(dst, src)
	if ok != (err == nil) {
		t.Fatalf("%q: ok %v, standard library %v", src, ok, err)
	}
	if ok && !bytes.Equal(dst[:n], want) {
		t.Fatalf("%q: got %q, want %q", src, dst[:n], want)
	}
}

func FuzzDecodeBase64(f *testing.F) {
	for _, s := range []string{"", "Zg==", "Zm8=", "Zm9v", "Zh==", "====", "Z===", "Zg=", "Zg==Zg==", "Zm9\n", "Zm9vYmFyYmF6cXV1eA==", strings.Repeat("+/9A", 20)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		checkBase64(t, src)
		// Any bytes, encoded, come back.
		checkBase64(t, []byte(base64.StdEncoding.EncodeToString(src)))
	})
}

func BenchmarkDecodeBase64(b *testing.B) {
	src := []byte(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("hydrant!"), 128)))
	dst := make([]byte, Max(len(src)))
	b.SetBytes(int64(len(src)))
	for b.Loop() {
		if _, ok := Decode(dst, src); !ok {
			b.Fatal("refused")
		}
	}
}
