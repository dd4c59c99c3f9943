package record

// MaxSubs is how many records the processors may make of one.
const MaxSubs = 1<<16 - 1

// Derived is what the processors made of a record: a record of its own, or a failure that sets it aside.
// Its slices are valid until the function it was handed to returns.
type Derived struct {
	ID                    // of the record it was made of
	Sub           uint16  // its number among those that were made of that record, from 0
	Origin        *Origin // of the accepted record, when it came back from an error prefix
	ArrivalMillis int64
	Data          []byte
	// Raw is what an error record keeps: the record as it was accepted, or the part of it since a processor took it apart.
	Raw []byte
	// Partition is the partition it belongs to: the escaped values of the partition keys, joined by "/". Empty without partitioning.
	Partition []byte
	// Values are those of the partition keys, where Partition is not made yet: of records that are staged.
	Values  [][]byte
	Failure *Failure // not nil: it goes to the error prefix
}

// Failure says why a record is set aside. As an error it concerns this record alone, never its neighbours.
type Failure struct {
	Type    string // as in the error prefix: processing-failed, format-conversion-failed, ...
	Code    string // Firehose's error code, such as DataFormatConversion.ParseError
	Message string // for people: what, where, and what was expected; holds no more of the record than a short value
	// Attempts were made before it was set aside, 0 for one. Fields are what its error record says beside the common ones, such as lambdaArn.
	Attempts int
	Fields   []Field
}

func (f *Failure) Error() string { return f.Code + ": " + f.Message }

// The error types of records that cannot be delivered as they are.
const (
	ProcessingFailed  = "processing-failed"
	DecompressFailed  = "decompression-failed"
	MetadataFailed    = "metadata-extraction-failed"
	ConversionFailed  = "format-conversion-failed"
	DestinationFailed = "s3-failed"
)

// Product is what staging processors made of one record, or of time going by.
type Product struct {
	Records []Derived // in order; none: it was dropped
	Delta   []byte    // what changed in the processors' state
}
