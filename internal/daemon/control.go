package daemon

import (
	"context"
	"fmt"
	"net/http"
	"sort"
	"time"

	"hydrant/config"
	"hydrant/record"
)

// Append makes a put durable in the stream of that name. Errors: record.ErrStreamNotFound, record.ErrStreamDeleting, record.ErrStopping,
// *record.Unavailable.
func (d *Daemon) Append(ctx context.Context, name string, put *record.Put) (record.ID, error) {
	if d.stop.Load() {
		return record.ID{}, record.ErrStopping
	}
	s := d.stream(name)
	if s == nil {
		return record.ID{}, record.ErrStreamNotFound
	}
	return s.append(ctx, put)
}

func (d *Daemon) stream(name string) *stream {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.streams[name]
}

func apiError(kind, format string, args ...any) *config.APIError {
	return &config.APIError{Type: kind, Message: fmt.Sprintf(format, args...), Status: http.StatusBadRequest}
}

// Create makes a stream durable: it is in the catalog before this returns.
func (d *Daemon) Create(_ context.Context, spec *config.Stream) (arn string, err error) {
	if err := d.stopping(); err != nil {
		return "", err
	}
	d.createMu.Lock() // not mu: puts to other streams must not wait for the disk
	defer d.createMu.Unlock()
	if d.stream(spec.Name) != nil {
		return "", apiError("ResourceInUseException", "Firehose %s under accountId %s already exists", spec.Name, d.cfg.AWS.AccountID)
	}
	s := newStream(&d.env, newMeta(*spec, ownerAPI, d.now()))
	if _, err := buildSpec(*spec, 1, record.RoleMain, s.learned); err != nil {
		return "", apiError("InvalidArgumentException", "%v", err)
	}
	if err := d.catalog.save(s.meta); err != nil {
		// It may be on disk all the same: a second attempt would then make a second folder of that name.
		if cerr := d.catalog.remove(s.meta); cerr != nil {
			d.logger.Warn("what is left of a stream that could not be stored stays behind", "stream", spec.Name, "err", cerr)
		}
		return "", &record.Unavailable{Reason: "the stream could not be stored: " + err.Error()}
	}
	d.mu.Lock()
	d.streams[spec.Name] = s
	d.mu.Unlock()
	d.logger.Info("stream created", "stream", spec.Name)
	return config.StreamARN(d.cfg.AWS, spec.Name), nil
}

// Delete takes no more records at once, delivers what waits, then removes the stream; with force it discards what waits.
func (d *Daemon) Delete(_ context.Context, name string, force bool) error {
	if err := d.stopping(); err != nil {
		return err
	}
	s := d.stream(name)
	if s == nil {
		return record.ErrStreamNotFound
	}
	m := s.snapshot()
	if m.Owner == ownerYAML {
		return apiError("InvalidArgumentException", "Firehose %s is defined in the configuration file of Hydrant; remove it there", name)
	}
	if m.Status == statusActive {
		if err := s.setStatus(statusDeleting); err != nil {
			return &record.Unavailable{Reason: "the deletion could not be stored: " + err.Error()}
		}
		d.logger.Info("stream is being deleted; what waits is delivered first", "stream", name, "force", force)
	} else if !force {
		return nil
	}
	if force {
		return d.remove(s)
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.stop.Load() {
		return nil // stored: the next life goes on
	}
	d.startRemoval(s)
	return nil
}

// drainAgain is the wait before a stream that could not be opened is tried again.
const drainAgain = 5 * time.Second

// startRemoval drains a stream in the background and removes it when it is empty.
func (d *Daemon) startRemoval(s *stream) {
	d.wg.Go(func() {
		select {
		case <-s.puts.close(): // puts that were let in before: what they add is drained, too
		case <-d.ctx.Done():
			return
		}
		for err := s.drain(d.ctx); err != nil; err = s.drain(d.ctx) {
			if d.ctx.Err() != nil || s.isGone() {
				return // stopped: the next life goes on; or deleted by force meanwhile
			}
			d.logger.Error("a stream that is being deleted cannot be drained; trying again", "stream", s.name, "err", err)
			select {
			case <-time.After(drainAgain):
			case <-d.ctx.Done():
				return
			}
		}
		for {
			err := d.remove(s)
			if err == nil {
				return
			}
			d.logger.Error("a deleted stream could not be removed; trying again", "stream", s.name, "err", err, "next_in", janitorEvery)
			select {
			case <-time.After(janitorEvery):
			case <-d.ctx.Done():
				return // the next life goes on
			}
		}
	})
}

// remove discards a stream with all that is left of it. Its name is free afterwards.
func (d *Daemon) remove(s *stream) error {
	s.removeMu.Lock()
	defer s.removeMu.Unlock()
	if s.removed {
		return nil
	}
	if err := s.close(); err != nil {
		d.logger.Warn("closing a deleted stream", "err", err)
	}
	m := s.snapshot()
	if err := d.catalog.remove(&m); err != nil {
		return &record.Unavailable{Reason: "the deletion could not be stored: " + err.Error()}
	}
	s.removed = true
	s.share.Leave()
	d.mu.Lock()
	if d.streams[m.Name] == s {
		delete(d.streams, m.Name)
		d.succeed(m.Name)
	}
	d.mu.Unlock()
	d.metrics.forget(m.Name)
	d.logger.Info("stream deleted", "stream", m.Name)
	return nil
}

// succeed makes the configured stream that waited for a name to become free. The caller holds mu.
func (d *Daemon) succeed(name string) {
	for _, c := range d.cfg.Streams {
		if c.Name == name {
			d.streams[name] = newStream(&d.env, newMeta(c, ownerYAML, d.now()))
		}
	}
}

// Describe returns the DeliveryStreamDescription.
func (d *Daemon) Describe(_ context.Context, name string) (any, error) {
	s := d.stream(name)
	if s == nil {
		return nil, record.ErrStreamNotFound
	}
	m := s.snapshot()
	return config.Describe(m.spec(), config.StreamMeta{
		ARN: config.StreamARN(d.cfg.AWS, name), Status: m.Status, VersionID: m.Current, Created: m.Created, Updated: m.Updated,
	}), nil
}

// List returns at most limit names behind the given one, sorted.
func (d *Daemon) List(_ context.Context, after string, limit int) (names []string, more bool, err error) {
	d.mu.RLock()
	for n := range d.streams {
		if n > after {
			names = append(names, n)
		}
	}
	d.mu.RUnlock()
	sort.Strings(names)
	if len(names) > limit {
		return names[:limit], true, nil
	}
	return names, false, nil
}
