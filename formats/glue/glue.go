// Package glue gets the columns of a table of the Glue Data Catalog as types that files can be written with. How the catalog is
// asked is internal/gluetable's part.
package glue

import (
	"context"
	"fmt"

	"hydrant/config/schema"
	"hydrant/internal/gluetable"
)

// Options say which table, and how its catalog is reached.
type Options = gluetable.Options

// Client reads one table. Safe for concurrent use.
type Client struct {
	table *gluetable.Client
	name  string
}

// New reads the SDK's configuration chain and makes a client. It calls no service. Close the client when done.
func New(ctx context.Context, o Options) (*Client, error) {
	t, err := gluetable.New(ctx, o)
	if err != nil {
		return nil, err
	}
	return &Client{table: t, name: o.Database + "." + o.Table}, nil
}

// Columns asks the catalog once, for 10 seconds at most: the table's columns in their order, without its partition keys, whose values
// stand in the paths of files. What the catalog answers is an error of type *gluetable.Error, which says what to do and whether
// asking again may help; a type that cannot be written is another error, which names the column.
func (c *Client) Columns(ctx context.Context) ([]schema.Column, error) {
	t, err := c.table.Fetch(ctx)
	if err != nil {
		return nil, err
	}
	named := make([]schema.Named, len(t.Columns))
	for i, col := range t.Columns {
		named[i] = schema.Named(col)
	}
	cols, err := schema.FromNames(named, true)
	if err != nil {
		return nil, fmt.Errorf("glue table %s: %w", c.name, err)
	}
	return cols, nil
}

// Close ends idle connections. Calls that are under way are not affected.
func (c *Client) Close() error { return c.table.Close() }
