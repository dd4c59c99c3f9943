package daemon

import (
	"context"
	"time"

	"hydrant/formats/glue"
)

// glueFresh is how long a table's columns are taken as they were read last.
const glueFresh = time.Minute

// glueRest is how long nobody asks again after it did not answer and nothing is known of the table.
const glueRest = 5 * time.Second

// fetch reads the Glue table, unless that was done a moment ago. While Glue cannot be reached, the columns that were read last count.
func (l *learnedSchemas) fetch(ctx context.Context) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.latest > 0 && l.now().Sub(l.fetched) < glueFresh {
		return l.latest, nil
	}
	store, err := l.open()
	if err != nil {
		return 0, err
	}
	g := l.config.Schema.Glue
	region := g.Region
	if region == "" {
		region = l.region
	}
	if l.failure != nil && l.now().Sub(l.failed) < glueRest {
		return 0, l.failure
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	table, err := glue.New(ctx, glue.Options{Region: region, Endpoint: g.Endpoint, Catalog: g.Catalog, Database: g.Database, Table: g.Table, Version: g.Version})
	if err != nil {
		return 0, err
	}
	defer func() { _ = table.Close() }()
	cols, err := table.Columns(ctx)
	if err != nil {
		if v, ok := store.Latest(); ok {
			l.logger.Warn("the Glue table cannot be read; its columns are taken as they were read last", "table", g.Database+"."+g.Table, "err", err)
			l.latest, l.fetched = v.Number, l.now()
			return v.Number, nil
		}
		l.failure, l.failed = err, l.now()
		return 0, err
	}
	l.failure = nil
	v, err := store.Set(cols)
	if err != nil {
		return 0, err
	}
	l.latest, l.fetched = v.Number, l.now()
	return v.Number, nil
}
