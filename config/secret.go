package config

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
)

// Secret is a text that is never printed, logged or written as JSON. Reveal gives it.
type Secret struct{ text string }

const hidden = "(hidden)"

// maxSecretBytes bounds the file that `file:` names.
const maxSecretBytes = 64 << 10

// ReadSecret takes a secret as the YAML writes it: the text itself, or file:/path for the
// content of a file of at most 64 KB, without its last line break.
func ReadSecret(s string) (Secret, error) {
	path, ok := strings.CutPrefix(s, "file:")
	if !ok {
		return Secret{s}, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return Secret{}, fmt.Errorf("read secret: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSecretBytes+1))
	if err != nil {
		return Secret{}, fmt.Errorf("read secret: %w", err)
	}
	if len(data) > maxSecretBytes {
		return Secret{}, fmt.Errorf("read secret: %s is larger than %s", path, Bytes(maxSecretBytes))
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if text == "" {
		return Secret{}, fmt.Errorf("read secret: %w: %s", errEmptySecret, path)
	}
	return Secret{text}, nil
}

var errEmptySecret = errors.New("the file is empty")

// Reveal is the secret itself.
func (s Secret) Reveal() string { return s.text }

// String, GoString, LogValue and MarshalJSON hide the text.
func (s Secret) String() string { return hidden }

// GoString hides the text from %#v.
func (s Secret) GoString() string { return hidden }

// LogValue hides the text from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalJSON hides the text from JSON.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + hidden + `"`), nil }
