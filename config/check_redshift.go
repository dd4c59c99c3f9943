package config

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"hydrant/config/prefix"
)

func (c *Redshift) check(r *report, path string, s *Stream) {
	switch {
	case c.DataAPI == nil && c.Postgres == nil:
		r.add(path, "says not how the cluster is reached; write data_api: {cluster: NAME, database: NAME} or postgres: {url: URL}")
	case c.DataAPI != nil && c.Postgres != nil:
		r.add(path, "has data_api and postgres; keep one")
	case c.DataAPI != nil:
		c.DataAPI.check(r, path+".data_api")
	default:
		c.Postgres.check(r, path+".postgres")
	}
	if !tableName.MatchString(c.Table) {
		r.add(path+".table", "%q is no table; write TABLE or SCHEMA.TABLE of letters, digits, _ and $", clip(c.Table))
	}
	c.checkColumns(r, path+".columns")
	if c.Ledger != LedgerNone && !tableName.MatchString(c.Ledger) {
		r.add(path+".ledger", "%q is no table; write TABLE, SCHEMA.TABLE or none", clip(c.Ledger))
	}
	checkRange(r, path+".timeout", c.Timeout, Duration(time.Second), maxCopyTimeout, "1s to 2h")
	c.checkObjects(r, path, s)
	if c.plain() {
		c.checkPlain(r, path, s)
		return
	}
	c.checkCopy(r, path+".copy_options", s)
	if !c.Credentials.elsewhere() && !copyClause.MatchString(string(c.Credentials)) {
		r.add(path+".credentials", noClause)
	}
}

// checkColumns: Redshift takes names in capital letters for the same ones, PostgreSQL does not.
func (c *Redshift) checkColumns(r *report, path string) {
	seen := map[string]bool{}
	for _, col := range c.Columns {
		name := col
		if !c.plain() {
			name = strings.ToLower(col)
		}
		switch {
		case !columnName.MatchString(col):
			r.add(path, "%q is no column", clip(col))
		case seen[name]:
			r.add(path, "%q stands here twice", clip(col))
		}
		seen[name] = true
	}
}

// plain says whether rows are inserted, and nothing is copied.
func (c *Redshift) plain() bool { return c.Postgres != nil && c.Postgres.Plain }

// checkLocal: what COPY is to read must lie where Redshift can read it.
func (c *Redshift) checkLocal(r *report, path string) {
	if c.S3 != nil && !c.plain() {
		r.add(path+".s3", "is a folder of this machine, which COPY cannot read; write object_store: s3 at the top level")
	}
}

func (c *Redshift) checkObjects(r *report, path string, s *Stream) {
	if c.S3 == nil {
		r.add(path+".s3", "is missing; write s3: {bucket: NAME}, where COPY finds the batches")
		return
	}
	if main, err := prefix.Parse(c.S3.Prefix, prefix.Main); err == nil && len(main.Keys()) > 0 {
		r.add(path+".s3.prefix", "%s: partitions are for the destination s3; use !{timestamp:...}", main.Keys()[0])
		return
	}
	r.under(path+".s3", c.S3.check(s.API != nil, false))
}

const noClause = "is no clause of COPY; write IAM_ROLE default, IAM_ROLE 'ARN' or CREDENTIALS '…'"

// checkPlain: a PostgreSQL server gets rows, not a COPY.
func (c *Redshift) checkPlain(r *report, path string, s *Stream) {
	if s.Format != FormatJSON {
		r.add("format", "must be json for a plain PostgreSQL server")
	}
	if s.Compression != CompressionNone && s.Compression != CompressionGzip {
		r.add("compression", "%s is not read again for a plain PostgreSQL server; use none or gzip", s.Compression)
	}
	if c.CopyOptions != "" {
		r.add(path+".copy_options", "has no place with plain: true, which inserts")
	}
	if c.Credentials != "" {
		r.add(path+".credentials", "has no place with plain: true, which inserts; nothing else reads the bucket")
	}
}

// checkCopy: the options fit the objects, and leave the statement what it is.
func (c *Redshift) checkCopy(r *report, path string, s *Stream) {
	if !slices.Contains([]string{FormatJSON, FormatRaw, FormatParquet}, s.Format) {
		r.add("format", "COPY reads no %s; use json, raw (CSV, say, with copy_options) or parquet", s.Format)
	}
	if !slices.Contains([]string{CompressionNone, CompressionGzip, CompressionZstd}, s.Compression) {
		r.add("compression", "COPY reads no %s; use none, gzip or zstd", s.Compression)
	}
	bare, closed := withoutQuoted(c.CopyOptions)
	switch {
	case !closed:
		r.add(path, "a quote is not closed")
		return
	case strings.ContainsRune(c.CopyOptions, 0), strings.Contains(bare, ";"), strings.Contains(bare, "--"), strings.Contains(bare, "/*"):
		r.add(path, "must hold no ; and no comment outside of quotes")
		return
	}
	words := strings.Fields(strings.ToUpper(bare))
	c.checkWords(r, path, words)
	if has := slices.Contains(words, "PARQUET"); has != (s.Format == FormatParquet) {
		if has {
			r.add(path, "PARQUET is for format: parquet, and the objects are %s", s.Format)
		} else {
			r.add(path, "must say FORMAT AS PARQUET, as format is parquet")
		}
	}
	for _, word := range []string{"GZIP", "ZSTD", "BZIP2", "LZOP"} {
		packed := strings.ToLower(word) == s.Compression
		switch has := slices.Contains(words, word); {
		case packed && !has:
			r.add(path, "must say %s, as compression is %s", word, s.Compression)
		case has && !packed:
			r.add(path, "%s does not fit compression: %s; remove it", word, s.Compression)
		}
	}
}

// checkWords refuses what stands in the statement already, or makes it load nothing.
func (c *Redshift) checkWords(r *report, path string, words []string) {
	for _, word := range []string{"NOLOAD", "MANIFEST", "IAM_ROLE", "CREDENTIALS", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN"} {
		switch {
		case !slices.Contains(words, word):
		case word == "NOLOAD":
			r.add(path, "NOLOAD loads nothing; remove it")
		case word == "MANIFEST":
			r.add(path, "MANIFEST stands in every COPY already; remove it")
		default:
			r.add(path, "%s has its own key; write credentials: IAM_ROLE default, IAM_ROLE 'ARN' or CREDENTIALS '…'", word)
		}
	}
}

// withoutQuoted blanks what stands in quotes; closed: each quote has its end.
func withoutQuoted(s string) (bare string, closed bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\'' && s[i] != '"' {
			b.WriteByte(s[i])
			continue
		}
		quote := s[i]
		for i++; i < len(s) && s[i] != quote; i++ { // a doubled quote ends one text and begins the next: blank all the same
			if s[i] == '\\' {
				i++
			}
		}
		if i >= len(s) {
			return "", false
		}
		b.WriteByte(' ')
	}
	return b.String(), true
}

func (a *DataAPI) check(r *report, path string) {
	switch {
	case (a.Cluster == "") == (a.Workgroup == ""):
		r.add(path, "needs cluster or workgroup, not both")
	case a.Database == "":
		r.add(path+".database", "is missing; name the database")
	case a.DBUser != "" && a.SecretARN != "":
		r.add(path+".db_user", "stands beside secret_arn, which names a user; keep one of them")
	case a.Workgroup != "" && a.DBUser != "":
		r.add(path+".db_user", "is for a cluster; a workgroup takes the user from the AWS credentials, or from secret_arn")
	case a.Cluster != "" && a.DBUser == "" && a.SecretARN == "":
		r.add(path, "needs db_user or secret_arn for a cluster")
	}
	checkRegion(r, path+".region", a.Region)
	if a.Endpoint != "" {
		checkURL(r, path+".endpoint", a.Endpoint)
	}
}

func (p *Postgres) check(r *report, path string) {
	switch {
	case p.URL == "":
		r.add(path+".url", "is missing; write one such as postgres://user@host:5439/db")
	case p.URL.elsewhere(): // whoever reads the configuration looks it up
	default:
		problem, user := databaseProblem(string(p.URL))
		switch {
		case problem != "":
			r.add(path+".url", "%s", problem)
		case !user && p.Username == "":
			r.add(path+".username", noUser)
		}
	}
}

const noUser = "is missing, and the URL names no user; write one of them"

// databaseProblem says what is wrong with the URL, "" for nothing, and whether it names a user. It quotes nothing of it, as there may be a
// password anywhere.
func databaseProblem(text string) (problem string, user bool) {
	bare, jdbc := strings.CutPrefix(strings.TrimSpace(text), "jdbc:")
	u, err := url.Parse(bare)
	if err != nil || !slices.Contains([]string{"postgres", "postgresql", "redshift"}, u.Scheme) || u.Hostname() == "" || strings.Trim(u.Path, "/") == "" {
		return "is no URL of a database; write postgres://user@host:5439/db or jdbc:redshift://host:5439/db", false
	}
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return "has parameters that cannot be read; write NAME=VALUE&NAME=VALUE behind the ?", false
	}
	user = u.User.Username() != ""
	for key := range q {
		switch {
		case q.Get(key) != "" && slices.Contains([]string{"sslmode", "sslrootcert", "sslcert", "sslkey", "sslnegotiation"}, key):
		case !jdbc:
			return "has a parameter that is not known, or has no value; known are sslmode, sslrootcert, sslcert and sslkey", false
		case strings.EqualFold(key, "user") && q.Get(key) != "":
			user = true
		}
	}
	switch mode := q.Get("sslmode"); {
	case mode != "" && !slices.Contains(sslModes, mode):
		return "has an sslmode that is not one of " + strings.Join(sslModes, ", "), user
	case (q.Get("sslcert") == "") != (q.Get("sslkey") == ""):
		return "has sslcert or sslkey alone; write both, or neither", user
	}
	return "", user
}

var sslModes = []string{"disable", "allow", "prefer", "require", "verify-ca", "verify-full"}

// elsewhere says whether the text is not the secret itself.
func (s Secret) elsewhere() bool {
	return strings.HasPrefix(string(s), secretFile) || strings.Contains(string(s), "${")
}

var (
	tableName  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_$]{0,126}(\.[A-Za-z_][A-Za-z0-9_$]{0,126})?$`)
	copyClause = regexp.MustCompile(`(?i)^\s*(IAM_ROLE +default|(IAM_ROLE|CREDENTIALS) +'[^'\\]+')\s*$`)
	columnName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_$]{0,126}$`)
)
