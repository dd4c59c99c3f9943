package schema

import (
	"strconv"
	"strings"
)

// String is Hive's name of the kind.
func (k Kind) String() string {
	switch k {
	case Boolean:
		return "boolean"
	case TinyInt:
		return "tinyint"
	case SmallInt:
		return "smallint"
	case Int:
		return "int"
	case BigInt:
		return "bigint"
	case Float:
		return "float"
	case Double:
		return "double"
	case Decimal:
		return "decimal"
	case String:
		return "string"
	case Binary:
		return "binary"
	case Date:
		return "date"
	case Timestamp:
		return "timestamp"
	case Array:
		return "array"
	case Map:
		return "map"
	case Struct:
		return "struct"
	}
	return "invalid"
}

// Nested says whether types of this kind are made of other types.
func (k Kind) Nested() bool { return k >= Array && k <= Struct }

// String is the type's one canonical text, which Parse reads back as an equal type.
func (t *Type) String() string {
	var b strings.Builder
	t.print(&b)
	return b.String()
}

func (t *Type) print(b *strings.Builder) {
	if t == nil {
		b.WriteString("invalid")
		return
	}
	b.WriteString(t.Kind.String())
	switch t.Kind {
	case Decimal:
		b.WriteString("(" + strconv.Itoa(t.Precision) + "," + strconv.Itoa(t.Scale) + ")")
	case Array:
		b.WriteByte('<')
		t.Elem.print(b)
		b.WriteByte('>')
	case Map:
		b.WriteByte('<')
		t.Key.print(b)
		b.WriteByte(',')
		t.Elem.print(b)
		b.WriteByte('>')
	case Struct:
		t.printFields(b)
	}
}

func (t *Type) printFields(b *strings.Builder) {
	b.WriteByte('<')
	for i, f := range t.Fields {
		if i > 0 {
			b.WriteByte(',')
		}
		printName(b, f.Name)
		b.WriteByte(':')
		f.Type.print(b)
	}
	b.WriteByte('>')
}

// printName quotes a name that would not be read back as it is.
func printName(b *strings.Builder, name string) {
	if name != "" && !strings.ContainsAny(name, ":,<>`") && strings.Trim(name, " \t\r\n") == name {
		b.WriteString(name)
		return
	}
	b.WriteString("`" + strings.ReplaceAll(name, "`", "``") + "`")
}
