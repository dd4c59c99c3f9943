package redshift

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"hydrant/record"
)

// maxKeyBytes is what S3 allows a key.
const maxKeyBytes = 1024

// manifestKey is where the manifest of an object lies, in the same bucket: manifests/KEY.manifest, or a digest of
// the key where that would be too long. It depends on nothing but the key, so that every attempt writes the same object.
func manifestKey(key string) string {
	m := "manifests/" + key + ".manifest"
	if len(m) > maxKeyBytes {
		sum := sha256.Sum256([]byte(key))
		return "manifests/" + hex.EncodeToString(sum[:]) + ".manifest"
	}
	return m
}

func objectURL(bucket, key string) string { return "s3://" + bucket + "/" + key }

// manifest names the one object. A missing file is skipped in silence unless it is mandatory.
func manifest(ld *record.Load) ([]byte, error) {
	type meta struct {
		ContentLength int64 `json:"content_length"`
	}
	type entry struct {
		URL       string `json:"url"`
		Mandatory bool   `json:"mandatory"`
		Meta      meta   `json:"meta"`
	}
	return json.Marshal(map[string][]entry{"entries": {{objectURL(ld.Bucket, ld.Key), true, meta{ld.Size}}}})
}

func (l *Loader) putManifest(ctx context.Context, ld *record.Load) (string, *failure) {
	key := manifestKey(ld.Key)
	body, err := manifest(ld)
	if err != nil {
		return "", &failure{at: atCopy, name: nameLoad, text: "the manifest cannot be written", unsent: true}
	}
	switch out := l.o.PutManifest(ctx, ld.Bucket, key, body); out.Kind {
	case record.Delivered, record.Exists:
		return key, nil
	default:
		return "", &failure{code: out.Code, text: "the manifest is not stored", cause: out.Err, unsent: true, after: out.RetryAfter}
	}
}

// copyCommand is the statement that loads what a manifest names.
func (l *Loader) copyCommand(bucket, key, clause string) string {
	var b strings.Builder
	b.WriteString("COPY " + l.table)
	if len(l.o.Columns) > 0 {
		b.WriteString(" (" + quoteNames(l.o.Columns) + ")")
	}
	b.WriteString(" FROM " + l.literal(objectURL(bucket, key)) + " " + clause + " MANIFEST")
	if o := strings.TrimSpace(l.o.CopyOptions); o != "" {
		b.WriteString(" " + o)
	}
	return b.String()
}

// credentials asks for the clause that lets Redshift read the bucket. Errors quote nothing of it.
func (l *Loader) credentials() (string, error) {
	clause, err := l.o.Credentials()
	if err != nil {
		return "", fmt.Errorf("credentials for COPY: %w", err)
	}
	clause = strings.TrimSpace(clause)
	word, rest, _ := strings.Cut(clause, " ")
	rest = strings.TrimSpace(rest)
	quoted := len(rest) > 2 && rest[0] == '\'' && closing(rest) == len(rest)-1
	switch strings.ToUpper(word) {
	case "IAM_ROLE":
		if quoted || strings.EqualFold(rest, "default") {
			return clause, nil
		}
	case "CREDENTIALS":
		if quoted {
			return clause, nil
		}
	}
	return "", errClause
}

var errClause = errors.New("credentials for COPY: want IAM_ROLE '…', IAM_ROLE default or CREDENTIALS '…'")

// secretsOf are the parts of a credentials clause that nobody may read in an error. The name of a role is none.
func secretsOf(clause string) []string {
	if !strings.HasPrefix(strings.ToUpper(clause), "CREDENTIALS") {
		return nil
	}
	_, quoted, _ := strings.Cut(clause, "'")
	var secrets []string
	for part := range strings.SplitSeq(strings.TrimSuffix(quoted, "'"), ";") {
		if _, value, ok := strings.Cut(part, "="); ok {
			part = value
		}
		secrets = append(secrets, part)
	}
	return secrets
}

// minSecretBytes: shorter ones would be found in every other word.
const minSecretBytes = 4

// redact takes secrets out of what a server said; it may quote the statement.
func redact(text string, secrets []string) string {
	for _, s := range secrets {
		if len(s) >= minSecretBytes {
			text = strings.ReplaceAll(text, s, "…")
		}
	}
	return text
}
