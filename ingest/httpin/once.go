package httpin

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/http"

	"github.com/cespare/xxhash/v2"

	"hydrant/record"
)

// requestKey names a request: by who sent it, the sender's name for it, and what it holds. The same name with other records is another
// request, so that nothing is swallowed where a sender gives a name twice.
func requestKey(protocol, sender, id string, put *record.Put) (key record.RequestKey) {
	digest := xxhash.New()
	var size [8]byte
	for i := range put.Count() {
		r := put.Record(i)
		binary.LittleEndian.PutUint64(size[:], uint64(len(r)))
		_, _ = digest.Write(size[:])
		_, _ = digest.Write(r)
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %d %d %016x", protocol, sender, id, put.Count(), put.Bytes(), digest.Sum64()))
	copy(key[:], sum[:])
	return key
}

const maxIdempotencyKey = 255

// idempotencyKey is the sender's name for the request, "" when it has none.
func idempotencyKey(r *http.Request) (string, error) {
	values, ok := r.Header["Idempotency-Key"]
	if !ok {
		return "", nil
	}
	if len(values) != 1 || len(values[0]) == 0 || len(values[0]) > maxIdempotencyKey || !printable(values[0]) {
		return "", problem(http.StatusBadRequest, "bad_idempotency_key", "Send one Idempotency-Key of 1 to 255 printable ASCII characters.")
	}
	return values[0], nil
}

func printable(s string) bool {
	for _, c := range []byte(s) {
		if c < 0x20 || c > 0x7e {
			return false
		}
	}
	return true
}
