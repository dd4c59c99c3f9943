package transform

import (
	"slices"
	"sort"

	"hydrant/config"
	"hydrant/config/prefix"
	"hydrant/record"
)

// nameLimit sets records aside whose partition would have too long a prefix: at delivery it would be an
// object's worth of them.
type nameLimit struct {
	template *prefix.Template // nil: there is no limit
	safe     int              // values of at most so many bytes each cannot be too long together
	values   []string
}

func newNameLimit(s config.Stream, keys []prefix.Key) nameLimit {
	if s.Destination.S3 == nil || len(keys) == 0 {
		return nameLimit{}
	}
	t, err := prefix.Parse(s.Destination.S3.Prefix, prefix.Main)
	if err != nil || !slices.Equal(t.Keys(), keys) { // not the prefix that the keys are of
		return nameLimit{}
	}
	l := nameLimit{template: t, values: make([]string, len(keys))}
	long := string(slices.Repeat([]byte("x"), prefix.MaxValueBytes))
	l.safe = sort.Search(len(long), func(n int) bool {
		for i := range l.values {
			l.values[i] = long[:n+1]
		}
		return t.CheckValues(l.values) != nil
	})
	clear(l.values)
	return l
}

func (l *nameLimit) check(values [][]byte) *record.Failure {
	if l.template == nil || !slices.ContainsFunc(values, func(v []byte) bool { return len(v) > l.safe }) {
		return nil
	}
	for i := range l.values {
		l.values[i] = alias(values[i])
	}
	err := l.template.CheckValues(l.values)
	clear(l.values)
	if err != nil {
		return failed(record.MetadataFailed, codeMetadata, "%v", err)
	}
	return nil
}
