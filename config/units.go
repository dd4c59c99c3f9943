package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// The units of Bytes.
const (
	KB Bytes = 1 << 10
	MB Bytes = 1 << 20
	GB Bytes = 1 << 30
	TB Bytes = 1 << 40
)

// String gives the largest unit that leaves no fraction: "64MB", "1536KB", "0B".
func (b Bytes) String() string {
	for _, u := range []struct {
		size Bytes
		name string
	}{{TB, "TB"}, {GB, "GB"}, {MB, "MB"}, {KB, "KB"}} {
		if b != 0 && b%u.size == 0 {
			return strconv.FormatInt(int64(b/u.size), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(b), 10) + "B"
}

// About is a size for people, in the largest unit and with one decimal: "234.8GB".
func (b Bytes) About() string {
	for _, u := range []struct {
		size Bytes
		name string
	}{{TB, "TB"}, {GB, "GB"}, {MB, "MB"}, {KB, "KB"}} {
		if b >= u.size {
			return strings.TrimSuffix(strconv.FormatFloat(float64(b)/float64(u.size), 'f', 1, 64), ".0") + u.name
		}
	}
	return b.String()
}

// ParseBytes reads "64MB", "10GB", "512KB", "4096B" or a plain number of bytes. Units are powers of 1024;
// KiB, MiB, GiB and TiB mean the same.
func ParseBytes(s string) (Bytes, error) {
	digits := len(s) - len(strings.TrimLeft(s, "0123456789"))
	if digits == 0 {
		return 0, fmt.Errorf("%q is no size; write a whole number and a unit, such as 64MB", clip(s))
	}
	unit := Bytes(1)
	switch u := strings.TrimSpace(s[digits:]); u {
	case "", "B":
	case "KB", "KiB":
		unit = KB
	case "MB", "MiB":
		unit = MB
	case "GB", "GiB":
		unit = GB
	case "TB", "TiB":
		unit = TB
	default:
		return 0, fmt.Errorf("%q is no size: unknown unit %q; the units are KB, MB, GB and TB, before them a whole number", clip(s), clip(u))
	}
	n, err := strconv.ParseInt(s[:digits], 10, 64)
	if err != nil || n > math.MaxInt64/int64(unit) {
		return 0, fmt.Errorf("%q is too large for a size", clip(s))
	}
	return Bytes(n) * unit, nil
}

// String gives whole hours, minutes or seconds where possible: "24h", "5m", "90s".
func (d Duration) String() string {
	t := time.Duration(d)
	switch {
	case t == 0:
		return "0s"
	case t%time.Hour == 0:
		return strconv.FormatInt(int64(t/time.Hour), 10) + "h"
	case t%time.Minute == 0:
		return strconv.FormatInt(int64(t/time.Minute), 10) + "m"
	case t%time.Second == 0:
		return strconv.FormatInt(int64(t/time.Second), 10) + "s"
	}
	return t.String()
}

// ParseDuration reads "300s", "5m", "1h30m", "250ms". A number without unit is refused, except 0.
func ParseDuration(s string) (Duration, error) {
	if _, err := strconv.ParseFloat(s, 64); err == nil && s != "0" {
		return 0, fmt.Errorf("%q has no unit; write %ss for seconds", clip(s), clip(s))
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("%q is no duration; write a number and a unit, such as 300s, 5m or 24h", clip(s))
	}
	if d < 0 {
		return 0, errors.New("a duration cannot be negative")
	}
	return Duration(d), nil
}

// clip shortens what a message quotes.
func clip(s string) string {
	const limit = 80
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "..."
}
