package redshift

import (
	"context"
	"strings"
	"testing"

	"hydrant/record"
)

func TestNames(t *testing.T) {
	for name, want := range map[string]string{
		"events": `"events"`, "Web_Logs$1": `"Web_Logs$1"`, "public.events": `"public"."events"`, "1": `"1"`,
		"": "", ".": "", "a.": "", ".a": "", "a.b.c": "", `a"b`: "", "a b": "", "ä": "", "a;b": "", "a-b": "", "a\x00": "", "a[": "", "a`": "", "a@": "", "a{": "",
		strings.Repeat("x", 127): `"` + strings.Repeat("x", 127) + `"`, strings.Repeat("x", 128): "",
	} {
		if got, err := quoteTable(name); (err == nil) != (want != "") || err == nil && got != want {
			t.Errorf("%q: %s %v", name, got, err)
		}
	}
}

func TestCopyOptions(t *testing.T) {
	for options, good := range map[string]bool{
		"": true, "JSON 'auto' GZIP": true, "DELIMITER ';'": true, "NULL AS '--'": true, `QUOTE '\''`: true, `NULL 'it''s'`: true, "JSON 's3://b/noload'": true,
		"JSON 'auto'; DROP TABLE x": false, "JSON 'auto": false, "JSON auto'": false, `"x`: false, "GZIP -- x": false, "GZIP /* x */": false,
		"JSON 'auto' noload": false, `NULL '\'`: false, "GZIP\x00": false, "'": false,
	} {
		if err := checkOptions(options); (err == nil) != good {
			t.Errorf("%q: %v", options, err)
		}
	}
}

func TestManifestKey(t *testing.T) {
	if got := manifestKey("a/b.json"); got != "manifests/a/b.json.manifest" {
		t.Error(got)
	}
	long := strings.Repeat("k", 1024)
	got := manifestKey(long)
	if len(got) > 1024 || got != manifestKey(long) || got == manifestKey(long[1:]+"x") {
		t.Error(got)
	}
}

// A text finds its name; which name it is decides nothing.
func TestNamesOfTexts(t *testing.T) {
	for _, c := range []struct {
		at         stepKind
		text, want string
	}{
		{atCopy, `ERROR: relation "events" does not exist`, nameTable},
		{atCopy, `ERROR: column "a" of relation "events" does not exist`, nameColumn},
		{atLock, `ERROR: permission denied for relation x`, namePrivilege},
		{atLock, `ERROR: syntax error at or near "x"`, nameSyntax},
		{atCopy, `ERROR: syntax error at or near "x"`, nameOptions},
		{atCopy, `ERROR: S3ServiceException:The bucket you are attempting to access must be addressed using the specified endpoint.,Status 301,Error PermanentRedirect,Rid`, nameRegion},
		{atCopy, `ERROR: User arn:aws:redshift:x is not authorized to assume IAM Role arn:x`, nameDenied},
		{atCopy, `ERROR: The specified S3 prefix 'x' does not exist`, nameFile},
		{atCopy, `ERROR: Invalid JSONPath format`, nameJSONPaths},
		{atCopy, `ERROR: Load into table 'x' failed.  Check 'stl_load_errors' system table for details.`, nameLoad},
		{atCopy, `ERROR: something new`, nameLoad},
		{atGuard, `ERROR: something new`, nameInternal},
		{atCopy, `ERROR: Query (5) cancelled on user's request`, nameCancelled},
	} {
		if got := nameOfText(c.at, c.text); got != c.want {
			t.Errorf("%s: %s, want %s", c.text, got, c.want)
		}
	}
	for state, want := range map[string]string{"42P01": nameTable, "28P01": nameAuth, "28000": nameAuth, "42501": namePrivilege, "42703": nameColumn,
		"3D000": nameDatabase, "53100": nameDisk, "25006": nameReadOnly, "22P02": nameLoad, "23505": nameLoad, "40001": nameConflict, "57P01": nameConnection,
		"57014": nameCancelled, "42601": nameOptions, "XX000": nameLoad, "": nameLoad} {
		if got := nameOfState(atCopy, state, "what"); got != want {
			t.Errorf("%s: %s, want %s", state, got, want)
		}
	}
}

func TestRedact(t *testing.T) {
	secrets := secretsOf("credentials 'aws_access_key_id=AKIA;aws_secret_access_key=abc/def=;token=tok-tok'")
	if got := redact("at 'aws_access_key_id=AKIA;aws_secret_access_key=abc/def=;token=tok-tok'", secrets); got != "at 'aws_access_key_id=…;aws_secret_access_key=…;token=…'" {
		t.Error(got)
	}
	if s := secretsOf("IAM_ROLE 'arn:x'"); s != nil {
		t.Errorf("%q", s)
	}
}

func TestOptions(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"no way":         func(o *Options) { o.Postgres = nil },
		"two ways":       func(o *Options) { o.DataAPI = &DataAPI{} },
		"no URL":         func(o *Options) { o.Postgres = &Postgres{} },
		"no table":       func(o *Options) { o.Table = "" },
		"bad column":     func(o *Options) { o.Columns = []string{"a", "b c"} },
		"bad ledger":     func(o *Options) { o.Ledger = "a;b" },
		"bad options":    func(o *Options) { o.CopyOptions = "'" },
		"no manifest":    func(o *Options) { o.PutManifest = nil },
		"no credentials": func(o *Options) { o.Credentials = nil },
		"bad mode":       func(o *Options) { o.Mode = "fast" },
		"plain, no read": func(o *Options) { o.Mode, o.ReadObject = ModePlain, nil },
		"plain, Data API": func(o *Options) {
			o.Mode, o.Postgres, o.DataAPI = ModePlain, nil, &DataAPI{Cluster: "c", Database: "d"}
		},
		"no cluster":   func(o *Options) { o.Postgres, o.DataAPI = nil, &DataAPI{Database: "d"} },
		"two clusters": func(o *Options) { o.Postgres, o.DataAPI = nil, &DataAPI{Cluster: "c", Workgroup: "w", Database: "d"} },
		"no database":  func(o *Options) { o.Postgres, o.DataAPI = nil, &DataAPI{Cluster: "c"} },
		"two users": func(o *Options) {
			o.Postgres, o.DataAPI = nil, &DataAPI{Cluster: "c", Database: "d", DBUser: "u", SecretARN: "s"}
		},
	} {
		_, o := newWorld()
		o.Postgres = &Postgres{URL: func() (string, error) { return "", errBroken }}
		if l, err := New(context.Background(), o); err != nil {
			t.Fatal(err)
		} else if out := l.Load(context.Background(), &record.Load{}); out.Code != "Redshift.ConnectionFailed" {
			t.Errorf("%+v", out)
		}
		change(&o)
		if _, err := New(context.Background(), o); err == nil || !strings.HasPrefix(err.Error(), "redshift: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
