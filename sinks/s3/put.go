package s3

import (
	"context"
	"errors"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"hydrant/record"
)

const (
	octetStream = "application/octet-stream"
	metadataKey = "hydrant-batch" // x-amz-meta-hydrant-batch
)

// Put makes one attempt to store the object under its key, which is free afterwards of all but this object
// or what was there before. Objects above 64 MiB go up in parts. An attempt takes at most 60 s and 1 s for each 512 KiB,
// less when ctx ends. The body is read from its start and not touched after the return.
func (s *Store) Put(ctx context.Context, o *record.Object) record.Outcome {
	if len(o.Key) > maxKeyBytes {
		return record.Outcome{Kind: record.Rejected, Code: "S3.KeyTooLongError", Err: errKeyTooLong}
	}
	if o.Size < 0 {
		return record.Outcome{Kind: record.Rejected, Code: "S3.InvalidRequest", Err: errNoSize}
	}
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout(o.Size))
	defer cancel()
	b := newBody(o.Body)
	defer b.shut()
	if s.unconditional.Load() {
		return s.putUnconditional(ctx, o, b)
	}
	err := s.write(ctx, o, b, true)
	switch {
	case err == nil:
		s.proven.Store(true)
		s.probe(ctx, o, b)
		return record.Outcome{Kind: record.Delivered}
	case status(err) == http.StatusPreconditionFailed || status(err) == http.StatusNotModified:
		return s.exists(ctx, o, err)
	case mayRefuseCondition(err):
		return s.learn(ctx, o, b, err)
	}
	return s.classify(err)
}

// probe sends an object that was just stored once more, to see whether the store honours the condition: some accept the header
// and overwrite all the same. Once a store; anything but a clear answer leaves it to the next object.
func (s *Store) probe(ctx context.Context, o *record.Object, b *body) {
	if o.Size > min(maxProbe, s.maxPutBytes) || !s.probed.CompareAndSwap(false, true) {
		return
	}
	err := s.write(ctx, o, b, true)
	switch {
	case err == nil:
		s.giveUpConditions(o.Bucket, "the store ignores If-None-Match and overwrites objects; a HEAD before each write takes its place, "+
			"and two writers of one key could overwrite each other", nil)
	case status(err) == http.StatusPreconditionFailed, status(err) == http.StatusConflict:
		s.log.Debug("the store honours conditional writes", "sink", "s3", "bucket", o.Bucket)
	default:
		s.probed.Store(false)
	}
}

// giveUpConditions turns to unconditional writes, and says so once.
func (s *Store) giveUpConditions(bucket, why string, err error) {
	if s.unconditional.CompareAndSwap(false, true) {
		s.log.Warn(why, "sink", "s3", "bucket", bucket, "err", err)
	}
}

// learn finds out whether a refusal was about the condition: if the same write works without it, it was.
func (s *Store) learn(ctx context.Context, o *record.Object, b *body, refusal error) record.Outcome {
	out := s.putUnconditional(ctx, o, b)
	switch out.Kind {
	case record.Delivered:
		s.giveUpConditions(o.Bucket, "the store refuses conditional writes; a HEAD before each write takes their place", refusal)
	case record.Rejected, record.Retry:
		if out.Kind == record.Rejected || status(out.Err) == status(refusal) {
			return s.classify(refusal)
		}
	}
	return out
}

// putUnconditional looks before it writes. Between the two another writer may come in, which is
// the best such a store allows.
func (s *Store) putUnconditional(ctx context.Context, o *record.Object, b *body) record.Outcome {
	found, exists, err := s.Head(ctx, o.Bucket, o.Key)
	switch {
	case exists:
		return record.Outcome{Kind: record.Exists, Found: found}
	case err != nil && status(err) != http.StatusForbidden:
		out := s.classify(err)
		out.Kind, out.TooLarge, out.Unsent = record.Retry, false, true // a HEAD says nothing about the object
		return out
	}
	// 403 is what a store says of a missing key, too, to those who may not list; then the write decides.
	if err := s.write(ctx, o, b, false); err != nil {
		return s.classify(err)
	}
	s.proven.Store(true)
	return record.Outcome{Kind: record.Delivered}
}

// exists answers for a key that is taken.
func (s *Store) exists(ctx context.Context, o *record.Object, cause error) record.Outcome {
	found, exists, err := s.Head(ctx, o.Bucket, o.Key)
	switch {
	case exists:
		return record.Outcome{Kind: record.Exists, Found: found}
	case err == nil: // it was there a moment ago
		return record.Outcome{Kind: record.Retry, Code: "S3.PreconditionFailed", Err: cause, Unsent: true}
	case status(err) == http.StatusForbidden:
		return record.Outcome{Kind: record.Exists, Unreadable: true}
	}
	out := s.classify(err)
	out.Kind, out.TooLarge, out.Unsent = record.Retry, false, true // whatever a HEAD was refused for, it says nothing about the object
	return out
}

func (s *Store) write(ctx context.Context, o *record.Object, b *body, conditional bool) error {
	if o.Size > s.maxPutBytes {
		return s.upload(ctx, o, b, conditional)
	}
	sec := &section{b: b, size: o.Size}
	sum, err := sec.checksum()
	if err != nil {
		return err
	}
	in := &s3.PutObjectInput{
		Bucket: &o.Bucket, Key: &o.Key, Body: sec, ContentLength: &o.Size,
		ChecksumCRC32:   &sum,
		ContentType:     aws.String(contentType(o)),
		ContentEncoding: optional(o.ContentEncoding),
		Metadata:        metadata(o),
		ACL:             types.ObjectCannedACL(s.o.ACL),
		StorageClass:    types.StorageClass(s.o.StorageClass),

		ServerSideEncryption: sseTypes[s.o.SSE],
		SSEKMSKeyId:          s.kmsKey(),
	}
	if conditional {
		in.IfNoneMatch = aws.String("*")
	}
	_, err = s.client.PutObject(ctx, in)
	return err
}

func contentType(o *record.Object) string {
	if o.ContentType == "" {
		return octetStream
	}
	return o.ContentType
}

func metadata(o *record.Object) map[string]string {
	return map[string]string{metadataKey: toHeader(o.Identity.String())}
}

// Head reads whose object stands at a key. found is nil when the object is not ours. Absent means proven absent: the
// store says that there is no such key or bucket. Anything else, such as a missing permission, is an error.
func (s *Store) Head(ctx context.Context, bucket, key string) (found *record.Identity, exists bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, attemptGrace)
	defer cancel()
	out, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		if status(err) == http.StatusNotFound {
			return nil, false, nil
		}
		return nil, false, err
	}
	id, err := record.ParseIdentity(fromHeader(out.Metadata[metadataKey]))
	if err != nil {
		return nil, true, nil // an object without an identity of ours is somebody else's
	}
	return &id, true, nil
}

var errKeyTooLong = errors.New("s3: the key is longer than 1024 bytes")
