package transform

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"hydrant/config"
)

var allDetectors = []string{"email", "credit_card", "ipv4", "ipv6", "phone"}

func redacting(c config.Redact) config.Processor {
	if c.Action == "" {
		c.Action = "mask"
	}
	if c.Action == "mask" && c.Mask == "" {
		c.Mask = "***"
	}
	return config.Processor{Redact: &c}
}

func TestDetectors(t *testing.T) {
	chain := newChain(t, steps(redacting(config.Redact{Detect: allDetectors})))
	for in, want := range map[string]string{
		"mail to jane.doe+x@example.co.uk now":                            "mail to *** now",
		"<a@b.de>, o'hara@example.org.":                                   "<***>, ***.",
		"jürgen@müller.example":                                           "***",
		"10.0.0.1@example.com":                                            "***",
		"a@b and @handle and a@localhost and x@1.2.3.4y":                  "a@b and @handle and a@localhost and x@1.2.3.4y",
		"card 4111 1111 1111 1111, 5500-0000-0000-0004":                   "card ***, ***",
		"amex 378282246310005 end":                                        "amex *** end",
		"order 4111111111111112 is no card":                               "order 4111111111111112 is no card",
		"1234567890123452 41111111111111111111111":                        "1234567890123452 41111111111111111111111",
		"from 192.168.0.1:8080 to 8.8.8.8.":                               "from ***:8080 to ***.",
		"version 1.2.3.4.5, v1.2.3.4, 1.2.3, 999.1.1.1":                   "version 1.2.3.4.5, v1.2.3.4, 1.2.3, 999.1.1.1",
		"2001:db8::8a2e:370:7334 and ::1 and fe80::1%eth0":                "*** and *** and ***",
		"[2001:db8:0:0:0:0:0:1]:443 ::ffff:10.0.0.1":                      "[***]:443 ***",
		"at 12:34:56 2026-01-02T03:04:05Z a::b std::vector":               "at 12:34:56 2026-01-02T03:04:05Z *** std::vector",
		"mac aa:bb:cc:dd:ee:ff uuid 123e4567-e89b-12d3-a456-426614174000": "mac aa:bb:cc:dd:ee:ff uuid 123e4567-e89b-12d3-a456-426614174000",
		"call +49 (30) 1234-5678 or +1.212.555.0100 now":                  "call *** or *** now",
		"a+49301234567 +123 1+1=2 +1234567890123456789":                   "a+49301234567 +123 1+1=2 +1234567890123456789",
		"": "",
	} {
		if got := datas(derive(t, chain, in)); len(got) != 1 || got[0] != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

func TestRedactJSON(t *testing.T) {
	for _, c := range []struct {
		c        config.Redact
		in, want string
	}{
		{config.Redact{Detect: allDetectors}, `{"m":"a@b.de \"x\"", "n":1.0,"card":4111111111111111,"k@l.de":[null,"10.0.0.1"]}`, `{"m":"*** \"x\"", "n":1.0,"card":"***","***":[null,"***"]}`},
		{config.Redact{Detect: allDetectors}, `{"m":"a\u0040b.de","o":"\u00e9\n"}`, `{"m":"***","o":"\u00e9\n"}`},
		{config.Redact{Detect: allDetectors}, `{"n":-4111111111111112,"x":1e5,"at":1767225600000}`, `{"n":-4111111111111112,"x":1e5,"at":1767225600000}`},
		{config.Redact{Detect: []string{"email"}, Action: "drop"}, `{"m":"to a@b.de!"}`, `{"m":"to !"}`},
		{config.Redact{Fields: []string{".u.mail", ".l[].n"}}, `{"u":{"mail":{"a":1},"x":2},"l":[{"n":1},{"n":"x"}]}`, `{"u":{"mail":"***","x":2},"l":[{"n":"***"},{"n":"***"}]}`},
		{config.Redact{Fields: []string{".a"}, Action: "drop"}, `{"a":1,"b":2}`, `{"b":2}`},
		{config.Redact{Fields: []string{".a"}, Mask: `"q"`}, `{"a":1}`, `{"a":"\"q\""}`},
		{config.Redact{Fields: []string{".a"}}, `no JSON`, `!processing-failed`},
		{config.Redact{Fields: []string{".a"}, Detect: []string{"email"}}, `no JSON of a@b.de`, `no JSON of ***`},
	} {
		if got := datas(derive(t, newChain(t, steps(redacting(c.c))), c.in)); len(got) != 1 || got[0] != c.want {
			t.Errorf("%+v of %s: %q, want %q", c.c, c.in, got, c.want)
		}
	}
}

// TestRedactHash: equal values stay equal, whether they stand in a field or in a text, and nobody knows them without the key.
func TestRedactHash(t *testing.T) {
	c := newChain(t, steps(redacting(config.Redact{Fields: []string{".user"}, Detect: []string{"email"}, Action: "hash", Key: "k"})))
	got := datas(derive(t, c, `{"user":"a@b.de","text":"a@b.de, c@d.de","o":{"user":"x"}}`))[0]
	var v struct{ User, Text string }
	if err := json.Unmarshal([]byte(got), &v); err != nil {
		t.Fatal(err)
	}
	both := strings.Split(v.Text, ", ")
	if len(v.User) != 32 || len(both) != 2 || both[0] != v.User || both[1] == v.User {
		t.Error(got)
	}
	other := newChain(t, steps(redacting(config.Redact{Fields: []string{".user"}, Action: "hash", Key: "l"})))
	if strings.Contains(datas(derive(t, other, `{"user":"a@b.de"}`))[0], v.User) {
		t.Error("another key gives the same")
	}
}

// seeded are personal data in many shapes, each one of its kind.
func seeded(rnd *rand.Rand, n int) string {
	digits := func(k int) (s string) {
		for range k {
			s += fmt.Sprint(rnd.IntN(10))
		}
		return s
	}
	card := func(prefix string, length int) string {
		body := prefix + digits(length-1-len(prefix))
		for c := '0'; c <= '9'; c++ {
			d := []byte(body + string(c))
			for i := range d {
				d[i] -= '0'
			}
			if luhn(d) {
				return body + string(c)
			}
		}
		return ""
	}
	switch n % 10 {
	case 0:
		return fmt.Sprintf("user%d.name+tag@mail%d.example.com", n, n)
	case 1:
		return fmt.Sprintf("%d_x@sub-%d.example.org", n, n)
	case 2:
		return card("4", 16)
	case 3:
		c := card("51", 16)
		return c[:4] + " " + c[4:8] + " " + c[8:12] + " " + c[12:]
	case 4:
		c := card("37", 15)
		return c[:4] + "-" + c[4:10] + "-" + c[10:]
	case 5:
		return fmt.Sprintf("%d.%d.%d.%d", 1+rnd.IntN(255), rnd.IntN(256), rnd.IntN(256), rnd.IntN(256))
	case 6:
		return fmt.Sprintf("2001:db8:%x:%x::%x", rnd.IntN(1<<16), rnd.IntN(1<<16), 1+rnd.IntN(1<<15))
	case 7:
		return fmt.Sprintf("fe80::%x:%x%%eth0", 1+rnd.IntN(1<<15), rnd.IntN(1<<16))
	case 8:
		return "+49 30 " + fmt.Sprint(1+rnd.IntN(9)) + digits(7)
	}
	return "+1-212-555-" + digits(4)
}

// lookAlikes are none, and must stay.
func lookAlikes(rnd *rand.Rand, n int) string {
	return []string{
		fmt.Sprintf("order-%016d", 1+10*n), fmt.Sprintf("v1.%d.%d.%d", n%9, n%7, n%5), fmt.Sprintf("%02d:%02d:%02d", n%24, n%60, n%59),
		fmt.Sprintf("%08x-e89b-12d3-a456-%012x", rnd.Uint32(), n), fmt.Sprintf("00:1b:44:%02x:3a:b7", n%256), fmt.Sprintf("trace=%032x", n),
		fmt.Sprintf("user@host%d", n), fmt.Sprintf("1.2.3.%d.5", n), fmt.Sprintf("%d", 1_700_000_000_000+n), "C++ std::map a+b",
	}[n%10]
}

// TestSeededCorpus: of 2,000 lines nothing that was seeded is left, and what only looks like it stays.
func TestSeededCorpus(t *testing.T) {
	c := newChain(t, steps(redacting(config.Redact{Detect: allDetectors})))
	rnd := rand.New(rand.NewPCG(1, 2))
	found, kept := 0, 0
	for n := range 2000 {
		secret, like := seeded(rnd, n), lookAlikes(rnd, n)
		text := fmt.Sprintf("request of (%s) about %s, done", secret, like)
		line := text
		switch n / 10 % 5 {
		case 1:
			b, _ := json.Marshal(map[string]any{"message": text, "n": n})
			line = string(b)
		case 2:
			b, _ := json.Marshal(map[string]any{"a": []any{map[string]any{secret: like}}, "deep": map[string]any{"x": text}})
			line = string(b)
		case 3: // escaped
			escaped := ""
			for _, r := range secret {
				escaped += fmt.Sprintf(`\u%04x`, r)
			}
			line = fmt.Sprintf(`{"m":"%s, %s"}`, escaped, like)
		case 4:
			line = fmt.Sprintf(`level=info remote="%s" id=%s`, secret, like)
		}
		out := strings.Join(datas(derive(t, c, line)), "")
		var plain any
		if json.Unmarshal([]byte(out), &plain) == nil {
			b, _ := json.Marshal(plain)
			out += string(b)
		}
		if strings.Contains(out, secret) {
			t.Errorf("%q is still there: %s", secret, out)
		} else {
			found++
		}
		if !strings.Contains(out, like) {
			t.Errorf("%q is gone: %s", like, out)
		} else {
			kept++
		}
	}
	t.Logf("%d of 2000 were found, %d of 2000 look-alikes kept", found, kept)
}

// FuzzRedact: whatever comes, one record, and JSON stays JSON.
func FuzzRedact(f *testing.F) {
	for _, s := range []string{`{"a":"x@y.zz 4111-1111-1111-1111"}`, "a@b.c@d.ef::1.2.3.4", `"\u0040"`, "+1+1+1", strings.Repeat("1:", 50), strings.Repeat("a.", 50) + "@"} {
		f.Add([]byte(s))
	}
	p, err := newRedact(redacting(config.Redact{Fields: []string{".a"}, Detect: allDetectors}).Redact)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var r room
		out := output{room: &r}
		p.process(part{data: b, raw: b}, &out)
		if len(out.list) != 1 {
			t.Fatal(len(out.list))
		}
		if got := out.list[0]; got.failure == nil && json.Valid(b) && !json.Valid(got.data) {
			t.Errorf("%q becomes %q", b, got.data)
		}
	})
}

func BenchmarkRedactFields(b *testing.B) {
	benchmarkStep(b, redacting(config.Redact{Fields: []string{".client_ip", ".user_id"}}))
}

func BenchmarkRedactDetect(b *testing.B) {
	benchmarkStep(b, redacting(config.Redact{Detect: allDetectors}))
}

func BenchmarkRedactHostile(b *testing.B) {
	p, _ := newRedact(redacting(config.Redact{Detect: allDetectors}).Redact)
	for name, piece := range map[string]string{"at": "a@", "digits": "4", "colons": "a:", "dots": "1.", "plus": "+1 "} {
		b.Run(name, func(b *testing.B) {
			data := []byte(strings.Repeat(piece, 1<<20/len(piece)))
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				var r room
				out := output{room: &r}
				p.process(part{data: data, raw: data}, &out)
			}
		})
	}
}
