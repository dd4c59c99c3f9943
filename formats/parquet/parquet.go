// Package parquet turns JSON records into one Parquet file, straight from the bytes of a record to the bytes of its
// columns' pages: no value tree and no map stand between them. It owns how JSON fits column types, the layout of the
// file and the check of a finished one. It does not own schemas (where columns come from), compression of whole objects, or what
// happens to a record that does not fit.
//
// # How JSON fits declared columns
//
// As in the OpenX SerDe, but nothing is rounded, wrapped or guessed: what cannot be held is a failure. null and a missing key
// are null in every column.
//
//	tinyint ... bigint   a number that is whole (1.0, 1e3), a string of one, "0x1F"; within the range
//	float, double        a number or a string of one; not NaN, infinite or beyond the range
//	decimal(p,s)         the same, exactly: no digit behind the scale, none beyond the precision
//	boolean              true, false, and strings of them in any case
//	string               a string; a number or boolean as it stands in the record; an object or array as its JSON text
//	binary               the bytes of a string
//	date                 "yyyy-MM-dd"
//	timestamp            "yyyy-MM-ddTHH:mm:ss" or with a space, a fraction of up to 9 digits, Z or an offset (none: UTC); a number or a
//	                     string of one: seconds, with fraction if need be, or milliseconds when whole and of 13 digits or more; in the
//	                     years 1 to 9999; what is finer than the unit is dropped. With formats configured only those.
//	array                an array; a scalar becomes an array of one; "" is null
//	map                  an object, no key twice; the case of keys is kept; "" is null
//	struct               an object; an array by position; "" and [] are null
//
// A key matches a column by name, in any case unless configured, and then one that stands in an object twice is a failure
// or the first counts. Half a surrogate pair in a string becomes U+FFFD. Text is strict JSON in UTF-8, at most 64 arrays and objects
// deep. Timestamps are stored in UTC without a time zone, as Hive has them.
//
// # How JSON fits inferred columns
//
// Package infer has the rules; here nothing is converted, so that what went in reads back: "12" is no number, 1.0 is no bigint,
// 9007199254740993 is no double, a scalar is no array. Objects and arrays without any scalar in them say nothing, and are null
// where they do not fit.
//
// # The file
//
// Columns in their declared order, all optional; lists as list/element, maps as key_value; data pages with checksums, PLAIN or
// with a dictionary; bounds per column chunk, and a page index. The pages are encoded here, because records then go to them
// without a step between; the library has the structures of header and footer, and reads finished files again.
package parquet

import (
	"errors"
	"fmt"
	"io"
	"sort"

	"hydrant/config"
	"hydrant/config/schema"
)

// Options say what file to write.
type Options struct {
	Columns  []schema.Column
	Config   config.Parquet    // zero values mean the documented defaults
	Metadata map[string]string // key-value metadata of the footer, written in the order of the keys

	// Inferred says that the columns were learned from the data. Then nothing is converted: what was learned as a number
	// reads back as that number, and a record that does not fit is a failure, also when it has keys without a column.
	// Without any column all records are failures.
	Inferred bool
	// Growing is Inferred while the schema may still become wider: a record that would fit a wider schema makes Write
	// return ErrGrow. What no schema takes by the rules (an array where a number stood) is a failure all the same.
	Growing bool
}

// ErrGrow is what Write returns for a record that a wider schema would take. Nothing of the record was written.
var ErrGrow = errors.New("parquet: the record needs a wider schema")

// Defaults and limits of a file.
const (
	defaultPageBytes  = 1 << 20
	defaultGroupBytes = 64 << 20
	minPageBytes      = 4 << 10
	minGroupBytes     = 1 << 20
	maxGroupRows      = 1 << 20
	maxLevel          = 255
	sweepBytes        = 64 << 10 // record bytes between two looks at how full the pages are
	maxPageRows       = 1 << 18
)

// Encoder writes one file. It holds at most a row group of encoded pages (RowGroupSize bytes), a page under way per
// column, and the footer. Not safe for concurrent use.
type Encoder struct {
	opts options
	root *node
	cols []*column
	file fileWriter

	record uint64 // number of the record under way: what of a column belongs to it can be taken back
	object uint64 // number of the JSON object under way, for finding duplicate keys
	row    int64  // rows of the row group that are complete
	rows   int64  // rows of the file

	sinceSweep int   // record bytes since the columns were last looked at
	groupBytes int64 // record bytes of the row group

	text []byte // an unescaped string that becomes something else
	fail scratchFailure
	err  error // the first final error
}

// options are Options with the defaults filled in.
type options struct {
	pageBytes  int
	groupBytes int64
	v2         bool
	dictionary dictionaryMode
	unknown    unknownMode
	firstWins  bool // of duplicate keys
	strict     bool // Inferred or Growing
	growing    bool
	folding
	unit  timeUnit
	times timeParsers
}

// New returns an encoder that writes to w. An error says what of the options cannot be: a column that no reader would
// find, a type nested too deeply, an unknown word.
func New(w io.Writer, o Options) (*Encoder, error) {
	opts, err := newOptions(o)
	if err != nil {
		return nil, fmt.Errorf("parquet: %w", err)
	}
	codec, err := codecOf(o.Config.Compression)
	if err != nil {
		return nil, fmt.Errorf("parquet: %w", err)
	}
	e := &Encoder{opts: opts}
	b := builder{opts: &e.opts}
	if e.root, err = b.root(o.Columns); err != nil {
		return nil, fmt.Errorf("parquet: %w", err)
	}
	e.cols = b.cols
	e.file = fileWriter{w: w, codec: codec, elements: b.elements, v2: opts.v2, metadata: sortedMetadata(o.Metadata)}
	return e, nil
}

func newOptions(o Options) (options, error) {
	c := o.Config
	opts := options{
		pageBytes:  max(orDefault(int(c.PageSize), defaultPageBytes), minPageBytes),
		groupBytes: max(int64(orDefault(int(c.RowGroupSize), defaultGroupBytes)), minGroupBytes),
		firstWins:  c.Duplicates == "first",
		strict:     o.Inferred || o.Growing,
		growing:    o.Growing,
		folding:    folding{caseSensitive: c.JSON.CaseSensitive, dots: c.JSON.DotsToUnderscores, keys: c.JSON.Keys},
	}
	var err error
	if opts.v2, err = oneOf("writer", c.Writer, "v1", "v2"); err != nil {
		return opts, err
	}
	unknownError, err := oneOf("unknown", c.Unknown, "drop", "error")
	if err != nil {
		return opts, err
	}
	opts.unknown = unknownModeOf(unknownError, opts)
	if _, err = oneOf("duplicates", c.Duplicates, "error", "first"); err != nil {
		return opts, err
	}
	if opts.dictionary, err = dictionaryModeOf(c.Dictionary); err != nil {
		return opts, err
	}
	if opts.unit, err = timeUnitOf(c.Timestamps); err != nil {
		return opts, err
	}
	opts.times, err = newTimeParsers(c.JSON.TimestampFormats)
	return opts, err
}

// oneOf reports whether word is the second of two words; nothing means the first.
func oneOf(field, word, first, second string) (bool, error) {
	switch word {
	case "", first:
		return false, nil
	case second:
		return true, nil
	}
	return false, fmt.Errorf("%s %q: want %s or %s", field, word, first, second)
}

func orDefault(n, def int) int {
	if n <= 0 {
		return def
	}
	return n
}

func sortedMetadata(m map[string]string) [][2]string {
	out := make([][2]string, 0, len(m))
	for k, v := range m {
		out = append(out, [2]string{k, v})
	}
	sort.Slice(out, func(i, j int) bool { return out[i][0] < out[j][0] })
	return out
}

// Write adds the rows of one record: JSON objects one behind the other, white space between them, or an array of
// objects. All of them are added or none. A *record.Failure concerns this record alone, as ErrGrow does; any other error
// is final and the file must be thrown away. data is not kept.
func (e *Encoder) Write(data []byte) (err error) {
	if e.err != nil {
		return e.err
	}
	e.record++
	rows, before := e.rows, e.row
	ok := false
	defer func() {
		p := recover() // our own mistake, or the library's: it must not end the process
		switch {
		case !ok: // the record is set aside, its neighbours stay
			e.rollback(before, rows)
			err = e.failure(data)
		case p != nil:
			e.err = fmt.Errorf("parquet: %v", p)
			err = e.err
		}
	}()
	if ok = e.writeRecord(data); !ok {
		return nil // the deferred function says why
	}
	e.groupBytes += int64(len(data))
	e.sinceSweep += len(data)
	if e.sinceSweep >= sweepBytes {
		e.err = e.sweep()
	}
	return e.err
}

// rollback takes back what the record under way added to the columns.
func (e *Encoder) rollback(row, rows int64) {
	for _, c := range e.cols {
		if c.record == e.record {
			c.restore()
		}
	}
	e.row, e.rows = row, rows
}

// sweep writes out the pages that are full, and the row group when it is.
func (e *Encoder) sweep() error {
	e.sinceSweep = 0
	held := int64(0)
	for _, c := range e.cols {
		if c.pageBytes() >= e.opts.pageBytes || c.rows-c.pageRow >= maxPageRows {
			if err := e.flushPage(c); err != nil {
				return err
			}
		}
		c.makeRoom()
		held += int64(c.pageBytes() + c.chunk.size)
	}
	if e.groupBytes >= e.opts.groupBytes || held >= e.opts.groupBytes || e.row >= maxGroupRows {
		return e.endGroup()
	}
	return nil
}

// Rows is the number of rows written so far.
func (e *Encoder) Rows() int64 { return e.rows }

// Extension is what the format adds to an object's name.
func (e *Encoder) Extension() string { return ".parquet" }

// Close ends the file; w stays open. A file without rows is a valid file.
func (e *Encoder) Close() (err error) {
	if e.err != nil {
		return e.err
	}
	defer func() {
		if p := recover(); p != nil {
			e.err = fmt.Errorf("parquet: %v", p)
			err = e.err
		}
	}()
	if e.row > 0 {
		e.err = e.endGroup()
	}
	if e.err == nil {
		e.err = e.file.end(e.cols, e.rows)
	}
	if e.err == nil {
		e.root, e.cols, e.file = nil, nil, fileWriter{} // whoever keeps a closed encoder keeps little
		e.err = errClosed
		return nil
	}
	return e.err
}

var errClosed = errors.New("parquet: the file is closed")
