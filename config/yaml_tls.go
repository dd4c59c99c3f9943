package config

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
)

// maxPEMBytes bounds a file of certificates.
const maxPEMBytes = 4 << 20

// tls reads the section, and the files that it names to see that they are of use. They are read again when the daemon starts, relative to
// the folder it runs in. A stored spec needs none of them.
func (s *section) tls(to *TLS) {
	t := s.section("tls", "ca_file", "cert_file", "key_file", "server_name", "insecure_skip_verify")
	if t == nil {
		return
	}
	t.textsOf(map[string]*string{"ca_file": &to.CAFile, "cert_file": &to.CertFile, "key_file": &to.KeyFile, "server_name": &to.ServerName})
	t.flag("insecure_skip_verify", &to.InsecureSkipVerify)
	if to.CAFile != "" {
		t.trusted("ca_file", to.CAFile)
	}
	if to.CertFile != "" && to.KeyFile != "" {
		t.pair(to)
	}
}

// trusted looks at a file of certificates that the key names.
func (s *section) trusted(key, name string) {
	pem, ok := s.pem(key, name)
	if ok && !x509.NewCertPool().AppendCertsFromPEM(pem) {
		s.r.fail(s.values[key], s.sub(key), "%q holds no certificate in PEM form", clip(name))
	}
}

func (s *section) pair(t *TLS) {
	cert, okCert := s.pem("cert_file", t.CertFile)
	key, okKey := s.pem("key_file", t.KeyFile)
	if !okCert || !okKey {
		return
	}
	if _, err := tls.X509KeyPair(cert, key); err != nil { // which quotes nothing of the files
		s.r.fail(s.values["cert_file"], s.sub("cert_file"), "and key_file cannot be used: %s", err)
	}
}

func (s *section) pem(key, name string) ([]byte, bool) {
	data, err := readPEM(name)
	if err != nil {
		s.r.fail(s.values[key], s.sub(key), "%s", err)
	}
	return data, err == nil
}

// readPEM waits for no pipe or device.
func readPEM(name string) ([]byte, error) {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return nil, fmt.Errorf("cannot be read: %w", err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%q is no file", clip(name))
	case info.Size() > maxPEMBytes:
		return nil, fmt.Errorf("%q is larger than the limit %s", clip(name), Bytes(maxPEMBytes))
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	return data, nil
}
