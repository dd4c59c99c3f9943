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

// readBody reads a control request into v. The bytes are only valid until the returned function is called.
func (h *handler) readBody(w http.ResponseWriter, r *http.Request, v any) (raw []byte, release func(), err error) {
	body, err := h.opts.Bodies.Read(w, r, "gzip")
	if err != nil {
		return nil, nil, bodyError(err)
	}
	raw = body.Bytes()
	if err := decodeStrict(raw, v); err != nil {
		body.Release()
		return nil, nil, serialization(err)
	}
	return raw, body.Release, nil
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

func (h *handler) create(w http.ResponseWriter, r *http.Request) error {
	var in struct{ DeliveryStreamName *string }
	raw, release, err := h.readBody(w, r, &in)
	if err != nil {
		return err
	}
	defer release()
	name, err := nameOf(in.DeliveryStreamName)
	if err != nil {
		return err
	}
	spec, err := h.opts.DecodeCreate(raw)
	if err != nil {
		return h.failure(opCreate, name, err)
	}
	arn, err := h.opts.Control.Create(r.Context(), spec)
	if err != nil {
		return h.failure(opCreate, name, err)
	}
	return writeJSON(w, struct{ DeliveryStreamARN string }{arn})
}

func (h *handler) remove(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		DeliveryStreamName *string
		AllowForceDelete   bool
	}
	_, release, err := h.readBody(w, r, &in)
	if err != nil {
		return err
	}
	defer release()
	name, err := nameOf(in.DeliveryStreamName)
	if err != nil {
		return err
	}
	if err := h.opts.Control.Delete(r.Context(), name, in.AllowForceDelete); err != nil {
		return h.failure(opDelete, name, err)
	}
	return writeJSON(w, struct{}{})
}

func (h *handler) describe(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		DeliveryStreamName *string
		Limit              *int
	}
	_, release, err := h.readBody(w, r, &in)
	if err != nil {
		return err
	}
	defer release()
	name, err := nameOf(in.DeliveryStreamName)
	if err != nil {
		return err
	}
	if _, err := limitOf(in.Limit); err != nil {
		return err
	}
	description, err := h.opts.Control.Describe(r.Context(), name)
	if err != nil {
		return h.failure(opDescribe, name, err)
	}
	return writeJSON(w, struct{ DeliveryStreamDescription any }{description})
}

func (h *handler) list(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Limit                            *int
		DeliveryStreamType               *string
		ExclusiveStartDeliveryStreamName *string
	}
	_, release, err := h.readBody(w, r, &in)
	if err != nil {
		return err
	}
	defer release()
	limit, after, err := checkList(in.Limit, in.DeliveryStreamType, in.ExclusiveStartDeliveryStreamName)
	if err != nil {
		return err
	}
	out := struct {
		DeliveryStreamNames    []string
		HasMoreDeliveryStreams bool
	}{DeliveryStreamNames: []string{}}
	if in.DeliveryStreamType == nil || *in.DeliveryStreamType == streamTypes[0] {
		names, more, err := h.opts.Control.List(r.Context(), after, limit)
		if err != nil {
			return h.failure(opList, "", err)
		}
		out.DeliveryStreamNames = append(out.DeliveryStreamNames, names...)
		out.HasMoreDeliveryStreams = more
	}
	return writeJSON(w, out)
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
