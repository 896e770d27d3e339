package dtls

import (
	"bytes"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"
	"weak"

	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/record"
)

// Memory follows the bytes received, never the bytes announced, and goes with
// the handshake.

func liveHeap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// servers are engines that wait for a hello.
func servers(t *testing.T, n int) []*Engine {
	_, server := pskConfigs()
	server.CookieMode = AddressProven
	var list []*Engine
	for range n {
		e, err := NewServerEngine(server, nil, simStart)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, e)
	}
	return list
}

// TestAnnouncedLength: fragments of one byte that announce much, for many
// messages, on many associations.
func TestAnnouncedLength(t *testing.T) {
	const associations, numbers = 12, 400
	for _, length := range []uint32{1<<24 - 1, defaultMaxHandshakeSize} {
		list := servers(t, associations)
		before := liveHeap()
		for _, e := range list {
			for seq := range uint16(numbers) {
				for variant := range byte(5) {
					h := message.Header{Type: message.TypeClientHello, Length: length, Seq: seq, FragmentOffset: length / 2, FragmentLength: 1}
					if err := e.HandleDatagram(simStart, forgeFragment(h, variant), testAddr); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		if grown := int64(liveHeap() - before); grown > 1<<20 {
			t.Errorf("announcing %d bytes: %d associations grew by %d bytes", length, associations, grown)
		}
		for _, e := range list {
			if d := e.Drops(); d.Fragment == 0 {
				t.Errorf("drops %+v", d)
			}
		}
	}
}

// TestFragmentFlood: whatever mix of fragments is sent, one association keeps
// MaxHandshakeSize and the bookkeeping: every second byte of one message, and
// contradicting bytes of many.
func TestFragmentFlood(t *testing.T) {
	for _, messages := range []uint32{1, 16} {
		e := servers(t, 1)[0]
		before := liveHeap()
		for i := range uint32(60000) {
			h := message.Header{
				Type: message.Type(11 + i%messages%2), Length: 60000, Seq: uint16(i % messages),
				FragmentOffset: i * 2 % 59999, FragmentLength: 1,
			}
			if err := e.HandleDatagram(simStart, forgeFragment(h, byte(i*messages)), testAddr); err != nil {
				t.Fatal(err)
			}
		}
		if grown := int64(liveHeap() - before); grown > 6*defaultMaxHandshakeSize {
			t.Errorf("%d messages: grew by %d bytes", messages, grown)
		}
		runtime.KeepAlive(e)
	}
}

// TestHeldRecords: records of the next epoch wait in 4 KiB, not more.
func TestHeldRecords(t *testing.T) {
	e := servers(t, 1)[0]
	for range 10000 {
		d := forgeRecordAt(record.TypeHandshake, VersionDTLS12, record.Number{Epoch: 1}, make([]byte, 30)...)
		if err := e.HandleDatagram(simStart, d, testAddr); err != nil {
			t.Fatal(err)
		}
	}
	if e.hs.heldBytes > maxHeld || len(e.hs.held) > maxHeld/record.HeaderLen || e.Drops().Memory == 0 {
		t.Errorf("%d records, %d bytes held; %+v", len(e.hs.held), e.hs.heldBytes, e.Drops())
	}
}

// TestHandshakeMemoryIsFreed: what was left over when the handshake completes,
// or fails, goes with it.
func TestHandshakeMemoryIsFreed(t *testing.T) {
	for _, fails := range []bool{false, true} {
		client, server := simConfigs(dtlstest.P256, 0)
		if fails {
			client.ServerName = "elsewhere"
		}
		s := newSim(t, client, server)
		var gone [2]weak.Pointer[driver]
		s.perRecord(func(to side, n int, after bool) {
			e := s.eng[to]
			if !e.handshaking() || e.door != nil {
				return
			}
			gone[to] = weak.Make(e.hs)
			for seq := range uint16(15) {
				h := message.Header{Type: message.TypeCertificate, Length: 4000, Seq: 1 + seq, FragmentLength: 200}
				s.deliver(to, forgeFragment(h, make([]byte, 200)...))
			}
		})
		s.run(2*time.Minute, func() bool {
			return s.established() || s.eng[0].Err() != nil && s.eng[1].Err() != nil
		})
		if s.established() == fails {
			t.Fatalf("%v; %v\n%s", s.eng[0], s.eng[1], s.history())
		}
		s.onDeliver = nil
		runtime.GC()
		for at, p := range gone {
			if p.Value() != nil {
				t.Errorf("fails %v: the handshake of the %s lives on", fails, side(at))
			}
		}
		runtime.KeepAlive(s)
	}
}

// TestLastFlightIsFreed: data of the client proves that it has the server's
// last flight.
func TestLastFlightIsFreed(t *testing.T) {
	s := established(t)
	for at, e := range s.eng {
		if e.out.flight.msgs != nil || e.handshaking() || e.keys.Opener(0) != nil || e.keys.SealerOf(0) != nil {
			t.Errorf("%s keeps a flight or plaintext keys", side(at))
		}
	}
}

// TestFragmentBombs: 30 MB of fragments over 6 associations, of whatever kind,
// cost 1.5 MiB of memory at most (THREATS 12). The small form sends a tenth.
func TestFragmentBombs(t *testing.T) {
	const associations = 6
	total := 3 << 20
	if soak() {
		total = 30 << 20
	}
	rng := rand.New(rand.NewPCG(12, 0))
	random := make([]byte, 1300)
	for i := range random {
		random[i] = byte(rng.Uint32())
	}
	fragment := func(length uint32, seq uint16, offset, n uint32) []byte {
		h := message.Header{Type: message.Type(11 + seq%2), Length: length, Seq: seq, FragmentOffset: offset, FragmentLength: n}
		at := rng.IntN(len(random) - int(n))
		return forgeFragment(h, random[at:at+int(n)]...)
	}
	for _, bomb := range []struct {
		name string
		next func(i uint32) []byte
	}{
		{"every other byte of one message", func(i uint32) []byte { return fragment(65536, 1, 2*i%65535, 1) }},
		{"every other byte of many", func(i uint32) []byte { return fragment(65536, uint16(i%16), 2*(i/16)%65535, 1) }},
		{"every 16th byte of many", func(i uint32) []byte { return fragment(65536, uint16(i%16), 16*(i/16)%65535, 1) }},
		{"a byte of each page", func(i uint32) []byte { return fragment(65536, uint16(i%16), 256*(i/16)%65536, 1) }},
		{"full fragments of many", func(i uint32) []byte { return fragment(65536, uint16(i%16), 1200*(i/16)%64000, 1200) }},
		{"at random", func(i uint32) []byte {
			n := 1 + rng.Uint32N(1200)
			return fragment(65536, uint16(rng.IntN(20)), rng.Uint32N(65536-n), n)
		}},
		{"many lengths", func(i uint32) []byte {
			length := 1 + rng.Uint32N(65536)
			n := 1 + rng.Uint32N(min(length, 200))
			return fragment(length, uint16(rng.IntN(20)), rng.Uint32N(length-n+1), n)
		}},
	} {
		list := servers(t, associations)
		before := liveHeap()
		sent := 0
		for i := uint32(0); sent < total; i++ {
			d := bomb.next(i)
			for _, e := range list {
				sent += len(d)
				if err := e.HandleDatagram(simStart, bytes.Clone(d), testAddr); err != nil {
					t.Fatal(err)
				}
			}
		}
		grown := int64(liveHeap()) - int64(before)
		t.Logf("%s: %d bytes", bomb.name, grown)
		if grown > 3<<19 {
			t.Errorf("%s: grew by %d bytes", bomb.name, grown)
		}
		runtime.KeepAlive(list)
	}
}
