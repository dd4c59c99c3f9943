package config

import (
	"maps"
	"slices"
	"time"
)

// Lambda sends records to an AWS Lambda function, or to what takes the same invocations. Exactly one of Function, URL and Exec is set.
type Lambda struct {
	Function string            `json:",omitempty"` // name or ARN
	Region   string            `json:",omitempty"` // of the function; none: the stream's
	Endpoint string            `json:",omitempty"` // of the Lambda service; none: as the SDK finds it
	URL      string            `json:",omitempty"`
	Headers  map[string]Secret `json:",omitempty"` // of URL
	Exec     []string          `json:",omitempty"` // a program on this machine and its arguments
	Env      map[string]string `json:",omitempty"` // of Exec
	Memory   Bytes             `json:",omitempty"` // that the program may take; 0: any

	Buffer     LambdaBuffer
	Retries    int      // more attempts after the first that failed; 0 to 300
	Timeout    Duration // of one attempt, 1s to 15m
	Concurrent int      // invocations at once, 1 to 16
}

// LambdaBuffer says how many records an invocation has.
type LambdaBuffer struct {
	Size     Bytes    // of data, 200KB to 3MB
	Interval Duration // how long a record may wait for others, 0 to 900s
}

// Firehose's limits, and its defaults but for the interval: with 60 s every record would be late by that.
const (
	minLambdaBuffer  = 200 * KB
	maxLambdaBuffer  = 3 * MB
	maxLambdaRetries = 300
	maxLambdaAtOnce  = 16
	minLambdaMemory  = 16 * MB
)

func lambdaStep() stepKind {
	return stepKind{name: "lambda", example: "write {function: NAME}, {url: URL} or {exec: [PROGRAM, …]}", has: func(p *Processor) bool { return p.Lambda != nil },
		read: (*section).lambda, check: func(p *Processor, r *report, path string) { p.Lambda.check(r, path) }}
}

func (s *section) lambda(name string, p *Processor) {
	sec := s.section(name, "function", "region", "endpoint", "url", "headers", "exec", "env", "memory", "buffer", "retries", "timeout", "concurrent")
	if sec == nil || len(sec.keys) == 0 {
		return
	}
	l := &Lambda{Buffer: LambdaBuffer{Size: MB, Interval: Duration(time.Second)}, Retries: 3, Timeout: Duration(5 * time.Minute), Concurrent: 4}
	p.Lambda = l
	sec.textsOf(map[string]*string{"function": &l.Function, "region": &l.Region, "endpoint": &l.Endpoint, "url": &l.URL})
	sec.texts("exec", &l.Exec)
	sec.bytes("memory", &l.Memory)
	sec.integer("retries", &l.Retries)
	sec.duration("timeout", &l.Timeout)
	sec.integer("concurrent", &l.Concurrent)
	if b := sec.section("buffer", "size", "interval"); b != nil {
		b.bytes("size", &l.Buffer.Size)
		b.duration("interval", &l.Buffer.Interval)
	}
	if m := sec.freeSection("headers"); m != nil {
		l.Headers = map[string]Secret{}
		for _, name := range m.order {
			var v Secret
			m.headerSecret(name, &v, 0)
			l.Headers[name] = v
		}
	}
	if m := sec.freeSection("env"); m != nil {
		l.Env = map[string]string{}
		for _, name := range m.order {
			var v string
			m.text(name, &v)
			l.Env[name] = v
		}
	}
}

func (l *Lambda) check(r *report, path string) {
	l.checkWho(r, path)
	checkRange(r, path+".buffer.size", l.Buffer.Size, minLambdaBuffer, maxLambdaBuffer, "200KB to 3MB")
	checkRange(r, path+".buffer.interval", l.Buffer.Interval, 0, maxTimeout, "0s to 900s")
	checkRange(r, path+".timeout", l.Timeout, Duration(time.Second), maxTimeout, "1s to 15m")
	if l.Retries < 0 || l.Retries > maxLambdaRetries {
		r.add(path+".retries", "%d is outside 0 to %d", l.Retries, maxLambdaRetries)
	}
	if l.Concurrent < 1 || l.Concurrent > maxLambdaAtOnce {
		r.add(path+".concurrent", "%d is outside 1 to %d", l.Concurrent, maxLambdaAtOnce)
	}
}

func (l *Lambda) checkWho(r *report, path string) {
	n := 0
	for _, is := range []bool{l.Function != "", l.URL != "", len(l.Exec) > 0} {
		if is {
			n++
		}
	}
	if n != 1 {
		r.add(path, "needs one of function, url and exec")
		return
	}
	if l.Function == "" && l.Region != "" {
		r.add(path+".region", "is only for function; remove it")
	}
	if l.Function == "" && l.Endpoint != "" {
		r.add(path+".endpoint", "is only for function; remove it")
	}
	if l.Endpoint != "" {
		checkURL(r, path+".endpoint", l.Endpoint)
	}
	checkRegion(r, path+".region", l.Region)
	if l.URL != "" {
		checkEndpoint(r, path+".url", l.URL)
	}
	for _, name := range slices.Sorted(maps.Keys(l.Headers)) {
		switch {
		case l.URL == "":
			r.add(path+".headers", "are only for url; remove them")
			return
		case !headerName.MatchString(name):
			r.add(path+".headers", "%q is no name of a header", clip(name))
		}
	}
	l.checkProgram(r, path)
}

func (l *Lambda) checkProgram(r *report, path string) {
	switch {
	case len(l.Exec) == 0 && len(l.Env) > 0:
		r.add(path+".env", "is only for exec; remove it")
	case len(l.Exec) == 0 && l.Memory != 0:
		r.add(path+".memory", "is only for exec; remove it")
	case len(l.Exec) > 0 && l.Exec[0] == "":
		r.add(path+".exec", "names no program")
	case l.Memory != 0 && l.Memory < minLambdaMemory:
		r.add(path+".memory", "%s is below the limit %s", l.Memory, minLambdaMemory)
	}
}

// who is what decides the answers, as far as is known here: not how often and how long it is asked.
func (l *Lambda) who() *Lambda {
	return &Lambda{Function: l.Function, Region: l.Region, URL: l.URL, Exec: l.Exec, Env: l.Env}
}
