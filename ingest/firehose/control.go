package firehose

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"hydrant/internal/bodies/strictjson"
)

const (
	listLimitDefault = 10
	listLimitMax     = 10_000
)

// streamTypes are the values DeliveryStreamType may have. Streams of this version are all of the first.
var streamTypes = []string{"DirectPut", "KinesisStreamAsSource", "MSKAsSource", "DatabaseAsSource"}

// control reads a control request into in and answers with what serve returns. raw is only valid in serve.
func (h *handler) control(w http.ResponseWriter, r *http.Request, in any, serve func(raw []byte) (out any, err error)) error {
	body, err := h.opts.Bodies.Read(w, r, "gzip")
	if err != nil {
		return bodyError(err)
	}
	defer body.Release()
	if err := decodeStrict(body.Bytes(), in); err != nil {
		return serialization(err)
	}
	out, err := serve(body.Bytes())
	if err != nil {
		return err
	}
	return writeJSON(w, out)
}

// target is the member that names a stream.
type target struct{ DeliveryStreamName *string }

func (t *target) name() *string { return t.DeliveryStreamName }

// named is control for an operation on one stream.
func (h *handler) named(w http.ResponseWriter, r *http.Request, in interface{ name() *string }, serve func(stream string, raw []byte) (out any, err error)) (stream string, err error) {
	err = h.control(w, r, in, func(raw []byte) (any, error) {
		var err error
		if stream, err = nameOf(in.name()); err != nil {
			return nil, err
		}
		return serve(stream, raw)
	})
	return stream, err
}

// decodeStrict refuses nesting that encoding/json would take.
func decodeStrict(raw []byte, v any) error {
	i := strictjson.Space(raw, 0)
	if i == len(raw) || raw[i] != '{' {
		return strictjson.Unexpected(raw, i)
	}
	end, err := strictjson.Skip(raw, i, 0)
	if err != nil {
		return err
	}
	if err := strictjson.End(raw, end); err != nil {
		return err
	}
	return json.Unmarshal(raw, v)
}

// nameOf checks a stream's name in a control request.
func nameOf(name *string) (string, error) {
	var v violations
	if name == nil {
		v.streamName("", false, "deliveryStreamName")
		return "", v.err()
	}
	v.streamName(*name, true, "deliveryStreamName")
	if e := v.err(); e != nil {
		return "", e
	}
	return *name, nil
}

func (h *handler) create(w http.ResponseWriter, r *http.Request) (string, error) {
	var in target
	return h.named(w, r, &in, func(_ string, raw []byte) (any, error) {
		spec, err := h.opts.DecodeCreate(raw)
		if err != nil {
			return nil, err
		}
		arn, err := h.opts.Control.Create(r.Context(), spec)
		return struct{ DeliveryStreamARN string }{arn}, err
	})
}

func (h *handler) remove(w http.ResponseWriter, r *http.Request) (string, error) {
	var in struct {
		target
		AllowForceDelete bool
	}
	return h.named(w, r, &in, func(stream string, _ []byte) (any, error) {
		return struct{}{}, h.opts.Control.Delete(r.Context(), stream, in.AllowForceDelete)
	})
}

func (h *handler) describe(w http.ResponseWriter, r *http.Request) (string, error) {
	var in struct {
		target
		Limit *int
	}
	return h.named(w, r, &in, func(stream string, _ []byte) (any, error) {
		if _, err := limitOf(in.Limit); err != nil {
			return nil, err
		}
		description, err := h.opts.Control.Describe(r.Context(), stream)
		return struct{ DeliveryStreamDescription any }{description}, err
	})
}

// list names no stream.
func (h *handler) list(w http.ResponseWriter, r *http.Request) (string, error) {
	var in struct {
		Limit                            *int
		DeliveryStreamType               *string
		ExclusiveStartDeliveryStreamName *string
	}
	return "", h.control(w, r, &in, func([]byte) (any, error) {
		limit, after, err := checkList(in.Limit, in.DeliveryStreamType, in.ExclusiveStartDeliveryStreamName)
		if err != nil {
			return nil, err
		}
		out := struct {
			DeliveryStreamNames    []string
			HasMoreDeliveryStreams bool
		}{DeliveryStreamNames: []string{}}
		if in.DeliveryStreamType == nil || *in.DeliveryStreamType == streamTypes[0] {
			names, more, err := h.opts.Control.List(r.Context(), after, limit)
			if err != nil {
				return nil, err
			}
			out.DeliveryStreamNames = append(out.DeliveryStreamNames, names...)
			out.HasMoreDeliveryStreams = more
		}
		return out, nil
	})
}

func checkList(limit *int, kind, start *string) (n int, after string, err error) {
	if n, err = limitOf(limit); err != nil {
		return 0, "", err
	}
	var v violations
	if kind != nil && !slices.Contains(streamTypes, *kind) {
		v.add("", "deliveryStreamType", fmt.Sprintf("satisfy enum value set: [%s, %s, %s, %s]",
			streamTypes[0], streamTypes[1], streamTypes[2], streamTypes[3]))
	}
	if start != nil {
		after = *start
		v.streamName(after, true, "exclusiveStartDeliveryStreamName")
	}
	if e := v.err(); e != nil {
		return 0, "", e
	}
	return n, after, nil
}

func limitOf(limit *int) (int, error) {
	if limit == nil {
		return listLimitDefault, nil
	}
	var v violations
	value := fmt.Sprintf("'%d' ", *limit)
	if *limit < 1 {
		v.add(value, "limit", "have value greater than or equal to 1")
	}
	if *limit > listLimitMax {
		v.add(value, "limit", fmt.Sprintf("have value less than or equal to %d", listLimitMax))
	}
	if e := v.err(); e != nil {
		return 0, e
	}
	return *limit, nil
}
