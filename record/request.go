package record

// Item is one record of a Request.
type Item struct {
	ID                   // of the accepted record
	Sub           uint16 // its number among those that processors made of it
	Origin        *Origin
	ArrivalMillis int64 // of the accepted record, Unix ms
	Data          []byte
}

// Origin is what a record was when it was first accepted, for one that came back from an error prefix.
type Origin struct {
	ID
	Sub uint16
	// FailedMillis is the arrival of the record that was set aside, Unix ms: one that came back and failed once more has another one, and
	// may come back again.
	FailedMillis int64
}

// Name is what makes the item itself and no other, the same on every attempt and in every life: of the record as it was first accepted.
func (i *Item) Name() (ID, uint16) {
	if i.Origin != nil {
		return i.Origin.ID, i.Origin.Sub + i.Sub // what came back is a record that nothing was made of yet, or one part
	}
	return i.ID, i.Sub
}

// Request is a number of records on their way to a destination that answers for each of them, or for all at once. It is valid until
// the call that it was handed to returns.
type Request struct {
	// ID has the shape of a UUID and names exactly these records: the same on every attempt with them, whatever process makes it,
	// and no other request has it. Empty for a destination that knows each record by itself.
	ID      string
	Stream  string
	Version int   // of the stream's spec
	Bytes   int64 // of all Data
	Items   []Item
}

// Reply is what one attempt did with a Request.
type Reply struct {
	// Outcome is that of every item that Verdicts does not name. Its Kind is Delivered, Retry or Rejected. Rejected with TooLarge: fewer
	// items at once may be taken.
	Outcome
	Verdicts []Verdict // by rising Item, each at most once
}

// Verdict is the outcome of one item.
type Verdict struct {
	Item int // index into Request.Items
	Outcome
}

// RequestLimits is what a destination takes at once, at this moment.
type RequestLimits struct {
	Records    int   // items of a request, at least 1
	Bytes      int64 // of their Data; a single item may exceed it
	Concurrent int   // requests under way at once, at least 1
}

// Field is a key of an error record with its value, beside those that all error records have.
type Field struct{ Name, Value string }

// Load says which object of the store a warehouse is to take in, and as what.
type Load struct {
	// ID names the batch, the same on every attempt in every life: what was taken in under it is never taken in again.
	ID          string
	Stream      string
	Bucket, Key string
	Size        int64 // bytes of the object
	Records     int
}
