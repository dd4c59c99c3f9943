package config

import (
	"fmt"

	"gopkg.in/yaml.v3"
)

// auth is the word none, or a section with tokens. Keys are understood by a later version.
func (s *section) auth(c *Config) {
	n, ok := s.values["auth"]
	if !ok {
		return
	}
	if n := s.r.resolve(n, "auth"); n != nil && n.Kind == yaml.MappingNode {
		sec := s.section("auth", "keys", "tokens")
		sec.unsupported("keys", "protect the port otherwise and write auth: none")
		if len(sec.keys) == 0 {
			s.r.fail(n, "auth", "is empty; write auth: none, or remove it")
		}
		c.Auth = &Auth{}
		if sec.has("tokens") {
			sec.tokens(c.Auth)
		} else {
			s.r.bad["auth.tokens"] = true // what is wrong was said of keys
		}
		return
	}
	at, v, ok := s.scalar("auth")
	switch {
	case ok && v == "none":
		c.NoAuth = true
	case ok:
		s.r.fail(at, "auth", "%q is not known; write none, or remove it", clip(v))
	}
	if s.r.bad["auth"] {
		c.NoAuth = true // do not report the addresses on top
	}
}

func (s *section) tokens(to *Auth) {
	for i, n := range s.list("tokens") {
		path := fmt.Sprintf("%s[%d]", s.sub("tokens"), i)
		sec := s.r.section(n, path, "name", "token", "allow")
		if sec == nil {
			if !s.r.bad[path] {
				s.r.fail(n, path, "is empty; write token: file:PATH, or remove the dash")
			}
			s.r.bad[path+".token"] = true
			to.Tokens = append(to.Tokens, Token{})
			continue
		}
		var t Token
		sec.text("name", &t.Name)
		sec.secret("token", &t.Token)
		if sec.has("allow") {
			t.Allow = []Grant{} // one that is written and empty must not allow everything
			sec.grants(&t)
		}
		to.Tokens = append(to.Tokens, t)
	}
}

func (s *section) grants(t *Token) {
	for i, n := range s.list("allow") {
		path := fmt.Sprintf("%s[%d]", s.sub("allow"), i)
		var g Grant
		sec := s.r.section(n, path, "actions", "streams")
		if sec != nil {
			sec.oneOrMore("actions", &g.Actions)
			sec.oneOrMore("streams", &g.Streams)
		} else if !s.r.bad[path] {
			s.r.fail(n, path, "is empty; write actions and streams, or remove the dash")
		}
		t.Allow = append(t.Allow, g)
	}
}
