package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// store reads what was delivered.
type store interface {
	// each calls f with every object of the bucket, in the order of their keys.
	each(ctx context.Context, f func(key string, body []byte) error) error
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

func (s strictS3) each(ctx context.Context, f func(string, []byte) error) error {
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
			if err := f(*o.Key, body); err != nil {
				return err
			}
		}
	}
	return nil
}

// folder reads the embedded store.
type folder struct{ root string }

func (d folder) each(_ context.Context, f func(string, []byte) error) error {
	var keys []string
	err := filepath.WalkDir(d.root, func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		key, err := filepath.Rel(d.root, p)
		keys = append(keys, key)
		return err
	})
	if err != nil {
		return err
	}
	sort.Strings(keys)
	for _, k := range keys {
		body, err := os.ReadFile(filepath.Join(d.root, k))
		if err != nil {
			return err
		}
		if err := f(k, body); err != nil {
			return err
		}
	}
	return nil
}

// verify reads every object and compares with what producers know.
func verify(ctx context.Context, s store, l *ledger) (t *tally, objects int, err error) {
	t = l.tally()
	err = s.each(ctx, func(key string, body []byte) error {
		objects++
		if strings.HasSuffix(key, ".gz") {
			z, err := gzip.NewReader(bytes.NewReader(body))
			if err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
			if body, err = io.ReadAll(z); err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
		}
		t.object(key, body)
		return nil
	})
	t.finish()
	return t, objects, err
}
