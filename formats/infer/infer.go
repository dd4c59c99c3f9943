// Package infer owns the inferred schema of a stream: how columns are learned from JSON records (Learner), and the durable list of
// the versions that a schema went through (Store). It encodes nothing; what a record that does not fit becomes is the encoder's
// business, which refuses by the same rules.
//
// # Rules
//
// Every column may be null, and so may every field and element. Columns have no other types than these; the first value that says
// something gives the type:
//
//	null, {}, [], and all without a scalar       nothing yet: no column; the same for [null], {"a":[{}]} and so on
//	true, false                                  boolean
//	12, -0: within a signed 64-bit integer       bigint
//	a longer integer                             string, so that no digit is lost
//	1.5, 1e3                                     double: the nearest one; string if beyond a double's range
//	"..."                                        string: nothing is guessed from its text, neither times nor numbers
//	{...}                                        struct of the keys whose values say something
//	[...]                                        array of the one type that all its elements together come to
//	{...} or [...] deeper than MaxDepth          string, holding the JSON text
//
// A later value of another type widens the column, its old values included:
//
//	         bigint    double    boolean   string    {...}     [...]
//	bigint   bigint    double *  string    string    refused   refused
//	double   double *  double    string    string    refused   refused
//	boolean  string    string    boolean   string    refused   refused
//	string   string    string    string    string    string    string
//	struct   refused   refused   refused   refused   fields    refused
//	array    refused   refused   refused   refused   refused   elements
//
// (*) string, if one of the integers seen is not exact as a double, as from 9007199254740993 on: a double would be silently wrong.
// "fields" and "elements": the same rules, part by part. In a string column a number, a boolean, an object or an array is kept as the
// text that stood in the record. A value without a scalar changes nothing and is refused nowhere: it may have come before the column.
//
// A record teaches all that it holds or nothing. It leaves the columns as they were if it is refused, is not JSON in UTF-8, holds
// anything but objects (one, several one behind the other, or arrays of them), has a key twice in one object, is nested deeper than
// 64, or would need more leaf columns than MaxColumns. So the kind that was seen first stays, and what goes to the error prefix shapes
// no file.
//
// New columns are added behind the others, new fields of a struct likewise: nothing ever moves or goes. Keys become names as in
// OpenX: the key that Keys gives a column belongs to that column, and no other key does; others are lower-cased unless
// CaseSensitive, and their dots become underscores if DotsToUnderscores. Keys that come out empty or longer than 255 bytes, and keys
// that are the name of a column for which Keys names another key, never become columns.
//
// # Versions and generations
//
// Each change of the columns is a version. Files of two versions can be read together as long as columns were only added. When a leaf
// changes its type, they cannot: then the generation changes too, and files of different generations must not share a prefix.
package infer

import "hydrant/config/schema"

// Limits bound what is learned, and say how keys become the names of columns.
type Limits struct {
	MaxColumns        int               // leaves; 0: 5000
	MaxDepth          int               // objects and arrays inside each other, below the record itself; 0: 16; at most schema.MaxDepth
	CaseSensitive     bool              // keys are not lower-cased
	DotsToUnderscores bool              // in keys
	Keys              map[string]string // column -> JSON key, at every level
	FirstOfDuplicates bool              // of a key that stands in an object twice the first counts; else the record teaches nothing
}

const (
	defaultColumns = 5000
	defaultDepth   = 16
	// maxNames bounds the names of all columns and fields together, so that a schema stays a file of a few MB.
	maxNames = 1 << 20
)

func (l Limits) withDefaults() Limits {
	if l.MaxColumns <= 0 {
		l.MaxColumns = defaultColumns
	}
	if l.MaxDepth <= 0 {
		l.MaxDepth = defaultDepth
	}
	l.MaxDepth = min(l.MaxDepth, schema.MaxDepth)
	return l
}
