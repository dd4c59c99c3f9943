package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"hydrant/record"
)

// errRemember: the caller could not note an upload, so that it must not go on.
var errRemember = errors.New("s3: the upload could not be noted")

// upload stores an object in parts. An attempt fails as a whole; what it sent is aborted.
func (s *Store) upload(ctx context.Context, o *record.Object, b *body, conditional bool) error {
	id, err := s.begin(ctx, o)
	if err != nil {
		return err
	}
	if s.o.OnUpload != nil {
		if err := s.o.OnUpload(o.Bucket, o.Key, id); err != nil {
			s.giveUp(ctx, o, id)
			return fmt.Errorf("%w: %w", errRemember, err)
		}
	}
	if err := s.finish(ctx, o, b, id, conditional); err != nil {
		s.giveUp(ctx, o, id)
		return err
	}
	s.uploadDone(id)
	return nil
}

func (s *Store) begin(ctx context.Context, o *record.Object) (id string, err error) {
	out, err := s.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket: &o.Bucket, Key: &o.Key,
		ChecksumAlgorithm: types.ChecksumAlgorithmCrc32,
		ContentType:       aws.String(contentType(o)),
		ContentEncoding:   optional(o.ContentEncoding),
		Metadata:          metadata(o),
		ACL:               types.ObjectCannedACL(s.o.ACL),
		StorageClass:      types.StorageClass(s.o.StorageClass),

		ServerSideEncryption: sseTypes[s.o.SSE],
		SSEKMSKeyId:          s.kmsKey(),
	})
	if err != nil {
		return "", err
	}
	return aws.ToString(out.UploadId), nil
}

func (s *Store) finish(ctx context.Context, o *record.Object, b *body, id string, conditional bool) error {
	parts, err := s.sendParts(ctx, o, b, id)
	if err != nil {
		return err
	}
	in := &s3.CompleteMultipartUploadInput{
		Bucket: &o.Bucket, Key: &o.Key, UploadId: &id,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	}
	if conditional {
		in.IfNoneMatch = aws.String("*")
	}
	_, err = s.client.CompleteMultipartUpload(ctx, in)
	return err
}

func (s *Store) sendParts(ctx context.Context, o *record.Object, b *body, id string) ([]types.CompletedPart, error) {
	size := max(s.partBytes, (o.Size+maxParts-1)/maxParts)
	var parts []types.CompletedPart
	for from := int64(0); from < o.Size; from += size {
		part := &section{b: b, from: from, size: min(size, o.Size-from)}
		sum, err := part.checksum()
		if err != nil {
			return nil, err
		}
		number := int32(len(parts) + 1)
		out, err := s.client.UploadPart(ctx, &s3.UploadPartInput{
			Bucket: &o.Bucket, Key: &o.Key, UploadId: &id, PartNumber: &number,
			Body: part, ContentLength: &part.size, ChecksumCRC32: &sum,
		})
		if err != nil {
			return nil, err
		}
		parts = append(parts, types.CompletedPart{PartNumber: &number, ETag: out.ETag, ChecksumCRC32: &sum})
	}
	return parts, nil
}

// giveUp aborts with time of its own, as the attempt's may be over. When that fails the caller still
// knows the id, and aborts it at the next start.
func (s *Store) giveUp(ctx context.Context, o *record.Object, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	defer cancel()
	if err := s.AbortUpload(ctx, o.Bucket, o.Key, id); err != nil {
		s.log.Warn("a multipart upload could not be aborted", "sink", "s3", "bucket", o.Bucket, "upload", id, "err", err)
		return
	}
	s.uploadDone(id)
}

func (s *Store) uploadDone(id string) {
	if s.o.OnUploadDone != nil {
		s.o.OnUploadDone(id)
	}
}

// AbortUpload removes what was sent under an upload's id. One that is gone, or whose bucket is, counts as aborted.
func (s *Store) AbortUpload(ctx context.Context, bucket, key, id string) error {
	_, err := s.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &bucket, Key: &key, UploadId: &id})
	if err != nil && status(err) != http.StatusNotFound {
		return fmt.Errorf("s3: abort upload %s: %w", id, err)
	}
	return nil
}
