package reassembly

import (
	"testing"

	"github.com/flightpath-dtls/flightpath/internal/message"
)

// TestMemoryOfWholeMessages: messages that wait for the one before them have as much
// memory as one of the full limit needs, also if none of them has gaps; what comes then
// finds no room, and that which is awaited goes on once they are taken.
func TestMemoryOfWholeMessages(t *testing.T) {
	const limit = 4096
	r := New(message.SetOf(message.TypeServerHello), limit)
	r.Await(0)
	body := make([]byte, 1024)
	kept, full := 0, 0
	for seq := uint16(1); seq < Window; seq++ {
		switch v := r.Add(2, message.Header{Type: message.TypeCertificate, Length: 1024, Seq: seq, FragmentLength: 1024}, body); v {
		case Kept:
			kept++
		case NoRoom:
			full++
		default:
			t.Fatalf("message %d: %v", seq, v)
		}
		if err := r.Fault(); err != nil {
			t.Fatal(err)
		}
	}
	if kept < 4 || kept > 8 || full != Window-1-kept {
		t.Errorf("%d messages of 1024 bytes are kept, %d are not; the limit is %d", kept, full, limit)
	}
}
