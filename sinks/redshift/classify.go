package redshift

import (
	"strings"
	"time"

	"hydrant/record"
)

// The names Firehose gives to failures, and two of our own where it has none.
const (
	nameTable      = "TableNotFound"
	nameSyntax     = "SyntaxError"
	nameAuth       = "AuthenticationFailed"
	nameDenied     = "AccessDenied"
	nameBucket     = "S3BucketAccessDenied"
	nameLoad       = "DataLoadFailed"
	nameColumn     = "ColumnNotFound"
	nameDatabase   = "DatabaseNotFound"
	nameOptions    = "IncorrectCopyOptions"
	nameMissing    = "MissingColumn"
	nameConnection = "ConnectionFailed"
	nameMismatch   = "ColumnMismatch"
	nameRegion     = "IncorrectOrMissingRegion"
	nameJSONPaths  = "IncorrectJsonPathsFile"
	nameFile       = "MissingS3File"
	namePrivilege  = "InsufficientPrivilege"
	nameReadOnly   = "ReadOnlyCluster"
	nameDisk       = "DiskFull"
	nameInternal   = "InternalError"
	nameCancelled  = "QueryCancelled" // statement_timeout, or somebody's request
	nameConflict   = "LockConflict"   // deadlock, serializable isolation violation
)

// failure is an attempt that did not come to its end.
type failure struct {
	at     stepKind
	name   string        // one of Firehose's
	code   string        // in place of name, when it is another destination's
	text   string        // what the server said, without secrets and bodies
	cause  error         // only what is ours: the end of a context, an error of the store
	unsent bool          // nothing of the attempt remains
	after  time.Duration // what the destination asked for
}

// Error says at which step what went wrong.
func (f *failure) Error() string {
	s := "redshift: " + f.at.String()
	if f.code != "" {
		s = "redshift"
	}
	if f.text != "" {
		s += ": " + f.text
	}
	if f.cause != nil {
		s += ": " + f.cause.Error()
	}
	return s
}

// Unwrap gives the end of the context, if that was it.
func (f *failure) Unwrap() error { return f.cause }

// outcome: every failure is worth another attempt, as somebody may mend the table, the rights or the cluster.
func (f *failure) outcome() record.Outcome {
	code := f.code
	if code == "" {
		code = "Redshift." + f.name
	}
	return record.Outcome{Kind: record.Retry, Code: code, Err: f, Unsent: f.unsent, RetryAfter: f.after}
}

// nameOfState finds the name for a SQLSTATE. Redshift reports much of what COPY meets as an internal error; text, which is
// looked at only then, finds it a name and decides nothing.
func nameOfState(at stepKind, state, text string) string {
	if at == atCopy && state == "42601" {
		return nameOptions // all else of the statement is ours
	}
	if name, ok := stateNames()[state]; ok {
		return name
	}
	if len(state) == 5 {
		if name, ok := stateNames()[state[:2]]; ok {
			return name
		}
	}
	return nameOfText(at, text)
}

// stateNames has whole states and classes.
func stateNames() map[string]string {
	return map[string]string{
		"42P01": nameTable, "3F000": nameTable, "42601": nameSyntax, "28P01": nameAuth, "28000": nameAuth, "42501": namePrivilege,
		"42703": nameColumn, "3D000": nameDatabase, "42804": nameMismatch, "23502": nameMissing, "53100": nameDisk,
		"25006": nameReadOnly, "57014": nameCancelled, "55P03": nameConflict,
		"08": nameConnection, "22": nameLoad, "23": nameLoad, "28": nameAuth, "40": nameConflict, "42": nameSyntax,
		"53": nameConnection, "57": nameConnection,
	}
}

// nameOfText is the only place that looks into what a server wrote. The Data API tells nothing but text, and COPY's trouble with S3 has
// no SQLSTATE of its own. What comes out is a name for people and metrics: every failure is retried, and whether a batch is loaded is the
// ledger's to say.
func nameOfText(at stepKind, text string) string {
	text = strings.ToLower(text)
	for _, t := range textNames() {
		if strings.Contains(text, t[0]) && strings.Contains(text, t[1]) {
			if at == atCopy && t[2] == nameSyntax {
				return nameOptions
			}
			return t[2]
		}
	}
	if at == atCopy {
		return nameLoad
	}
	return nameInternal
}

// textNames are two pieces of a message and the name for it. The first that fits counts.
func textNames() [][3]string {
	return [][3]string{
		{"s3serviceexception", "error nosuchkey", nameFile},
		{"s3serviceexception", "error permanentredirect", nameRegion},
		{"s3serviceexception", "error authorizationheadermalformed", nameRegion},
		{"s3serviceexception", "error", nameBucket},
		{"mandatory url", "manifest", nameFile},
		{"specified s3 prefix", "does not exist", nameFile},
		{"jsonpath", "", nameJSONPaths},
		{"not authorized to assume", "role", nameDenied},
		{"invalid credentials", "", nameDenied},
		{"load into table", "failed", nameLoad},
		{"column", "does not exist", nameColumn},
		{"relation", "does not exist", nameTable},
		{"database", "does not exist", nameDatabase},
		{"permission denied", "", namePrivilege},
		{"syntax error", "", nameSyntax},
		{"password authentication failed", "", nameAuth},
		{"disk full", "", nameDisk},
		{"read-only", "", nameReadOnly},
		{"cancel", "", nameCancelled},
		{"serializable isolation violation", "", nameConflict},
	}
}

// hidden says whether what a server wrote may quote records. Of a load that failed for its data it tells where, see diagnose.go.
func hidden(at stepKind, name string) bool {
	return at == atCopy && (name == nameLoad || name == nameMissing)
}
