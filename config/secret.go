package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
)

// Secret is where a password, token or key is found, as it is written in the file: `file:PATH`, text with ${NAME} from the
// environment, or the secret itself. It is stored in this form, and looked up each time it is needed: a file or a variable that
// changed is followed. Nothing that prints it shows it.
type Secret string

const (
	secretFile     = "file:"
	maxSecretBytes = 64 << 10
)

// Reveal looks the secret up. The errors name the place, never what stands there.
func (s Secret) Reveal() (string, error) {
	path, inFile := strings.CutPrefix(string(s), secretFile)
	if !inFile {
		return expand(string(s), os.LookupEnv)
	}
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("secret: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSecretBytes+1))
	if err != nil {
		return "", fmt.Errorf("secret: %w", err)
	}
	b = bytes.TrimRight(b, "\r\n")
	switch {
	case len(b) > maxSecretBytes:
		return "", fmt.Errorf("secret: the file %s is larger than %s", path, Bytes(maxSecretBytes))
	case len(b) == 0:
		return "", fmt.Errorf("secret: the file %s is empty", path)
	}
	return string(b), nil
}

// Get is Reveal as sinks ask for it; nil when there is no secret.
func (s Secret) Get() func() (string, error) {
	if s == "" {
		return nil
	}
	return s.Reveal
}

const hidden = "(secret)"

// String hides the secret from whoever prints it.
func (s Secret) String() string { return s.hide() }

// GoString hides it from %#v.
func (s Secret) GoString() string { return s.hide() }

// LogValue hides it from logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.hide()) }

func (s Secret) hide() string {
	if s == "" {
		return ""
	}
	return hidden
}

// secret reads a value without putting variables in: that is done when it is needed. That it can be done is checked now; ok: value is what
// it is now.
func (s *section) secret(key string, to *Secret) (value string, ok bool) {
	n, ok := s.values[key]
	if !ok {
		return "", false
	}
	at, text, ok := s.r.literal(n, s.sub(key))
	if !ok {
		return "", false
	}
	value, err := s.r.reveal(text)
	if err != nil {
		s.r.fail(at, s.sub(key), "%s", strings.ReplaceAll(err.Error(), "\n", "; "))
		return "", false
	}
	*to = Secret(text)
	return value, true
}

// headerSecret reads a secret that is sent in a header. limit is of its bytes, 0 for none.
func (s *section) headerSecret(key string, to *Secret, limit int) {
	value, ok := s.secret(key, to)
	switch {
	case !ok:
	case strings.TrimSpace(value) == "":
		s.r.fail(s.values[key], s.sub(key), "is blank; write the secret, ${NAME} or file:PATH")
	case strings.ContainsFunc(value, func(c rune) bool { return c < ' ' || c == 0x7f }):
		s.r.fail(s.values[key], s.sub(key), "holds a line break or another control character, which no header can hold; remove it")
	case limit > 0 && len(value) > limit:
		s.r.fail(s.values[key], s.sub(key), "has %d bytes; use at most %d", len(value), limit)
	}
}

func (r *reader) reveal(text string) (value string, err error) {
	if text == "" {
		return "", errors.New("is empty; write the secret, ${NAME} or file:PATH")
	}
	if strings.HasPrefix(text, secretFile) {
		return Secret(text).Reveal()
	}
	value, err = expand(text, r.env)
	if err == nil && value == "" {
		err = errors.New("is empty: its variables are set to nothing; give them a value")
	}
	return value, err
}
