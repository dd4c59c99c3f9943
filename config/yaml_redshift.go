package config

import (
	"crypto/tls"
	"errors"
	"net/url"
	"strings"
)

// copyCredentials reads the clause of COPY, and looks at what a file or a variable holds now.
func (s *section) copyCredentials(c *Redshift) {
	clause, ok := s.secret("credentials", &c.Credentials)
	if ok && c.Credentials.elsewhere() && !copyClause.MatchString(clause) {
		s.r.fail(s.values["credentials"], s.sub("credentials"), noClause)
	}
}

// database reads how a database is reached. What a file or a variable holds of its URL now is looked at, as the checks do with one that
// stands here itself.
func (s *section) database(p *Postgres) {
	s.text("username", &p.Username)
	s.secret("password", &p.Password)
	s.flag("plain", &p.Plain)
	text, ok := s.secret("url", &p.URL)
	if !ok {
		return
	}
	problem, user := databaseProblem(text)
	switch n := s.values["url"]; {
	case problem != "" && p.URL.elsewhere():
		s.r.fail(n, s.sub("url"), "%s", problem)
	case problem != "": // the checks say so
	case !user && p.Username == "" && p.URL.elsewhere():
		s.r.fail(n, s.sub("username"), noUser)
	default:
		s.databaseFiles(text)
	}
}

// databaseFiles looks at the certificates that a URL names.
func (s *section) databaseFiles(text string) {
	u, err := url.Parse(strings.TrimPrefix(strings.TrimSpace(text), "jdbc:"))
	if err != nil {
		return
	}
	q := u.Query()
	if name := q.Get("sslrootcert"); name != "" && name != "system" {
		s.trusted("url", name)
	}
	if q.Get("sslcert") == "" {
		return
	}
	cert, errCert := readPEM(q.Get("sslcert"))
	key, errKey := readPEM(q.Get("sslkey"))
	err = errors.Join(errCert, errKey)
	if err == nil {
		_, err = tls.X509KeyPair(cert, key)
	}
	if err != nil {
		s.r.fail(s.values["url"], s.sub("url"), "sslcert and sslkey cannot be used: %s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
}
