package transform

// stateful is a processor whose answers depend on the records before: dedupe, rollup. It sees each record of the log once, in the log's
// order, and must be a function of what it has seen: no clock, no random source, no order of a map. What it must remember goes into deltas, which
// the caller makes durable together with the answers; a process that takes over begins with restore and applies the deltas since.
// Called by one goroutine at a time.
type stateful interface {
	// decide hands out what p becomes, as processor.process does. arrivalMillis is when the record was accepted (Unix ms); it never
	// decreases. What changes in the state is done, appended to delta, and returned.
	decide(p part, arrivalMillis int64, out *output, delta []byte) []byte
	// tick is decide without a record: so much time went by.
	tick(arrivalMillis int64, out *output, delta []byte) []byte
	// next is the arrival time (Unix ms) from which on tick hands something out; 0: nothing waits for time.
	next() int64
	// apply changes the state as the decide or tick did that returned this delta.
	apply(delta []byte) error
	// snapshot appends the whole state, in a form that names its version; restore reads it, on a processor that has seen nothing.
	snapshot(to []byte) []byte
	restore(b []byte) error
}
