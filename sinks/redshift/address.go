package redshift

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// maxMessageBytes bounds one message of the server.
const maxMessageBytes = 4 << 20

// address is what a URL says. Errors about it quote nothing of it but the names of its parameters.
type address struct {
	url            *url.URL // without anything that was not checked
	user, password string
}

var (
	errURL  = errors.New("the URL cannot be understood: want postgres://user:password@host:port/database or jdbc:redshift://host:port/database")
	errUser = errors.New("the URL names no user, and none is configured")
)

// parseAddress reads both forms. A JDBC URL has parameters that mean nothing here; those of the other form are ours to know.
func parseAddress(raw string) (*address, error) {
	bare, jdbc := strings.CutPrefix(strings.TrimSpace(raw), "jdbc:")
	u, err := url.Parse(bare)
	if err != nil || u.Hostname() == "" || strings.Trim(u.Path, "/") == "" || u.Opaque != "" {
		return nil, errURL
	}
	switch u.Scheme {
	case "postgres", "postgresql", "redshift":
	default:
		return nil, errURL
	}
	given, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, errURL
	}
	a := &address{user: u.User.Username(), url: &url.URL{Scheme: "postgres", Host: u.Host, Path: u.Path}}
	a.password, _ = u.User.Password()
	if u.Port() == "" {
		a.url.Host += ":5439"
		if u.Scheme != "redshift" {
			a.url.Host = u.Host + ":5432"
		}
	}
	return a, a.parameters(given, jdbc)
}

// parameters keeps those of TLS. All others are set, so that neither the environment nor the files of a PostgreSQL client play in.
func (a *address) parameters(given url.Values, jdbc bool) error {
	q := url.Values{"sslmode": {"verify-full"}, "sslrootcert": {""}, "sslcert": {""}, "sslkey": {""}, "sslnegotiation": {"postgres"}, "target_session_attrs": {"any"}}
	if jdbc && strings.EqualFold(given.Get("ssl"), "false") {
		q.Set("sslmode", "disable")
	}
	for key := range given {
		switch v := given.Get(key); {
		case strings.HasPrefix(key, "ssl") && q.Has(key) && v != "":
			q.Set(key, v)
		case jdbc && strings.EqualFold(key, "user"):
			a.user = v
		case jdbc && strings.EqualFold(key, "password"):
			a.password = v
		case !jdbc:
			return fmt.Errorf("the URL has the parameter %q: known are sslmode, sslrootcert, sslcert, sslkey", key)
		}
	}
	a.url.RawQuery = q.Encode()
	return nil
}

// config says how to connect now: the secrets are asked for.
func (p *Postgres) config() (*pgconn.Config, error) {
	raw, err := p.URL()
	if err != nil {
		return nil, fmt.Errorf("the URL: %w", err)
	}
	a, err := parseAddress(raw)
	if err != nil {
		return nil, err
	}
	if p.Username != "" {
		a.user = p.Username
	}
	if p.Password != nil {
		if a.password, err = p.Password(); err != nil {
			return nil, fmt.Errorf("the password: %w", err)
		}
	}
	if a.user == "" {
		return nil, errUser
	}
	cfg, err := pgconn.ParseConfig(a.url.String()) // without user and password, so that errors may quote it
	if err != nil {
		return nil, err
	}
	cfg.User, cfg.Password = a.user, a.password
	cfg.RuntimeParams = map[string]string{} // Redshift refuses those it does not know
	cfg.ValidateConnect = nil
	cfg.MaxProtocolMessageBodyLen = maxMessageBytes
	return cfg, nil
}
