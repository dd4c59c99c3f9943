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

// secret reads a value without putting variables in: that is done when it is needed. That it can be done is checked now.
func (s *section) secret(key string, to *Secret) {
	n, ok := s.values[key]
	if !ok {
		return
	}
	at, text, ok := s.r.literal(n, s.sub(key))
	if !ok {
		return
	}
	if err := s.r.checkSecret(text); err != nil {
		s.r.fail(at, s.sub(key), "%s", strings.ReplaceAll(err.Error(), "\n", "; "))
		return
	}
	*to = Secret(text)
}

func (r *reader) checkSecret(text string) error {
	if text == "" {
		return errors.New("is empty; write the secret, ${NAME} or file:PATH")
	}
	if strings.HasPrefix(text, secretFile) {
		_, err := Secret(text).Reveal()
		return err
	}
	_, err := expand(text, r.env)
	return err
}
