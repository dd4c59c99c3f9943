package s3fake

import (
	"bufio"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
)

// sums are the digests of a body, all taken while it is read.
type sums struct {
	md5, sha256 hash.Hash
	other       map[string]hash.Hash // header -> hash, of those that were asked for
	n           int64
}

// checksums are the headers, or trailers, that carry a digest of the whole body.
func checksums() map[string]func() hash.Hash {
	return map[string]func() hash.Hash{
		"X-Amz-Checksum-Crc32":     func() hash.Hash { return crc32.NewIEEE() },
		"X-Amz-Checksum-Crc32c":    func() hash.Hash { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) },
		"X-Amz-Checksum-Crc64nvme": func() hash.Hash { return crc64.New(crc64.MakeTable(0x9a6c9329ac4bc9b5)) },
		"X-Amz-Checksum-Sha1":      sha1.New,
		"X-Amz-Checksum-Sha256":    sha256.New,
	}
}

func newSums(h http.Header) *sums {
	s := &sums{md5: md5.New(), sha256: sha256.New(), other: map[string]hash.Hash{}}
	trailer := textproto.CanonicalMIMEHeaderKey(h.Get("X-Amz-Trailer"))
	for name, mk := range checksums() {
		if h.Get(name) != "" || trailer == name {
			s.other[name] = mk()
		}
	}
	return s
}

func (s *sums) Write(p []byte) (int, error) {
	s.n += int64(len(p))
	_, _ = s.md5.Write(p)
	_, _ = s.sha256.Write(p)
	for _, h := range s.other {
		_, _ = h.Write(p)
	}
	return len(p), nil
}

func (s *sums) etag() string { return hex.EncodeToString(s.md5.Sum(nil)) }

func (s *sums) crc32() string {
	if h := s.other["X-Amz-Checksum-Crc32"]; h != nil {
		return base64.StdEncoding.EncodeToString(h.Sum(nil))
	}
	return ""
}

// receive reads a request's body into w and holds it against every digest the request carries.
func receive(r *http.Request, w io.Writer) (*sums, error) {
	s := newSums(r.Header)
	payload := r.Header.Get("X-Amz-Content-Sha256")
	body, trailer := io.Reader(r.Body), http.Header{}
	want := r.ContentLength
	if strings.HasPrefix(payload, "STREAMING-") {
		c := &chunked{r: bufio.NewReaderSize(r.Body, 64<<10), trailer: trailer}
		body = c
		n, err := strconv.ParseInt(r.Header.Get("X-Amz-Decoded-Content-Length"), 10, 64)
		if err != nil {
			return nil, &apiError{http.StatusLengthRequired, "MissingContentLength"}
		}
		want = n
	}
	if _, err := io.Copy(io.MultiWriter(w, s), body); err != nil {
		return nil, fmt.Errorf("%w: %w", &apiError{http.StatusBadRequest, "IncompleteBody"}, err)
	}
	if want < 0 {
		return nil, &apiError{http.StatusLengthRequired, "MissingContentLength"}
	}
	if s.n != want {
		return nil, &apiError{http.StatusBadRequest, "IncompleteBody"}
	}
	return s, s.check(r.Header, trailer, payload)
}

func (s *sums) check(h, trailer http.Header, payload string) error {
	if len(payload) == 64 && payload != hex.EncodeToString(s.sha256.Sum(nil)) {
		return &apiError{http.StatusBadRequest, "XAmzContentSHA256Mismatch"}
	}
	if v := h.Get("Content-Md5"); v != "" && v != base64.StdEncoding.EncodeToString(s.md5.Sum(nil)) {
		return errDigest
	}
	for name, sum := range s.other {
		v := h.Get(name)
		if v == "" {
			v = trailer.Get(name)
		}
		if v != base64.StdEncoding.EncodeToString(sum.Sum(nil)) {
			return errDigest
		}
	}
	return nil
}

var errChunk = errors.New("malformed aws-chunked body")

// chunked reads an aws-chunked body: HEX[;chunk-signature=…]CRLF, bytes, CRLF, …, 0 CRLF, trailers.
// Chunk signatures are not checked.
type chunked struct {
	r       *bufio.Reader
	left    int64
	begun   bool
	end     bool
	trailer http.Header
}

func (c *chunked) Read(p []byte) (int, error) {
	if c.left == 0 && !c.end {
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	if c.end {
		return 0, io.EOF
	}
	n, err := c.r.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (c *chunked) next() error {
	if c.begun {
		if line, err := c.line(); err != nil || line != "" {
			return errChunk
		}
	}
	c.begun = true
	line, err := c.line()
	if err != nil {
		return err
	}
	size, _, _ := strings.Cut(line, ";")
	n, err := strconv.ParseInt(size, 16, 64)
	if err != nil || n < 0 {
		return errChunk
	}
	if c.left = n; n > 0 {
		return nil
	}
	c.end = true
	return c.readTrailer()
}

func (c *chunked) readTrailer() error {
	for range 16 {
		line, err := c.line()
		if errors.Is(err, io.EOF) || line == "" {
			return nil
		}
		if err != nil {
			return err
		}
		k, v, ok := strings.Cut(line, ":")
		if !ok {
			return errChunk
		}
		c.trailer.Set(strings.TrimSpace(k), strings.TrimSpace(v))
	}
	return errChunk
}

// line reads up to CRLF; a line longer than the reader's buffer is an error.
func (c *chunked) line() (string, error) {
	b, err := c.r.ReadSlice('\n')
	if err != nil && len(b) == 0 {
		return "", err
	}
	if err != nil {
		return "", errChunk
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}
