package config

import (
	"fmt"
	"path"
	"strings"
	"testing"
	"time"
)

func TestMatches(t *testing.T) {
	words := []string{"", "*", "a", "b", "ab", "a*", "*a", "**", "a*b", "*a*", "a*b*", "abab", "ba", "*ab", "a*a*b", "aab", "abb", "*b*a*"}
	for _, p := range words {
		for _, s := range words {
			if strings.Contains(s, "*") {
				continue
			}
			want, err := path.Match(p, s) // neither has a slash
			if got := matches(p, s); err != nil || got != want {
				t.Errorf("%q and %q: %v, want %v, %v", p, s, got, want, err)
			}
		}
	}
	start := time.Now()
	if matches(strings.Repeat("*a", 30)+"b", strings.Repeat("a", 64)) || time.Since(start) > time.Second {
		t.Errorf("a pattern took %s", time.Since(start))
	}
}

func TestTokenAllows(t *testing.T) {
	some := Token{Allow: []Grant{{Actions: []string{"firehose:Put*"}, Streams: []string{"web-*", "clicks"}}, {Actions: []string{"*"}, Streams: []string{"all"}}}}
	for _, tc := range []struct {
		token          Token
		action, stream string
		want           bool
	}{
		{Token{}, "firehose:DeleteDeliveryStream", "x", true},
		{Token{Allow: []Grant{}}, ActionPut, "x", false},
		{some, ActionPut, "web-1", true}, {some, ActionPut, "clicks", true}, {some, ActionPut, "web", false}, {some, ActionPut, "Clicks", false},
		{some, ActionPut, "clicks2", false}, {some, "firehose:DeleteDeliveryStream", "clicks", false}, {some, "firehose:DeleteDeliveryStream", "all", true},
	} {
		if got := tc.token.Allows(tc.action, tc.stream); got != tc.want {
			t.Errorf("%v on %s: %v", tc.action, tc.stream, got)
		}
	}
}

// TestTokensAreRead: what was read says who may do what, and shows no secret.
func TestTokensAreRead(t *testing.T) {
	c, err := parseCorpus("x.yml", []byte("auth: {tokens: [{name: n, token: hush, allow: [{actions: \"firehose:PutRecord*\", streams: [a, \"b*\"]}]}, {token: sh}]}"))
	if err != nil {
		t.Fatal(err)
	}
	first, second := c.Auth.Tokens[0], c.Auth.Tokens[1]
	if s, err := first.Token.Reveal(); err != nil || s != "hush" || first.Name != "n" || !first.Allows(ActionPut, "b1") || first.Allows(ActionPut, "c") {
		t.Errorf("%+v %v", first, err)
	}
	if second.Allow != nil || second.Name != "" {
		t.Errorf("%+v", second)
	}
	if text := fmt.Sprintf("%v %+v %#v", c.Auth, first, *c.Auth); strings.Contains(text, "hush") {
		t.Errorf("a secret is shown: %s", text)
	}
}
