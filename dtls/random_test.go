package dtls

import (
	"testing"

	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/record"
)

// helloRandom finds the random of a hello that begins a datagram.
func helloRandom(t *testing.T, datagram []byte) [32]byte {
	t.Helper()
	_, payload, _, err := record.Next(datagram)
	if err != nil {
		t.Fatal(err)
	}
	h, body, _, err := message.NextFragment(payload)
	if err != nil || h.Type != message.TypeClientHello && h.Type != message.TypeServerHello {
		t.Fatalf("%v, %v", h.Type, err)
	}
	return [32]byte(body[2:])
}

// TestHelloRandoms: 10000 hellos of each side on the wire: no zero, no repeat,
// and no byte that is less random than the others. A fixed first half, which
// once was the time, fails.
func TestHelloRandoms(t *testing.T) {
	n := 10000
	if brief() {
		n = 2000
	}
	client, server := pskConfigs()
	client.CipherSuites, server.CipherSuites = []uint16{0x00a8}, []uint16{0x00a8}
	server.CookieMode = AddressProven
	seen := map[[32]byte]bool{{}: true}
	var counts [2][32][256]int
	buf := make([]byte, 0, 2048)
	note := func(at side, datagram []byte) {
		r := helloRandom(t, datagram)
		if seen[r] {
			t.Fatalf("%s: random %x is zero or came before", at, r)
		}
		seen[r] = true
		for i, b := range r {
			counts[at][i][b]++
		}
	}
	for range n {
		c, err := NewClientEngine(client, simStart)
		if err != nil {
			t.Fatal(err)
		}
		e, err := NewServerEngine(server, nil, simStart)
		if err != nil {
			t.Fatal(err)
		}
		tx, _ := c.PollTransmit(simStart, buf)
		note(clientSide, tx.Data)
		if err := e.HandleDatagram(simStart, tx.Data, testAddr); err != nil {
			t.Fatal(err)
		}
		tx, _ = e.PollTransmit(simStart, buf)
		note(serverSide, tx.Data)
	}
	for at := range counts {
		for i := range counts[at] {
			chi, want := 0.0, float64(n)/256
			for _, c := range counts[at][i] {
				chi += (float64(c) - want) * (float64(c) - want) / want
			}
			if chi > 460 { // 255 degrees of freedom: nine sigma
				t.Errorf("byte %d of the %s's randoms: chi-square %.0f", i, side(at), chi)
			}
		}
	}
}

// TestRandomStays: the hello with a cookie, and every retransmission, have the
// random of the first (RFC 6347, Section 4.2.1).
func TestRandomStays(t *testing.T) {
	client, server := pskConfigs()
	s := newSim(t, client, server)
	var hellos [][32]byte
	cookies := 0
	s.onDeliver = func(to side, datagram []byte) []byte {
		_, payload, _, _ := record.Next(datagram)
		if message.Type(payload[0]) == message.TypeClientHello && to == serverSide && datagram[3] == 0 && datagram[4] == 0 {
			hellos = append(hellos, helloRandom(t, datagram))
			if len(hellos) <= 2 || len(hellos) == 4 {
				return nil // lost, so that it is sent again
			}
			cookies++
		}
		return datagram
	}
	s.handshake()
	if len(hellos) < 5 || cookies < 2 {
		t.Fatalf("%d hellos, %d with an answer\n%s", len(hellos), cookies, s.history())
	}
	for _, r := range hellos {
		if r != hellos[0] {
			t.Errorf("random changed from %x to %x", hellos[0], r)
		}
	}
}

// TestSharesAreFresh: no ephemeral share comes twice, of neither side.
func TestSharesAreFresh(t *testing.T) {
	t.Parallel()
	n := 300
	if soak() {
		n = 10000
	}
	seen := map[string]bool{}
	for range n {
		client, server := hostileConfigs()
		s := newSim(t, client, server)
		s.onDeliver = func(to side, datagram []byte) []byte {
			for _, rec := range records(t, datagram) {
				r, payload, _, _ := record.Next(rec)
				if r.Epoch > 0 || r.Type != record.TypeHandshake {
					continue
				}
				if h, body, _, err := message.NextFragment(payload); err == nil &&
					(h.Type == message.TypeServerKeyExchange || h.Type == message.TypeClientKeyExchange) {
					share := string(body[len(body)-32:])
					if seen[share] {
						t.Fatalf("share %x came twice", share)
					}
					seen[share] = true
				}
			}
			return datagram
		}
		s.handshake()
	}
	if len(seen) != 2*n {
		t.Errorf("%d shares in %d handshakes", len(seen), n)
	}
}
