package dtls

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestWritersWhileKeysChange: many write at once, and keys change in both
// directions meanwhile. Every record arrives, and none twice (THREATS 76).
func TestWritersWhileKeysChange(t *testing.T) {
	const writers = 64
	each, period := 100, uint64(400)
	if soak() {
		each, period = 100_000, 1000
	}
	client, server, _, _ := pair(t, func(_, s *Config) { s.ReceiveQueue = 1 << 28 })
	defer closeAll(client, server)
	var written atomic.Uint64
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				if _, err := client.Write(binary.BigEndian.AppendUint32(nil, uint32(w*each+i))); err != nil {
					t.Error(err)
					return
				}
				n := written.Add(1)
				if n%period > 0 {
					continue
				}
				who := client
				if n/period%3 == 0 {
					who = server
				}
				if err := who.UpdateKeys(t.Context(), n/period%4 == 0); err != nil {
					t.Error(err)
				}
			}
		})
	}
	if err := server.SetReadDeadline(time.Now().Add(5 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	seen := make([]bool, writers*each)
	p := make([]byte, 8)
	for i := range seen {
		n, err := server.Read(p)
		if err != nil || n != 4 {
			t.Fatalf("record %d: %d bytes, %v", i, n, err)
		}
		if record := binary.BigEndian.Uint32(p); seen[record] {
			t.Fatalf("record %d came twice", record)
		} else {
			seen[record] = true
		}
	}
	wg.Wait()
	for _, c := range []*Conn{client, server} {
		c.mu.Lock()
		epoch := c.eng.keysUpdated()
		c.mu.Unlock()
		if epoch == epochData { // how many depends: calls at the same time are one update
			t.Errorf("%v never changed its keys", c.LocalAddr())
		}
	}
}
