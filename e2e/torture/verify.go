package main

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// store reads what was delivered.
type store interface {
	// each calls f with every object of the bucket, in the order of their keys.
	each(ctx context.Context, f func(object) error) error
}

// strictS3 reads from the S3 server itself, past the fault proxy.
type strictS3 struct{ client *s3.Client }

func newStrictS3(addr string) strictS3 {
	return strictS3{s3.New(s3.Options{Region: "us-east-1", BaseEndpoint: aws.String("http://" + addr), UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(accessKey, secretKey, "")})}
}

func (s strictS3) makeBucket(ctx context.Context, name string) error {
	_, err := s.client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(name)})
	return err
}

func (s strictS3) each(ctx context.Context, f func(object) error) error {
	pages := s3.NewListObjectsV2Paginator(s.client, &s3.ListObjectsV2Input{Bucket: aws.String(bucket)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, o := range page.Contents {
			got, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(bucket), Key: o.Key})
			if err != nil {
				return err
			}
			body, err := io.ReadAll(got.Body)
			if err = errors.Join(err, got.Body.Close()); err != nil {
				return fmt.Errorf("%s: %w", *o.Key, err)
			}
			if err := f(object{*o.Key, got.Metadata["hydrant-batch"], body}); err != nil {
				return err
			}
		}
	}
	return nil
}

// folder reads the embedded store of a data directory: objects, and beside them who they are.
type folder struct{ data string }

func (d folder) each(_ context.Context, f func(object) error) error {
	root := filepath.Join(d.data, "s3")
	all, err := d.identities()
	if err != nil {
		return err
	}
	err = filepath.WalkDir(filepath.Join(root, bucket), func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if _, known := all[rel]; !known {
			all[rel] = object{key: strings.TrimPrefix(rel, bucket+"/")}
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, rel := range slices.SortedFunc(maps.Keys(all), func(a, b string) int { return cmp.Compare(all[a].key, all[b].key) }) {
		o := all[rel]
		o.body, err = os.ReadFile(filepath.Join(root, rel))
		if errors.Is(err, fs.ErrNotExist) {
			continue // an identity is written before its object
		}
		if err == nil {
			err = f(o)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// identities are objects without their bytes, by their place among the buckets' folders.
func (d folder) identities() (map[string]object, error) {
	all := map[string]object{}
	err := filepath.WalkDir(filepath.Join(d.data, "s3-meta", "ids", bucket), func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		fields := map[string]string{}
		for line := range strings.Lines(string(text)) {
			name, quoted, _ := strings.Cut(strings.TrimSpace(line), " ")
			if v, err := strconv.Unquote(quoted); err == nil {
				fields[name] = v
			}
		}
		all[fields["path"]] = object{key: fields["key"], identity: fields["batch"]}
		return nil
	})
	return all, err
}

// verify reads every object and compares with what producers know.
func verify(ctx context.Context, s store, l *ledger) (t *tally, objects int, err error) {
	t = l.tally()
	err = s.each(ctx, func(o object) error {
		objects++
		if !strings.HasSuffix(o.key, ".gz") {
			t.object(o)
			return nil
		}
		z, err := gzip.NewReader(bytes.NewReader(o.body))
		if err == nil {
			o.body, err = io.ReadAll(z)
		}
		if err != nil {
			t.unreadable++
			t.example("unreadable", o.key, "%v", err)
			return nil
		}
		t.object(o)
		return nil
	})
	t.finish()
	return t, objects, err
}
