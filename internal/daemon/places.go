package daemon

import (
	"hydrant/config"
	"hydrant/delivery"
	"hydrant/record"
)

// place finds the store that an object of a role goes to, or was sent to.
func (s *stream) place(role record.Role, p delivery.Place) delivery.Sink {
	m := s.snapshot()
	if d := m.destination(p); d.File != nil && role == record.RoleMain && !p.Aside {
		return s.env.stores.files(d.File.Rotate)
	}
	return s.env.stores.of(m.objects(role, p))
}

// objects is where in S3 an object of a role goes, or was sent to.
func (m *meta) objects(role record.Role, p delivery.Place) *config.S3 {
	get := config.Stream.FailedS3
	switch {
	case role == record.RoleBackup:
		get = func(c config.Stream) *config.S3 { return c.Backup.S3 }
	case !p.Aside:
		return m.destination(p).ObjectsS3()
	}
	if d := get(m.Versions[p.Version]); d != nil && p.Own {
		return d
	}
	for v := m.Current; v > 0; v-- { // it may have been turned off since
		if d := get(m.Versions[v]); d != nil {
			return d
		}
	}
	return m.spec().Destination.ObjectsS3()
}

// destination is the one of a version's main objects: as the newest version says when that one is of the same kind, or alone is known.
func (m *meta) destination(p delivery.Place) config.Destination {
	old, now := m.Versions[p.Version].Destination, m.spec().Destination
	if old.Kind() == "" || !p.Own && old.Kind() == now.Kind() {
		return now
	}
	return old
}
