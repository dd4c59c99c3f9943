package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// object is what stands under a key.
type object struct {
	key      string
	identity string // x-amz-meta-hydrant-batch
	body     []byte
}

// place is what an object's key says.
type place struct {
	key, folder, stream string
	table               string // what a reader would read as one: the stream's folder, or one beside it for other types of columns
	version             int
	errorType           string // empty for data
	partition           string
}

func placeOf(key string) place {
	at := strings.LastIndexByte(key, '/') + 1
	p := place{key: key, folder: key[:at]}
	dirs := strings.Split(p.folder, "/")
	p.table = dirs[0]
	p.stream, _, _ = strings.Cut(p.table, "-schema-")
	rest, _ := strings.CutPrefix(key[at:], p.stream+"-")
	v, _, _ := strings.Cut(rest, "-")
	p.version, _ = strconv.Atoi(v) // 0 has no records
	for _, d := range dirs[1:] {
		switch {
		case strings.HasSuffix(d, "-failed") || d == processKilled:
			p.errorType = d
		case strings.HasPrefix(d, "k="):
			p.partition = d[2:]
		}
	}
	return p
}

// order is the scope in which listing order is the order of acceptance.
func (p place) order() string {
	r := recipeOf(p.stream)
	switch {
	case r == 0 && p.errorType == "":
		return "" // the stream's objects, from its first to its last
	case r == 0 || p.errorType == processKilled || p.errorType == conversionFailed && r.partitioned():
		return p.key // objects of several partitions stand beside each other
	}
	return fmt.Sprintf("%s|%d", p.folder, p.version)
}

// table reads a Parquet file.
func (t *tally) table(p place, body []byte) (records int, ok bool) {
	s, err := readParquet(body)
	if err != nil {
		t.unreadable++
		t.example("unreadable", p.key, "%v", err)
		return 0, false
	}
	for name, kind := range s.types {
		column := p.table + "|" + name
		if before, known := t.types[column]; known && before != kind {
			t.unreadable++
			t.example("unreadable together", p.table, "column %s is %s in %s, %s before", name, kind, p.key, before)
		}
		t.types[column] = kind
	}
	for _, row := range s.rows {
		t.row(p, row)
	}
	return len(s.rows), true
}

func (t *tally) row(p place, row map[string]string) {
	k, seq, _, err := dissect([]byte(row["rec"]))
	if err != nil {
		t.foreign++
		t.example("foreign", p.key, "%v", err)
		return
	}
	want := valuesOf(k, seq, row["rec"])
	for _, v := range want {
		if !alike(v.text, row[v.name]) {
			t.foreign++
			t.example("foreign", p.key, "column %s of %v record %d is %q instead of %q", v.name, k, seq, row[v.name], v.text)
			return
		}
	}
	if _, odd := row["odd"]; len(row) != len(want) && !(odd && fateOf(k, seq) == either) {
		t.foreign++
		t.example("foreign", p.key, "%v record %d has %d columns instead of %d", k, seq, len(row), len(want))
		return
	}
	t.settled(p, k, seq)
}

// text takes a record as it was sent.
func (t *tally) text(p place, raw []byte) {
	k, seq, payload, err := dissect(raw)
	if err == nil && compose(k, seq, payload) != string(bytes.TrimRight(raw, "\n")) {
		err = fmt.Errorf("not as it was sent: %.200q", raw)
	}
	if err != nil {
		t.foreign++
		t.example("foreign", p.key, "%v", err)
		return
	}
	t.settled(p, k, seq)
}

// settled counts a record and asks whether it belongs where it was found.
func (t *tally) settled(p place, k lane, seq int) {
	r, f := recipeOf(k.life), fateOf(k, seq)
	switch name, _, _ := strings.Cut(k.life, "."); {
	case name != p.stream || !f.belongs(r, p.errorType):
		t.misplaced++
		t.example("misplaced", p.key, "%v record %d, whose fate is %d", k, seq, f)
	case p.errorType == "" && r.partitioned() && !t.inPartition(p, k, seq):
		t.misplaced++
		t.example("misplaced", p.key, "%v record %d belongs to partition %s", k, seq, partitionOf(k, seq, p.version))
	}
	if p.errorType != "" {
		t.aside[p.errorType]++
	}
	t.one(p, k, seq)
}

// inPartition asks whether the query of the object's version finds its partition. An object that was stuck may have moved to a newer
// version, with all its records: then it is the other query for each of them.
func (t *tally) inPartition(p place, k lane, seq int) bool {
	mine, other := partitionOf(k, seq, p.version) == p.partition, partitionOf(k, seq, p.version+1) == p.partition
	if t.judged != p.key {
		t.judged, t.movedNow = p.key, !mine && other && p.version > 1
		if t.movedNow {
			t.moved++
		}
	}
	if t.movedNow {
		return other
	}
	return mine
}

// errorRecords reads the lines of an error object.
func (t *tally) errorRecords(p place, body []byte) (records int) {
	for line := range bytes.Lines(body) {
		var e struct {
			ErrorCode, ErrorMessage string
			RawData                 []byte
		}
		if err := json.Unmarshal(line, &e); err != nil || e.ErrorCode == "" || e.ErrorMessage == "" || !bytes.HasSuffix(line, []byte("\n")) {
			t.foreign++
			t.example("foreign", p.key, "no error record, %v: %.200q", err, line)
			continue
		}
		records++
		switch {
		case recipeOf(p.stream) != 0:
			t.text(p, e.RawData)
		case p.errorType == processKilled:
			t.aside[p.errorType]++
			t.plain(p, e.RawData)
		default:
			t.foreign++
			t.example("foreign", p.key, "nothing is wrong with %.200q", e.RawData)
		}
	}
	return records
}

// identified holds an object's identity against what it holds, and against those of all others.
func (t *tally) identified(o object, p place, records int) {
	id := map[string]string{}
	for _, f := range strings.Split(o.identity, ";") {
		k, v, _ := strings.Cut(f, "=")
		id[k] = v
	}
	name := strings.Join([]string{id["stream"], id["role"], id["version"], id["partition"], id["first"]}, ";")
	switch {
	case id["first"] == "" || id["stream"] != p.stream || id["version"] != fmt.Sprint(p.version):
		t.misnamed++
		t.example("misnamed", o.key, "identity %q", o.identity)
	case id["count"] != fmt.Sprint(records) && p.errorType != processKilled:
		t.misnamed++
		t.example("misnamed", o.key, "holds %d records, %s", records, o.identity)
	case t.owners[name] != "":
		t.misnamed++
		t.example("misnamed", o.key, "has the identity of %s, %s", t.owners[name], o.identity)
	}
	t.owners[name] = o.key
}
