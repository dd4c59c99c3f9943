package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/klauspost/compress/gzip"
)

// errorObjects is where error objects lie.
type errorObjects interface {
	// list calls visit with each key under the prefix, in order, until it returns an error.
	list(ctx context.Context, prefix string, visit func(key string) error) error
	open(ctx context.Context, key string) (io.ReadCloser, error)
}

// s3Flags say where S3 is.
type s3Flags struct{ endpoint, region string }

type s3Objects struct {
	client *s3.Client
	bucket string
}

func (f s3Flags) open(ctx context.Context, bucket string) (errorObjects, error) {
	opts := []func(*awsconfig.LoadOptions) error{awsconfig.WithDefaultRegion(defaultRegion)}
	if f.region != "" {
		opts = append(opts, awsconfig.WithRegion(f.region))
	}
	c, err := awsconfig.LoadDefaultConfig(ctx, opts...)
	if err != nil {
		return nil, configError{fmt.Errorf("the AWS settings of this shell cannot be used: %w", err)}
	}
	other := f.endpoint != "" || os.Getenv("AWS_ENDPOINT_URL_S3") != "" || os.Getenv("AWS_ENDPOINT_URL") != ""
	return &s3Objects{s3.NewFromConfig(c, func(o *s3.Options) {
		if f.endpoint != "" {
			o.BaseEndpoint = &f.endpoint
		}
		o.UsePathStyle = other // what is compatible with S3 seldom has a name for each bucket
	}), bucket}, nil
}

func (s *s3Objects) list(ctx context.Context, prefix string, visit func(key string) error) error {
	pages := s3.NewListObjectsV2Paginator(s.client, &s3.ListObjectsV2Input{Bucket: &s.bucket, Prefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("list s3://%s/%s: %w", s.bucket, prefix, err)
		}
		for _, o := range page.Contents {
			if strings.HasSuffix(aws.ToString(o.Key), "/") && aws.ToInt64(o.Size) == 0 {
				continue // a console's folder
			}
			if err := visit(aws.ToString(o.Key)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *s3Objects) open(ctx context.Context, key string) (io.ReadCloser, error) {
	out, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.bucket, Key: &key})
	if err != nil {
		return nil, err
	}
	return out.Body, nil
}

// folderObjects are the objects of the embedded store: a bucket is a folder.
type folderObjects struct{ root string }

func openFolder(dataDir, bucket string) (errorObjects, error) {
	if bucket == "." || bucket == ".." {
		return nil, usagef("%q is no bucket", bucket)
	}
	root := filepath.Join(dataDir, "s3", bucket)
	if info, err := os.Stat(root); err != nil {
		return nil, fmt.Errorf("bucket %s: %w", bucket, err)
	} else if !info.IsDir() {
		return nil, fmt.Errorf("bucket %s: %s is no folder", bucket, root)
	}
	return folderObjects{root}, nil
}

func (f folderObjects) list(ctx context.Context, prefix string, visit func(key string) error) error {
	from := path.Dir(prefix + "x") // the folder that all keys with the prefix are in
	if !fs.ValidPath(from) {
		return usagef("%q is no prefix of a local bucket", prefix)
	}
	err := fs.WalkDir(os.DirFS(f.root), from, func(key string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case d.IsDir() || !strings.HasPrefix(key, prefix):
			return nil
		}
		return visit(key)
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil // no key has the prefix
	}
	return err
}

func (f folderObjects) open(_ context.Context, key string) (io.ReadCloser, error) {
	return os.Open(filepath.Join(f.root, filepath.FromSlash(key)))
}

// badObject is an object that cannot be read as error records.
type badObject struct{ why string }

func (b *badObject) Error() string { return b.why }

// unlessEnded makes a badObject of err, unless the command was interrupted.
func unlessEnded(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return &badObject{err.Error()}
}

// maxPartBytes is what is sent at once: less than the daemon reads, and more than most error objects have.
const maxPartBytes = 15 << 20

// errorPart is some records of an object, a line each.
type errorPart struct {
	lines   bytes.Buffer
	records int64
	codes   map[string]int64
}

func (p *errorPart) reset() {
	p.lines.Reset()
	p.records, p.codes = 0, map[string]int64{}
}

// eachPart reads an object, packed with gzip or not, its records on lines of their own or back to back, and calls visit with parts that
// begin and end at the same records each time.
func eachPart(ctx context.Context, body io.Reader, visit func(p *errorPart) error) error {
	in := bufio.NewReaderSize(body, 256<<10)
	var text io.Reader = in
	if magic, err := in.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(in)
		if err != nil {
			return unlessEnded(ctx, err)
		}
		text = z // nothing is to be closed: its Close only repeats what Read said
	}
	p := &errorPart{}
	p.reset()
	for d := json.NewDecoder(text); ; {
		var line json.RawMessage
		err := d.Decode(&line)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return unlessEnded(ctx, fmt.Errorf("it is no error object: %w", err))
		}
		code, err := codeOf(line)
		if err != nil {
			return unlessEnded(ctx, err)
		}
		if p.records > 0 && p.lines.Len()+len(line)+1 > maxPartBytes {
			if err := visit(p); err != nil {
				return err
			}
			p.reset()
		}
		p.lines.Write(line)
		p.lines.WriteByte('\n')
		p.records++
		p.codes[code]++
	}
	if p.records == 0 {
		return nil
	}
	return visit(p)
}

// codeOf is why a record was set aside.
func codeOf(line json.RawMessage) (string, error) {
	var e struct {
		RawData       *string         `json:"rawData"`
		ErrorCode     json.RawMessage `json:"errorCode"`
		LastErrorCode json.RawMessage `json:"lastErrorCode"`
	}
	if err := json.Unmarshal(line, &e); err != nil || e.RawData == nil {
		return "", fmt.Errorf("it holds something that is no error record: %.60q", line)
	}
	for _, code := range []json.RawMessage{e.ErrorCode, e.LastErrorCode} {
		if text := strings.Trim(string(code), `"`); text != "" && text != "null" {
			return text, nil
		}
	}
	return "(no code)", nil
}

// byCount are the keys, those with most first.
func byCount(m map[string]int64) (keys []string) {
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b string) int {
		if m[a] != m[b] {
			return int(m[b] - m[a])
		}
		return strings.Compare(a, b)
	})
	return keys
}
