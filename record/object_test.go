package record

import (
	"strings"
	"testing"
)

func sample() Identity {
	return Identity{
		Stream: "web", Role: ErrorRole("s3-failed"), Version: 3, Partition: "a=b;c%d",
		First: ID{Epoch{1, 2}, 7}, Last: ID{Epoch{3}, 1 << 60}, Count: 12, Digest: 0xfedcba9876543210,
	}
}

func TestIdentityRoundTrip(t *testing.T) {
	want := sample()
	got, err := ParseIdentity(want.String())
	if err != nil || got != want {
		t.Fatalf("%v %v\nwant %v", got, err, want)
	}
}

// A key that a later version may add is passed over; a missing one means that the object is not ours.
func TestIdentityOfOtherVersions(t *testing.T) {
	s := sample().String()
	if _, err := ParseIdentity(s + ";later=1"); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"", "v2" + s[2:], strings.Replace(s, ";count=12", "", 1), strings.Replace(s, "count=12", "count=x", 1), strings.Replace(s, "first=01", "first=zz", 1)} {
		if _, err := ParseIdentity(bad); err == nil {
			t.Errorf("%q was taken for an identity", bad)
		}
	}
}

func FuzzParseIdentity(f *testing.F) {
	f.Add(sample().String())
	f.Add("v1;first=/;last=1")
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParseIdentity(s)
		if err != nil {
			return
		}
		again, err := ParseIdentity(id.String())
		if err != nil || again.First != id.First || again.Last != id.Last || again.Count != id.Count || again.Digest != id.Digest {
			t.Fatalf("%q became %q: %v", s, id.String(), err)
		}
	})
}
