package config

import (
	"fmt"
	"regexp"
	"strings"
)

// Auth says who may send. Where there is none, everybody who can connect may.
type Auth struct {
	Tokens []Token
}

// Token is a secret that a sender shows, and what it may do with it.
type Token struct {
	Name  string // of the sender; "" when it has none
	Token Secret
	Allow []Grant // nil: everything
}

// Grant allows actions on streams. In both, * stands for any part, an empty one too.
type Grant struct {
	Actions []string // firehose:PutRecordBatch
	Streams []string
}

// ActionPut is the action of whoever sends records over HTTP.
const ActionPut = "firehose:PutRecordBatch"

// actions are those of the Firehose API.
var actions = []string{
	"firehose:CreateDeliveryStream", "firehose:DeleteDeliveryStream", "firehose:DescribeDeliveryStream", "firehose:ListDeliveryStreams",
	"firehose:ListTagsForDeliveryStream", "firehose:PutRecord", ActionPut, "firehose:StartDeliveryStreamEncryption",
	"firehose:StopDeliveryStreamEncryption", "firehose:TagDeliveryStream", "firehose:UntagDeliveryStream", "firehose:UpdateDestination",
}

// Allows says whether the token's owner may do this with that stream.
func (t *Token) Allows(action, stream string) bool {
	if t.Allow == nil {
		return true
	}
	for _, g := range t.Allow {
		if matchesAny(g.Actions, action) && matchesAny(g.Streams, stream) {
			return true
		}
	}
	return false
}

func matchesAny(patterns []string, text string) bool {
	for _, p := range patterns {
		if matches(p, text) {
			return true
		}
	}
	return false
}

// matches compares a text with a pattern in which * stands for any part. It looks back to the last * only, so that no pattern takes long.
func matches(pattern, text string) bool {
	p, i := 0, 0
	star, from := -1, 0 // the last *, and what it stands for up to now ends here
	for i < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, i
			p++
		case p < len(pattern) && pattern[p] == text[i]:
			p, i = p+1, i+1
		case star >= 0:
			from++
			p, i = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

var streamPattern = regexp.MustCompile(`^[a-zA-Z0-9_.*-]{1,64}$`)

func (c *Config) checkAuth(r *report) {
	if c.Auth == nil {
		return
	}
	if len(c.Auth.Tokens) == 0 {
		r.add("auth.tokens", "is empty; write at least one token, or auth: none at the top level")
	}
	names, secrets := map[string]int{}, map[Secret]int{}
	for i := range c.Auth.Tokens {
		t := &c.Auth.Tokens[i]
		path := fmt.Sprintf("auth.tokens[%d]", i)
		switch first, taken := secrets[t.Token]; {
		case t.Token == "":
			r.add(path+".token", "is missing; write the secret, ${NAME} or file:PATH")
		case taken:
			r.add(path+".token", "is already the token of auth.tokens[%d]; add what is allowed to its allow", first)
		default:
			secrets[t.Token] = i
		}
		if t.Name != "" {
			if first, taken := names[t.Name]; taken {
				r.add(path+".name", "%q is already the name of auth.tokens[%d]; every token needs its own", clip(t.Name), first)
			} else if names[t.Name] = i; !streamName.MatchString(t.Name) {
				r.add(path+".name", "%q is no name; use 1 to 64 letters, digits, _ . and -", clip(t.Name))
			}
		}
		t.checkAllow(r, path+".allow")
	}
}

func (t *Token) checkAllow(r *report, path string) {
	if t.Allow != nil && len(t.Allow) == 0 {
		r.add(path, "is empty; write what is allowed, or remove it to allow everything")
	}
	for i, g := range t.Allow {
		at := fmt.Sprintf("%s[%d]", path, i)
		if len(g.Actions) == 0 {
			r.add(at+".actions", "is missing; write a list such as [\"firehose:PutRecord*\"]")
		}
		for k, a := range g.Actions {
			checkAction(r, fmt.Sprintf("%s.actions[%d]", at, k), a)
		}
		if len(g.Streams) == 0 {
			r.add(at+".streams", "is missing; write a list such as [\"web-*\"]")
		}
		for k, s := range g.Streams {
			if !streamPattern.MatchString(s) {
				r.add(fmt.Sprintf("%s.streams[%d]", at, k), "%q names no streams; use 1 to 64 letters, digits, _ . - and *", clip(s))
			}
		}
	}
}

// checkAction refuses a pattern that no action fits: it is a typing error.
func checkAction(r *report, path, pattern string) {
	for _, a := range actions {
		if matches(pattern, a) {
			return
		}
	}
	r.add(path, "%q is no action of the Firehose API; write one such as %s, * stands for any part%s", clip(pattern), ActionPut, didYouMean(pattern, actions))
}
