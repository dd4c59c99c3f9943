package redshift

import (
	"context"
	"errors"
	"fmt"
	"time"

	"hydrant/record"
)

// transport runs statements. Failures are told by the step that failed, never by a panic or by an error of another kind.
type transport interface {
	// transact runs the steps as one transaction. id is the batch's, or "" for what is harmless to repeat.
	transact(ctx context.Context, id string, steps []step) *failure
	// single runs one statement by itself and returns its first rows.
	single(ctx context.Context, at stepKind, sql string) ([][]string, *failure)
	close()
}

// stepKind says what a statement is for. An error means different things for each.
type stepKind int

const (
	atConnect stepKind = iota
	atSession
	atLedger // looking for it, creating it
	atLock
	atGuard
	atEnter
	atCopy
	atCommit
)

// String names the step in errors.
func (k stepKind) String() string {
	return [...]string{"connect", "set up the session", "look at the ledger", "lock the ledger", "look whether the batch is loaded",
		"enter the batch in the ledger", "load", "commit"}[k]
}

// step is one statement of a transaction.
type step struct {
	at  stepKind
	sql string
	// each makes the statements in place of sql, and runs them one after the other. It ends with the first error.
	each func(ctx context.Context, run func(sql string) *failure) *failure
	url  string // of the object that atCopy loads
}

// Load takes the object into the table, or finds that an earlier attempt did. Its Kind is Delivered or Retry; Unsent says that this
// attempt was surely undone. It may take twice StatementTimeout and a minute, less when ctx ends: then the warehouse is asked to
// give up, and may still finish what it is at.
func (l *Loader) Load(ctx context.Context, ld *record.Load) record.Outcome {
	ctx, cancel := context.WithTimeout(ctx, l.limit)
	defer cancel()
	steps, secrets, f := l.prepare(ctx, ld)
	if f == nil {
		f = l.t.transact(ctx, ld.ID, steps)
	}
	if f == nil {
		return record.Outcome{Kind: record.Delivered}
	}
	f.text = redact(f.text, secrets)
	switch f.at {
	case atGuard:
		// Whatever code it failed with, which differs by where Redshift evaluates it, the ledger says what that meant.
		loaded, err := l.Loaded(ctx, ld.Stream, ld.ID)
		if loaded {
			l.log.Debug("an earlier attempt loaded the batch", "stream", ld.Stream, "batch", ld.ID, "sink", "redshift")
			return record.Outcome{Kind: record.Delivered}
		}
		if asked := (*failure)(nil); errors.As(err, &asked) {
			f = asked
			f.unsent = false
		}
	case atLock:
		l.ready.Store(false) // somebody may have dropped it
	}
	return f.outcome()
}

// prepare does what comes before the transaction.
func (l *Loader) prepare(ctx context.Context, ld *record.Load) (steps []step, secrets []string, f *failure) {
	if err := ctx.Err(); err != nil {
		return nil, nil, &failure{at: atConnect, name: nameConnection, cause: err, unsent: true}
	}
	last := step{at: atCopy, url: objectURL(ld.Bucket, ld.Key)}
	if l.o.Mode == ModePlain {
		last.each = func(ctx context.Context, run func(string) *failure) *failure { return l.insertObject(ctx, ld, run) }
	} else {
		clause, err := l.credentials()
		if err != nil {
			return nil, nil, &failure{at: atCopy, name: nameDenied, text: err.Error(), unsent: true}
		}
		secrets = secretsOf(clause)
		key, f := l.putManifest(ctx, ld)
		if f != nil {
			return nil, secrets, f
		}
		last.sql = l.copyCommand(ld.Bucket, key, clause)
	}
	if l.ledger == "" {
		return []step{last}, secrets, nil
	}
	if f := l.findLedger(ctx); f != nil {
		return nil, secrets, f
	}
	return append(l.ledgerSteps(ld), last), secrets, nil
}

// ledgerSteps lock the ledger, fail when the batch is loaded, and enter it. The lock must be the first: the transaction sees what was
// committed before its first other statement. The time is ours, as Redshift and PostgreSQL share no function for it.
func (l *Loader) ledgerSteps(ld *record.Load) []step {
	return []step{
		{at: atLock, sql: "LOCK TABLE " + l.ledger},
		// An aggregate is computed when the statement runs, so that no planner divides by zero before or leaves it out.
		{at: atGuard, sql: "SELECT 1 / (CASE WHEN COUNT(*) = 0 THEN 1 ELSE 0 END) FROM " + l.ledger + " WHERE " + l.where(ld.Stream, ld.ID)},
		{at: atEnter, sql: fmt.Sprintf("INSERT INTO %s (loaded_at, stream, batch_id, url, records) VALUES (%s, %s, %s, %s, %d)", l.ledger,
			l.literal(time.Now().UTC().Format(time.DateTime)), l.literal(ld.Stream), l.literal(ld.ID), l.literal(objectURL(ld.Bucket, ld.Key)), ld.Records)},
	}
}

func (l *Loader) where(stream, id string) string {
	return "stream = " + l.literal(stream) + " AND batch_id = " + l.literal(id)
}

// findLedger creates the ledger once. Who may not create tables can have it created by somebody else.
func (l *Loader) findLedger(ctx context.Context) *failure {
	if l.ready.Load() {
		return nil
	}
	select {
	case l.setup <- struct{}{}:
		defer func() { <-l.setup }()
	case <-ctx.Done():
		return &failure{at: atLedger, name: nameConnection, cause: ctx.Err(), unsent: true}
	}
	if l.ready.Load() {
		return nil
	}
	if _, f := l.t.single(ctx, atLedger, "CREATE TABLE IF NOT EXISTS "+l.ledger+ledgerColumns); f != nil {
		if _, err := l.count(ctx, "", ""); err != nil {
			f.unsent = true // of the batch, nothing
			return f
		}
	}
	l.ready.Store(true)
	return nil
}

const ledgerColumns = " (loaded_at TIMESTAMP NOT NULL, stream VARCHAR(256) NOT NULL, batch_id VARCHAR(256) NOT NULL, url VARCHAR(2048) NOT NULL, records BIGINT NOT NULL)"

// Loaded says whether the batch stands in the ledger. It waits for a load that is under way. Without a ledger nobody knows: false.
func (l *Loader) Loaded(ctx context.Context, stream, id string) (bool, error) {
	if l.ledger == "" {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, l.limit)
	defer cancel()
	if f := l.findLedger(ctx); f != nil {
		return false, f
	}
	return l.count(ctx, stream, id)
}

func (l *Loader) count(ctx context.Context, stream, id string) (bool, error) {
	rows, f := l.t.single(ctx, atLedger, "SELECT COUNT(*) FROM "+l.ledger+" WHERE "+l.where(stream, id))
	if f != nil {
		return false, f
	}
	if len(rows) != 1 || len(rows[0]) != 1 {
		return false, errNoCount
	}
	return rows[0][0] != "0", nil
}

var errNoCount = errors.New("redshift: the ledger was not counted")

// Forget takes batches out of the ledger. The caller must know durably that none of them is ever loaded again.
func (l *Loader) Forget(ctx context.Context, stream string, ids []string) error {
	if l.ledger == "" || len(ids) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, l.limit)
	defer cancel()
	if f := l.findLedger(ctx); f != nil {
		return f
	}
	for len(ids) > 0 {
		n := min(len(ids), forgetAtOnce)
		if f := l.t.transact(ctx, "", l.forgetSteps(stream, ids[:n])); f != nil {
			return f
		}
		ids = ids[n:]
	}
	return nil
}

// forgetSteps lock first, too: a DELETE that waited for a load would fail for having begun before it.
func (l *Loader) forgetSteps(stream string, ids []string) []step {
	list := ""
	for i, id := range ids {
		if i > 0 {
			list += ", "
		}
		list += l.literal(id)
	}
	return []step{
		{at: atLock, sql: "LOCK TABLE " + l.ledger},
		{at: atLedger, sql: "DELETE FROM " + l.ledger + " WHERE stream = " + l.literal(stream) + " AND batch_id IN (" + list + ")"},
	}
}
