package daemon

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"hydrant/config"
)

// TestTokensGuardTheRecordPort: with tokens, HTTP needs one, and the Firehose API is closed.
func TestTokensGuardTheRecordPort(t *testing.T) {
	inWorld(t, func(w *world) {
		w.cfg.Auth = &config.Auth{Tokens: []config.Token{
			{Name: "web", Token: "hush", Allow: []config.Grant{{Actions: []string{"firehose:PutRecord*"}, Streams: []string{"web*"}}}},
			{Token: "root"},
		}}
		w.open(small("web"), small("mail"))
		one := `{"requestId":"i","records":[{"data":"YQ=="}]}`
		for _, tc := range []struct {
			path, body, header, value string
			status                    int
		}{
			{"/v1/streams/web/records", "a", "X", "x", 401},
			{"/v1/streams/web/records", "", "Authorization", "Bearer hush", 200},
			{"/v1/streams/web/records", "", "Authorization", "Bearer hus", 401},
			{"/v1/streams/mail/records", "a", "Authorization", "Bearer hush", 403},
			{"/v1/streams/nobody/records", "a", "Authorization", "Bearer hush", 403},
			{"/v1/streams/webless/records", "a", "Authorization", "Bearer hush", 404},
			{"/v1/streams/mail/error-records", "", "Authorization", "Bearer root", 200},
			{"/v1/streams/nobody/records", "a", "Authorization", "Bearer root", 404},
			{"/v1/firehose/web", one, "X-Amz-Firehose-Access-Key", "hush", 200},
			{"/v1/firehose/web", one, "Authorization", "Bearer hush", 200},
			{"/v1/firehose/web", one, "X-Amz-Firehose-Access-Key", "other", 403},
			{"/v1/firehose/web", one, "X", "x", 401},
			{"/", "{}", "X-Amz-Target", "Firehose_20150804.ListDeliveryStreams", 403},
			{"/", "{}", "X-Amz-Target", "Firehose_20150804.PutRecord", 403},
		} {
			got := w.ask(tc.path, tc.body, tc.header, tc.value)
			if got.Code != tc.status {
				t.Errorf("%s with %s %s: %d %s, want %d", tc.path, tc.header, tc.value, got.Code, got.Body, tc.status)
			}
		}
		answer := w.ask("/", "{}", "X-Amz-Target", "Firehose_20150804.PutRecord")
		var e struct {
			Type    string `json:"__type"`
			Message string
		}
		if err := json.Unmarshal(answer.Body.Bytes(), &e); err != nil || e.Type != "AccessDeniedException" || !strings.Contains(e.Message, "tokens") {
			t.Errorf("the API answers %s: %v", answer.Body, err)
		}
	})
}

// TestMostAttributesFitTheHeader: 50 pairs of 256 and 1024 characters pass the limit of headers of the server that runs.
func TestMostAttributesFitTheHeader(t *testing.T) {
	dir := t.TempDir()
	s := startServer(t, dir, demoStream("web"))
	defer stopServer(t, s)
	all := map[string]string{}
	for i := range 50 {
		all[fmt.Sprintf("%0256d", i)] = strings.Repeat("v", 1024)
	}
	b, err := json.Marshal(map[string]any{"commonAttributes": all})
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequest(http.MethodPost, "http://"+s.Addr()+"/v1/firehose/web", strings.NewReader(`{"requestId":"i","records":[{"data":"YQ=="}]}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Amz-Firehose-Common-Attributes", string(b))
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("%d", resp.StatusCode)
	}
}

// TestOneHydrantDeliversToAnother: what the sink for HTTP endpoints sends is what the receiver takes, token and attributes included; a wrong
// token ends in the backup of the sender, and nothing of it in the receiver.
func TestOneHydrantDeliversToAnother(t *testing.T) {
	to := t.TempDir()
	c := config.Default()
	c.Listen, c.Admin, c.DataDir, c.MinFree = "127.0.0.1:0", "127.0.0.1:0", to, config.MB
	in := demoStream("in")
	in.Normalize()
	c.Streams = []config.Stream{in}
	c.Auth = &config.Auth{Tokens: []config.Token{{Token: "hush"}}}
	receiver, err := Listen(Options{Config: c})
	if err != nil {
		t.Fatal(err)
	}
	sending := func(name, token string) config.Stream {
		s := demoStream(name)
		s.Destination = config.Destination{HTTP: &config.HTTP{URL: "http://" + receiver.Addr() + "/v1/firehose/in", AccessKey: config.Secret(token),
			Encoding: "gzip", CommonAttributes: map[string]string{"from": name}}}
		s.Retry.For = config.Duration(time.Second)
		s.Backup = config.Backup{Mode: config.BackupFailed, S3: &config.S3{Bucket: "failed"}}
		return s
	}
	from := t.TempDir()
	sender := startServer(t, from, sending("good", "hush"), sending("bad", "other"))
	for _, name := range []string{"good", "bad"} {
		if code, body := post(t, sender, "/v1/streams/"+name+"/records", "text/plain", name+" one\n"+name+" two\n"); code != 200 {
			t.Fatalf("%d %s", code, body)
		}
	}
	stopServer(t, sender)
	stopServer(t, receiver)
	if got := objects(t, to, "lake"); got != "good one\ngood two\n" {
		t.Errorf("the receiver has %q", got)
	}
	if got := objects(t, from, "failed"); strings.Count(got, "\n") != 2 || !strings.Contains(got, "403") || strings.Contains(got, "hush") {
		t.Errorf("the sender set aside %s", got)
	}
}
