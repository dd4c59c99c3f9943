package parquet

import (
	"fmt"
	"math"
	"strings"

	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"hydrant/config/schema"
)

// node is a column, or a part of one, as records are fitted into it.
type node struct {
	path string // for people: user.tags[]
	want string // its type, for people
	kind schema.Kind
	typ  *schema.Type
	def  uint8 // definition level of a value; one less of a null. Of an array or map: of an empty one
	rep  uint8 // repetition level of what follows the first element of an array or map

	col    *column // of a scalar
	key    *node   // of a map
	elem   *node   // of an array, and the values of a map
	fields []*node // of a struct
	keys   columnKeys
	seen   []uint64 // per field: the number of the object that had it last
	known  map[string]*keySlot
	first  *keySlot // the key that objects began with lately
	other  keySlot  // for keys that are not remembered
	leaves []*column
}

// keySlot is a key as it stands in the text of objects. Logs repeat the order of their keys, so that each remembers
// which one followed it: a key that comes as expected costs one comparison.
type keySlot struct {
	text  string // quotes and colon included
	field int32  // or noField, neverField
	next  *keySlot
}

// maxKnownKeys bounds how many spellings of keys a struct remembers beyond its fields.
const maxKnownKeys = 256

// folding is how keys match column names: a key that the configuration names belongs to the column it is named for, and that
// column has no other; all others match by name, in any case and with dots as underscores if so configured.
type folding struct {
	caseSensitive bool
	dots          bool
	keys          map[string]string // column -> key
}

func (f *folding) id(name string) string {
	if f.caseSensitive {
		return name
	}
	return strings.ToLower(name)
}

// columnKeys finds the field of a struct for a key.
type columnKeys struct {
	byKey  map[string]int32 // for which a key was named
	byName map[string]int32 // all the others
	taken  map[string]bool  // names of columns for which a key was named, wherever they are
}

func (f *folding) columnKeys(columns []schema.Column) (columnKeys, error) {
	k := columnKeys{make(map[string]int32), make(map[string]int32), make(map[string]bool)}
	named := make(map[string]string, len(f.keys))
	for column, key := range f.keys {
		named[f.id(column)] = f.id(key)
		k.taken[f.id(column)] = true
	}
	for i, c := range columns {
		name, in := f.id(c.Name), k.byName
		if k.taken[name] {
			name, in = named[name], k.byKey
		}
		if _, twice := in[name]; twice || c.Name == "" {
			return k, fmt.Errorf("the name %q is empty or there twice", c.Name)
		}
		in[name] = int32(i)
	}
	return k, nil
}

// find returns the field for a key; without one, never says that the key cannot become a column either.
func (k *columnKeys) find(f *folding, key string) (field int32, never bool) {
	name := f.id(key)
	if field, ok := k.byKey[name]; ok {
		return field, false
	}
	if f.dots {
		name = strings.ReplaceAll(name, ".", "_")
	}
	if field, ok := k.byName[name]; ok {
		return field, false
	}
	return noField, name == "" || len(name) > schema.MaxNameBytes || k.taken[name]
}

// Instead of the number of a field.
const (
	noField    int32 = -1
	neverField int32 = -2 // nor will there be one in an inferred schema
)

// builder makes the tree of nodes, the columns and the schema elements of the footer in one walk.
type builder struct {
	opts     *options
	cols     []*column
	elements []format.SchemaElement
}

// place is where in the schema a node stands.
type place struct {
	path     []string
	text     string
	def, rep uint8
	required bool // a map's key
}

func (p place) child(name, text string) place {
	path := append(p.path[:len(p.path):len(p.path)], name)
	return place{path: path, text: text, def: p.def, rep: p.rep}
}

func (b *builder) root(columns []schema.Column) (*node, error) {
	if len(columns) == 0 && !b.opts.strict {
		return nil, fmt.Errorf("no columns")
	}
	b.elements = append(b.elements, format.SchemaElement{Name: "schema", NumChildren: thrift.New(int32(len(columns)))})
	n := &node{kind: schema.Struct, want: "struct"}
	return n, b.fields(n, columns, place{})
}

// fields adds the fields of a struct, or the columns of the file, to n.
func (b *builder) fields(n *node, columns []schema.Column, p place) error {
	var err error
	if n.keys, err = b.opts.columnKeys(columns); err != nil {
		return fmt.Errorf("columns%s: %w", inside(n), err)
	}
	n.known = make(map[string]*keySlot)
	n.seen = make([]uint64, len(columns))
	for _, c := range columns {
		child, err := b.node(c.Type, p.child(c.Name, joined(p.text, c.Name)))
		if err != nil {
			return err
		}
		n.fields = append(n.fields, child)
		n.leaves = append(n.leaves, child.leaves...)
	}
	return nil
}

func joined(parent, name string) string {
	if parent == "" {
		return name
	}
	return parent + "." + name
}

func (b *builder) node(t *schema.Type, p place) (*node, error) {
	if t == nil || len(p.path) > maxDepth*3 || p.def > maxLevel-3 {
		return nil, fmt.Errorf("column %q: no type, or nested too deeply", p.text)
	}
	n := &node{path: p.text, kind: t.Kind, typ: t, want: kindName(t)}
	if !p.required {
		p.def++
	}
	n.def = p.def
	switch t.Kind {
	case schema.Struct:
		if len(t.Fields) == 0 {
			return nil, fmt.Errorf("column %q: a struct without fields", p.text)
		}
		b.group(p, len(t.Fields), nil)
		return n, b.fields(n, t.Fields, p)
	case schema.Array:
		return n, b.array(n, t, p)
	case schema.Map:
		return n, b.mapping(n, t, p)
	}
	col, err := b.leaf(t, p)
	if err != nil {
		return nil, err
	}
	n.col, n.leaves = col, []*column{col}
	b.cols = append(b.cols, col)
	return n, nil
}

// group adds the element of a struct, array or map.
func (b *builder) group(p place, children int, annotate func(*format.SchemaElement)) {
	el := format.SchemaElement{Name: p.path[len(p.path)-1], NumChildren: thrift.New(int32(children)), RepetitionType: thrift.New(format.Optional)}
	if annotate != nil {
		annotate(&el)
	}
	b.elements = append(b.elements, el)
}

// array adds `optional group (LIST) { repeated group list { optional element } }`.
func (b *builder) array(n *node, t *schema.Type, p place) error {
	b.group(p, 1, func(el *format.SchemaElement) {
		el.ConvertedType = thrift.New(deprecated.List)
		el.LogicalType = format.LogicalType{Value: new(format.ListType)}
	})
	list := p.child("list", p.text+"[]")
	b.group(list, 1, repeated)
	list.def, list.rep = p.def+1, p.rep+1
	n.rep = list.rep
	var err error
	n.elem, err = b.node(t.Elem, list.child("element", list.text))
	if err == nil {
		n.leaves = n.elem.leaves
	}
	return err
}

func repeated(el *format.SchemaElement) { el.RepetitionType = thrift.New(format.Repeated) }

// mapping adds `optional group (MAP) { repeated group key_value { required key; optional value } }`.
func (b *builder) mapping(n *node, t *schema.Type, p place) error {
	b.group(p, 1, func(el *format.SchemaElement) {
		el.ConvertedType = thrift.New(deprecated.Map)
		el.LogicalType = format.LogicalType{Value: new(format.MapType)}
	})
	kv := p.child("key_value", p.text)
	b.group(kv, 2, repeated)
	kv.def, kv.rep = p.def+1, p.rep+1
	n.rep = kv.rep
	kp := kv.child("key", p.text+"{key}")
	kp.required = true
	var err error
	if n.key, err = b.node(t.Key, kp); err != nil {
		return err
	}
	if n.key.col == nil {
		return fmt.Errorf("column %q: the key of a map must be a scalar", p.text)
	}
	if n.elem, err = b.node(t.Elem, kv.child("value", p.text+"{}")); err != nil {
		return err
	}
	n.leaves = append([]*column{n.key.col}, n.elem.leaves...)
	return nil
}

// leaf adds the element of a scalar and makes its column.
func (b *builder) leaf(t *schema.Type, p place) (*column, error) {
	el := format.SchemaElement{Name: p.path[len(p.path)-1], RepetitionType: thrift.New(format.Optional)}
	if p.required {
		el.RepetitionType = thrift.New(format.Required)
	}
	c := &column{path: p.path, maxDef: p.def, maxRep: p.rep}
	switch t.Kind {
	case schema.Boolean:
		c.physical, c.width, c.order = format.Boolean, 1, orderBool
	case schema.TinyInt:
		c.physical, c.width, c.order = format.Int32, 4, orderInt32
		small(&el, 8, deprecated.Int8)
	case schema.SmallInt:
		c.physical, c.width, c.order = format.Int32, 4, orderInt32
		small(&el, 16, deprecated.Int16)
	case schema.Int:
		c.physical, c.width, c.order = format.Int32, 4, orderInt32
	case schema.BigInt:
		c.physical, c.width, c.order = format.Int64, 8, orderInt64
	case schema.Float:
		c.physical, c.width, c.order = format.Float, 4, orderFloat
	case schema.Double:
		c.physical, c.width, c.order = format.Double, 8, orderDouble
	case schema.String:
		c.physical, c.order = format.ByteArray, orderBytes
		el.ConvertedType = thrift.New(deprecated.UTF8)
		el.LogicalType = format.LogicalType{Value: new(format.StringType)}
	case schema.Binary:
		c.physical, c.order, c.binary = format.ByteArray, orderBytes, true
	case schema.Date:
		c.physical, c.width, c.order = format.Int32, 4, orderInt32
		el.ConvertedType = thrift.New(deprecated.Date)
		el.LogicalType = format.LogicalType{Value: new(format.DateType)}
	case schema.Timestamp:
		b.opts.unit.column(c, &el)
	case schema.Decimal:
		if t.Precision < 1 || t.Precision > 38 || t.Scale < 0 || t.Scale > t.Precision {
			return nil, fmt.Errorf("column %q: decimal(%d,%d)", p.text, t.Precision, t.Scale)
		}
		decimalColumn(c, &el, t)
	default:
		return nil, fmt.Errorf("column %q: type number %d", p.text, t.Kind)
	}
	el.Type = thrift.New(c.physical)
	b.elements = append(b.elements, el)
	return c, nil
}

func small(el *format.SchemaElement, bits int8, old deprecated.ConvertedType) {
	el.ConvertedType = thrift.New(old)
	el.LogicalType = format.LogicalType{Value: &format.IntType{BitWidth: bits, IsSigned: true}}
}

// decimalColumn: as few bytes as hold the precision, as Hive writes it.
func decimalColumn(c *column, el *format.SchemaElement, t *schema.Type) {
	c.physical, c.order = format.FixedLenByteArray, orderDecimal
	c.width = int(math.Ceil((float64(t.Precision)*math.Log2(10) + 1) / 8))
	el.TypeLength = thrift.New(int32(c.width))
	el.ConvertedType = thrift.New(deprecated.Decimal)
	el.Scale, el.Precision = thrift.New(int32(t.Scale)), thrift.New(int32(t.Precision))
	el.LogicalType = format.LogicalType{Value: &format.DecimalType{Scale: int32(t.Scale), Precision: int32(t.Precision)}}
}

func kindName(t *schema.Type) string {
	names := [...]string{schema.Boolean: "boolean", schema.TinyInt: "tinyint", schema.SmallInt: "smallint", schema.Int: "int",
		schema.BigInt: "bigint", schema.Float: "float", schema.Double: "double", schema.String: "string", schema.Binary: "binary",
		schema.Date: "date", schema.Timestamp: "timestamp", schema.Array: "array", schema.Map: "map", schema.Struct: "struct"}
	if t.Kind == schema.Decimal {
		return fmt.Sprintf("decimal(%d,%d)", t.Precision, t.Scale)
	}
	if int(t.Kind) < len(names) {
		return names[t.Kind]
	}
	return "?"
}
