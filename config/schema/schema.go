// Package schema owns column types: the names that Hive and Glue use, the tree that they stand for, and how JSON Schema and Avro
// files describe it. It knows no files of data and no records.
package schema

// Kind is a type without its parameters.
type Kind uint8

// The kinds of Hive that a column can have. varchar(n) and char(n) are String.
const (
	Boolean Kind = iota + 1
	TinyInt
	SmallInt
	Int
	BigInt
	Float
	Double
	Decimal
	String
	Binary
	Date
	Timestamp
	Array
	Map
	Struct
)

// Type is the type of a column or of a part of one. It never changes once made.
type Type struct {
	Kind             Kind
	Precision, Scale int      // of a Decimal; 1 to 38, 0 to Precision
	Key              *Type    // of a Map
	Elem             *Type    // of an Array, and the values of a Map
	Fields           []Column // of a Struct, in their order
}

// Column is a named type: a column of a table, a field of a struct.
type Column struct {
	Name string
	Type *Type
}
