package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
)

const perLane = 1000

// delivery is a run in miniature: acknowledged records of some recipes, and objects that hold them as they should.
type delivery struct {
	t       *testing.T
	ledger  *ledger
	objects map[string]*batch
}

// batch is an object before it is written: records by number.
type batch struct {
	lane lane
	seqs []int
}

func life(r recipe) lane { return lane{string(rune(r)) + "0.1", 3} }

func deliver(t *testing.T, of ...recipe) *delivery {
	d := &delivery{t: t, ledger: newLedger(), objects: map[string]*batch{}}
	for _, r := range of {
		k := life(r)
		o := d.ledger.lane(k)
		o.reserve(perLane)
		d.ledger.acknowledged(o, 0, perLane)
		for seq := range perLane {
			d.put(keyFor(k, seq, 1+seq/400), k, seq)
		}
	}
	return d
}

// keyFor is where a record belongs.
func keyFor(k lane, seq, version int) string {
	stream, r := k.life[:2], recipeOf(k.life)
	name := fmt.Sprintf("%s-%d-2026-%05d", stream, version, seq/200*200)
	switch f := fateOf(k, seq); {
	case f == keyless:
		return stream + "/errors/" + metadataFailed + "/" + name
	case f == broken && r.partitioned():
		return stream + "/errors/" + processingFailed + "/" + name
	case f == misfit || f == broken:
		return stream + "/errors/" + conversionFailed + "/" + name
	case r.partitioned():
		return stream + "/k=" + partitionOf(k, seq, version) + "/" + name
	}
	return fmt.Sprintf("%s-schema-%d/2026/%s", stream, 1+seq/400, name)
}

func (d *delivery) put(key string, k lane, seq int) {
	if d.objects[key] == nil {
		d.objects[key] = &batch{lane: k}
	}
	d.objects[key].seqs = append(d.objects[key].seqs, seq)
}

// dataOf is a data object of a recipe with many records.
func (d *delivery) dataOf(r recipe) (string, *batch) {
	for _, key := range d.keys() {
		if p := placeOf(key); recipeOf(p.stream) == r && p.errorType == "" && len(d.objects[key].seqs) > 20 {
			return key, d.objects[key]
		}
	}
	d.t.Fatal("no such object")
	return "", nil
}

// aside is an error object.
func (d *delivery) aside() *batch {
	for _, key := range d.keys() {
		if placeOf(key).errorType != "" {
			return d.objects[key]
		}
	}
	d.t.Fatal("no such object")
	return nil
}

func (d *delivery) keys() (keys []string) {
	for key := range d.objects {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// write makes an object's bytes.
func (d *delivery) write(key string) object {
	b, p := d.objects[key], placeOf(key)
	var out bytes.Buffer
	switch {
	case p.errorType != "":
		for _, seq := range b.seqs {
			raw := base64.StdEncoding.EncodeToString([]byte(compose(b.lane, seq, "00ff") + "\n"))
			fmt.Fprintf(&out, `{"errorCode":"A.B","errorMessage":"why","rawData":%q}`+"\n", raw)
		}
	case recipeOf(p.stream) == lines:
		for _, seq := range b.seqs {
			out.WriteString(compose(b.lane, seq, "00ff") + "\n")
		}
	default:
		out.Write(parquetFile(d.t, b))
	}
	return stored(key, len(b.seqs), out.String())
}

// parquetFile writes texts, whatever the type: readers of the verifier are to read another writer's files, too.
func parquetFile(t *testing.T, b *batch) []byte {
	group := parquet.Group{}
	for _, name := range []string{"rec", "k", "alt", "n", "x", "ok", "odd", "c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8"} {
		group[name] = parquet.Optional(parquet.String())
	}
	schema := parquet.NewSchema("row", group)
	var out bytes.Buffer
	w := parquet.NewGenericWriter[map[string]any](&out, schema)
	for _, seq := range b.seqs {
		row := map[string]any{}
		text := compose(b.lane, seq, "00ff")
		rec := text[strings.IndexByte(text, '~') : strings.LastIndexByte(text, '~')+1]
		for _, v := range valuesOf(b.lane, seq, rec) {
			row[v.name] = v.text
		}
		if _, err := w.Write([]map[string]any{row}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// shelf is a store in memory.
type shelf []object

func (s shelf) each(_ context.Context, f func(object) error) error {
	for _, o := range s {
		if err := f(o); err != nil {
			return err
		}
	}
	return nil
}

func (d *delivery) judge(spoil func(key string, o *object)) *tally {
	d.t.Helper()
	var s shelf
	for _, key := range d.keys() {
		o := d.write(key)
		if spoil != nil {
			spoil(key, &o)
		}
		s = append(s, o)
	}
	y, objects, err := verify(context.Background(), s, d.ledger)
	if err != nil || objects != len(s) {
		d.t.Fatal(objects, err)
	}
	return y
}

func TestAPerfectDeliveryPasses(t *testing.T) {
	d := deliver(t, recipes()...)
	y := d.judge(nil)
	if !y.ok() || y.delivered != 3*perLane || y.aside[processingFailed]*y.aside[metadataFailed]*y.aside[conversionFailed] == 0 {
		t.Errorf("%v\n%s", y, strings.Join(y.examples, "\n"))
	}
}

// TestPlantedFailuresAreFound: a verifier that finds nothing proves nothing.
func TestPlantedFailuresAreFound(t *testing.T) {
	for _, r := range recipes() {
		for name, c := range map[string]struct {
			plant func(d *delivery)
			found func(y *tally) int
		}{
			"loss":                       {func(d *delivery) { _, b := d.dataOf(r); b.seqs = b.seqs[1:] }, func(y *tally) int { return y.lost }},
			"a whole object lost":        {func(d *delivery) { key, _ := d.dataOf(r); delete(d.objects, key) }, func(y *tally) int { return y.lost }},
			"loss of a record set aside": {func(d *delivery) { b := d.aside(); b.seqs = b.seqs[1:] }, func(y *tally) int { return y.lost }},
			"duplicate":                  {func(d *delivery) { _, b := d.dataOf(r); b.seqs = append(b.seqs, b.seqs[3]) }, func(y *tally) int { return y.duplicates }},
			"duplicate elsewhere": {func(d *delivery) {
				key, b := d.dataOf(r)
				d.put(placeOf(key).folder+placeOf(key).stream+"-1-2027", b.lane, b.seqs[0])
			}, func(y *tally) int { return y.duplicates }},
			"delivered and set aside": {func(d *delivery) {
				_, b := d.dataOf(r)
				d.put(b.lane.life[:2]+"/errors/"+conversionFailed+"/"+b.lane.life[:2]+"-1-2026-0", b.lane, b.seqs[0])
			}, func(y *tally) int { return min(y.duplicates, y.misplaced) }},
			"good record set aside": {func(d *delivery) {
				_, b := d.dataOf(r)
				d.put(b.lane.life[:2]+"/errors/"+metadataFailed+"/"+b.lane.life[:2]+"-1-2026-0", b.lane, b.seqs[0])
				b.seqs = b.seqs[1:]
			}, func(y *tally) int { return y.misplaced }},
			"order": {func(d *delivery) { _, b := d.dataOf(r); b.seqs[4], b.seqs[5] = b.seqs[5], b.seqs[4] }, func(y *tally) int { return y.disordered }},
			"record of another stream": {func(d *delivery) {
				key, b := d.dataOf(r)
				other := string(rune(r)) + "9/k=k0/" + string(rune(r)) + "9-1-2026"
				d.objects[other] = b
				delete(d.objects, key)
			}, func(y *tally) int { return y.misplaced }},
		} {
			t.Run(fmt.Sprintf("%c %s", r, name), func(t *testing.T) {
				d := deliver(t, r)
				c.plant(d)
				if y := d.judge(nil); y.ok() || c.found(y) == 0 {
					t.Errorf("not found: %v", y)
				}
			})
		}
	}
}

func TestWrongPartitionIsFound(t *testing.T) {
	for _, r := range []recipe{lines, columns} {
		d := deliver(t, r)
		key, b := d.dataOf(r)
		d.objects[strings.Replace(key, "k="+placeOf(key).partition, "k=z", 1)] = b
		delete(d.objects, key)
		if y := d.judge(nil); y.misplaced != len(b.seqs) {
			t.Errorf("%c: %v", r, y)
		}
	}
}

// TestAnObjectMayMoveToANewerVersionWhole: what was stuck keeps the partition that an older query found, all of it or nothing.
func TestAnObjectMayMoveToANewerVersionWhole(t *testing.T) {
	for _, half := range []bool{false, true} {
		d := deliver(t, lines)
		for _, key := range d.keys() {
			b, p := d.objects[key], placeOf(key)
			if p.partition == "" || p.version != 1 {
				continue
			}
			to := strings.Replace(key, "-1-", "-2-", 1)
			if d.objects[to] != nil {
				t.Fatal(to)
			}
			d.objects[to] = b
			delete(d.objects, key)
			if half { // and one by the newer query, which must not be there then
				for seq := range perLane {
					if fateOf(b.lane, seq) == good && partitionOf(b.lane, seq, 1) != p.partition {
						d.put(to, b.lane, seq)
						break
					}
				}
			}
			break
		}
		if y := d.judge(nil); y.moved != 1 || y.ok() == half {
			t.Errorf("%v", y)
		}
	}
}

func TestSpoiledObjectsAreFound(t *testing.T) {
	for name, c := range map[string]struct {
		of    recipe
		spoil func(o *object)
		found func(y *tally) int
	}{
		"cut off":          {columns, func(o *object) { o.body = o.body[:len(o.body)-1] }, func(y *tally) int { return y.unreadable }},
		"half":             {inferred, func(o *object) { o.body = o.body[:len(o.body)/2] }, func(y *tally) int { return y.unreadable }},
		"empty":            {inferred, func(o *object) { o.body = nil }, func(y *tally) int { return y.unreadable }},
		"footer":           {columns, func(o *object) { o.body[len(o.body)-20] ^= 0xff }, func(y *tally) int { return y.unreadable + y.foreign + y.lost }},
		"data page":        {columns, func(o *object) { clear(o.body[40:200]) }, func(y *tally) int { return y.unreadable + y.foreign + y.lost }},
		"text flipped":     {lines, func(o *object) { o.body[bytes.IndexByte(o.body, '~')+12] ^= 1 }, func(y *tally) int { return y.foreign }},
		"member changed":   {lines, func(o *object) { o.body = bytes.Replace(o.body, []byte(`"n":`), []byte(`"n":1`), 1) }, func(y *tally) int { return y.foreign }},
		"last line cut":    {lines, func(o *object) { o.body = o.body[:len(o.body)-9] }, func(y *tally) int { return y.foreign }},
		"strange line":     {lines, func(o *object) { o.body = append(o.body, "{}\n"...) }, func(y *tally) int { return y.foreign }},
		"no identity":      {lines, func(o *object) { o.identity = "" }, func(y *tally) int { return y.misnamed }},
		"wrong count":      {columns, func(o *object) { o.identity += "0" }, func(y *tally) int { return y.misnamed }},
		"another version":  {inferred, func(o *object) { o.identity = strings.Replace(o.identity, "version=", "version=1", 1) }, func(y *tally) int { return y.misnamed }},
		"another's stream": {inferred, func(o *object) { o.identity = strings.Replace(o.identity, "stream=", "stream=x", 1) }, func(y *tally) int { return y.misnamed }},
	} {
		t.Run(name, func(t *testing.T) {
			d := deliver(t, c.of)
			target, _ := d.dataOf(c.of)
			y := d.judge(func(key string, o *object) {
				if key == target {
					c.spoil(o)
				}
			})
			if y.ok() || c.found(y) == 0 {
				t.Errorf("not found: %v", y)
			}
		})
	}
}

func TestOneIdentityTwiceIsFound(t *testing.T) {
	d := deliver(t, columns)
	target, _ := d.dataOf(columns)
	var o object
	y := d.judge(func(key string, it *object) {
		if key == target {
			o = *it
		}
	})
	o.key += "-again"
	if y.object(o); y.misnamed != 1 {
		t.Errorf("%v", y)
	}
}

// TestTypesOfATableMustAgree: files that a reader cannot read together count as unreadable.
func TestTypesOfATableMustAgree(t *testing.T) {
	var out bytes.Buffer
	w := parquet.NewGenericWriter[struct {
		Rec string `parquet:"rec"`
		N   int64  `parquet:"n"`
	}](&out)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	d := deliver(t, inferred)
	y := d.judge(nil)
	if y.object(stored("i0-schema-9/2026/i0-1-2027", 0, out.String())); !y.ok() {
		t.Errorf("a table of its own: %v", y)
	}
	if y.object(stored("i0-schema-1/2025/01/i0-1-2028", 0, out.String())); y.unreadable == 0 {
		t.Errorf("not found: %v", y)
	}
}
