package s3fake

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// upload is a multipart upload that is open. Uploads do not survive a restart.
type upload struct {
	bucket, key string
	header      http.Header
	parts       map[int]*object
}

const maxParts = 10_000

func (s *Server) createUpload(w http.ResponseWriter, r *Request) error {
	if err := s.accept(r); err != nil {
		return err
	}
	s.mu.Lock()
	if s.buckets[r.Bucket] == nil && !s.AutoCreate {
		s.mu.Unlock()
		return errNoBucket
	}
	s.nextID++
	id := "upload-" + strconv.FormatUint(s.nextID, 10) + "-" + strconv.FormatInt(time.Now().UnixNano(), 36)
	s.uploads[id] = &upload{r.Bucket, r.Key, kept(r.HTTP.Header), map[int]*object{}}
	s.mu.Unlock()
	return writeXML(w, struct {
		XMLName               xml.Name `xml:"InitiateMultipartUploadResult"`
		Bucket, Key, UploadId string
	}{Bucket: r.Bucket, Key: r.Key, UploadId: id})
}

func (s *Server) openUpload(r *Request) (*upload, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.uploads[r.UploadID]
	if u == nil || u.bucket != r.Bucket || u.key != r.Key {
		return nil, errNoUpload
	}
	return u, nil
}

func (s *Server) uploadPart(w http.ResponseWriter, r *Request) error {
	number, err := strconv.Atoi(r.HTTP.URL.Query().Get("partNumber"))
	if err != nil || number < 1 || number > maxParts {
		return &apiError{http.StatusBadRequest, "InvalidArgument"}
	}
	if _, err := s.openUpload(r); err != nil {
		return err
	}
	o, err := s.take(r)
	if err != nil {
		return err
	}
	u, err := s.openUpload(r) // it may have been aborted meanwhile
	if err != nil {
		o.blob.discard()
		return err
	}
	s.mu.Lock()
	old := u.parts[number]
	u.parts[number] = o
	s.mu.Unlock()
	if old != nil {
		old.blob.discard()
	}
	answer(w.Header(), o)
	w.WriteHeader(http.StatusOK)
	return nil
}

type completion struct {
	Parts []struct {
		PartNumber    int
		ETag          string
		ChecksumCRC32 string
	} `xml:"Part"`
}

func (s *Server) completeUpload(w http.ResponseWriter, r *Request) error {
	if err := s.accept(r); err != nil {
		return err
	}
	var list completion
	if err := xml.NewDecoder(io.LimitReader(r.HTTP.Body, 4<<20)).Decode(&list); err != nil || len(list.Parts) == 0 {
		return &apiError{http.StatusBadRequest, "MalformedXML"}
	}
	u, err := s.openUpload(r)
	if err != nil {
		return err
	}
	parts, err := s.match(u, list)
	if err != nil {
		return err
	}
	o, err := s.join(u, parts)
	if err != nil {
		return err
	}
	if err := s.publish(r, o); err != nil {
		o.blob.discard()
		return err
	}
	s.forget(r.UploadID)
	return writeXML(w, struct {
		XMLName           xml.Name `xml:"CompleteMultipartUploadResult"`
		Bucket, Key, ETag string
	}{Bucket: r.Bucket, Key: r.Key, ETag: `"` + o.ETag + `"`})
}

// match holds the client's list against what was received.
func (s *Server) match(u *upload, list completion) ([]*object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var parts []*object
	last := 0
	for i, p := range list.Parts {
		o := u.parts[p.PartNumber]
		switch {
		case p.PartNumber <= last:
			return nil, &apiError{http.StatusBadRequest, "InvalidPartOrder"}
		case o == nil, strings.Trim(p.ETag, `"`) != o.ETag, p.ChecksumCRC32 != "" && p.ChecksumCRC32 != o.CRC32:
			return nil, &apiError{http.StatusBadRequest, "InvalidPart"}
		case i < len(list.Parts)-1 && o.Size < minPartBytes:
			return nil, &apiError{http.StatusBadRequest, "EntityTooSmall"}
		}
		last = p.PartNumber
		parts = append(parts, o)
	}
	return parts, nil
}

func (s *Server) join(u *upload, parts []*object) (*object, error) {
	b, err := s.blobs.create()
	if err != nil {
		return nil, err
	}
	o := &object{Header: u.header, Modified: time.Now().UTC(), blob: b}
	etags, crcs := md5.New(), crc32.NewIEEE()
	for _, p := range parts {
		if err = appendBlob(b, p.blob); err != nil {
			b.discard()
			return nil, err
		}
		sum, _ := hex.DecodeString(p.ETag)
		etags.Write(sum)
		crc, _ := base64.StdEncoding.DecodeString(p.CRC32)
		crcs.Write(crc)
		o.Size += p.Size
	}
	o.ETag = fmt.Sprintf("%x-%d", etags.Sum(nil), len(parts))
	o.CRC32 = fmt.Sprintf("%s-%d", base64.StdEncoding.EncodeToString(crcs.Sum(nil)), len(parts))
	return o, b.finish()
}

func appendBlob(to blob, from blob) error {
	r, err := from.open()
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.Copy(to, r)
	return err
}

func (s *Server) abortUpload(w http.ResponseWriter, r *Request) error {
	if _, err := s.openUpload(r); err != nil {
		return err
	}
	s.forget(r.UploadID)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) forget(id string) {
	s.mu.Lock()
	u := s.uploads[id]
	delete(s.uploads, id)
	s.mu.Unlock()
	if u == nil {
		return
	}
	for _, p := range u.parts {
		p.blob.discard()
	}
}

func writeXML(w http.ResponseWriter, v any) error {
	b, err := xml.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/xml")
	_, _ = w.Write(append([]byte(xml.Header), b...))
	return nil
}
