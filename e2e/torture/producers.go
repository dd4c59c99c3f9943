package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// producer sends one put after the other and notes what became of it.
type producer struct {
	id      int
	rnd     *rand.Rand
	listen  string
	client  *http.Client
	streams *streams
	ledger  *ledger
	counts  *putCounts
}

// putCounts say what answers producers saw.
type putCounts struct{ ok, refused, broken atomic.Int64 }

func (c *putCounts) String() string {
	return fmt.Sprintf("%d acknowledged, %d refused, %d broken off", c.ok.Load(), c.refused.Load(), c.broken.Load())
}

func newProducer(id int, seed uint64, listen string, s *streams, l *ledger, c *putCounts) *producer {
	return &producer{id: id, rnd: rand.New(rand.NewPCG(seed, 100+uint64(id))), listen: listen, streams: s, ledger: l, counts: c,
		client: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 1}}}
}

func (p *producer) run(stop <-chan struct{}) {
	defer p.client.CloseIdleConnections()
	for {
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(p.rnd.IntN(25)) * time.Millisecond):
		}
		if st, ok := p.streams.pick(p.rnd); ok {
			p.put(st)
		}
	}
}

// put sends a few records. What was not acknowledged is not sent again: the next put has new numbers.
func (p *producer) put(st stream) {
	k := lane{st.life, p.id}
	o := p.ledger.lane(k)
	n := 1 + p.rnd.IntN(40)
	first := o.reserve(n)
	records := make([]string, n)
	form := encode
	if recipeOf(st.life) != 0 {
		form = compose
	}
	for i := range records {
		records[i] = form(k, first+i, p.payload())
	}
	records = pack(k, first, records, func() bool { return p.rnd.IntN(3) == 0 })
	req, err := p.request(st.name, records)
	if err != nil {
		panic(err) // our own mistake
	}
	resp, err := p.client.Do(req)
	if err != nil {
		p.counts.broken.Add(1)
		p.pause()
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		p.counts.broken.Add(1)
		return
	}
	if resp.StatusCode != http.StatusOK || !wholeSuccess(body, len(records)) {
		p.counts.refused.Add(1)
		p.pause()
		return
	}
	if p.ledger.acknowledged(o, first, n) {
		p.counts.ok.Add(1)
	}
}

func (p *producer) pause() { time.Sleep(time.Duration(20+p.rnd.IntN(80)) * time.Millisecond) }

func (p *producer) payload() string {
	raw := make([]byte, 20+p.rnd.IntN(200))
	if p.rnd.IntN(200) == 0 {
		raw = make([]byte, 20_000) // now and then a large one
	}
	for i := range raw {
		raw[i] = byte(p.rnd.Uint32())
	}
	return hex.EncodeToString(raw)
}

// request is, in turn at random, a PutRecordBatch or an NDJSON body.
func (p *producer) request(name string, records []string) (*http.Request, error) {
	if p.rnd.IntN(2) == 0 {
		req, err := http.NewRequest(http.MethodPost, "http://"+p.listen+"/v1/streams/"+name+"/records", strings.NewReader(strings.Join(records, "\n")+"\n"))
		if err == nil {
			req.Header.Set("Content-Type", "application/x-ndjson")
		}
		return req, err
	}
	type rec struct{ Data string }
	in := struct {
		DeliveryStreamName string
		Records            []rec
	}{DeliveryStreamName: name}
	for _, r := range records {
		in.Records = append(in.Records, rec{base64.StdEncoding.EncodeToString([]byte(r + "\n"))})
	}
	body, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequest(http.MethodPost, "http://"+p.listen+"/", bytes.NewReader(body))
	if err == nil {
		req.Header.Set("Content-Type", "application/x-amz-json-1.1")
		req.Header.Set("X-Amz-Target", "Firehose_20150804.PutRecordBatch")
	}
	return req, err
}

// wholeSuccess: {"accepted":n}, or FailedPutCount 0 with n record ids.
func wholeSuccess(body []byte, n int) bool {
	var a struct {
		Accepted         *int `json:"accepted"`
		FailedPutCount   *int
		RequestResponses []struct{ RecordId string }
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return false
	}
	if a.Accepted != nil {
		return *a.Accepted == n
	}
	return a.FailedPutCount != nil && *a.FailedPutCount == 0 && len(a.RequestResponses) == n
}
