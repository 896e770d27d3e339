package dtls

import (
	"errors"
	"testing"
	"time"
)

// FuzzFlightMap decodes a path and its owners from the input: each byte is what
// happens to the next datagram, or between two of them. sim holds every
// datagram against the fragment map's promises: no record number is used twice,
// message bytes are constant, cuts nest, no datagram is over the limit. Once the
// input is used up the path is good, and the handshake must finish, unless a
// refusal below the floor ended it, or nothing was left of its tries.
func FuzzFlightMap(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0, 0, 0, 0, 0, 0})
	f.Add([]byte{1, 200, 2, 90, 3, 40, 4, 0, 5, 99, 6, 1, 7, 7, 8, 30})
	f.Add([]byte{2, 0, 2, 0, 2, 255, 0x82, 3, 4, 4, 4, 0x84, 0x83, 9, 3, 255})
	f.Add([]byte{3, 1, 3, 200, 3, 30, 6, 6, 6, 6, 6, 4, 0x43, 0, 0x43, 255})
	client, server := simKinds[2].configs()
	client.CipherSuites, server.CipherSuites = nil, nil // ECDHE_PSK: more to cut
	f.Fuzz(func(t *testing.T, input []byte) {
		if len(input) > 200 {
			return
		}
		client, server := client.Clone(), server.Clone()
		if len(input) > 0 {
			mode := MTUMode(input[0]>>6) % 3
			client.MTUMode, server.MTUMode = mode, mode
			client.MTU, server.MTU = minMTU+int(input[0]&0x3f), minMTU+4*int(input[0]&0x3f)
		}
		if len(input)%2 > 0 {
			server.CookieMode = CookieAlways
		}
		patient(client)
		patient(server)
		fuzzFlights(t, newSim(t, client, server), input)
	})
}

func fuzzFlights(t *testing.T, s *sim, input []byte) {
	next := func() (b byte) {
		if len(input) > 0 {
			b, input = input[0], input[1:]
		}
		return b
	}
	var last [2][]byte // the largest datagram of each side, to quote
	hopeless := [2]bool{}
	s.refuse = func(from side, _ int, datagram []byte) (bool, int) {
		if len(datagram) > len(last[from]) {
			last[from] = append([]byte{}, datagram...)
		}
		if len(input) == 0 || next()%4 != 0 {
			return false, 0
		}
		hint := 8 * int(next())
		if len(datagram) <= minMTU || hint > 0 && hint < minMTU {
			hopeless[from] = true
		}
		return true, hint
	}
	s.path = func(from side, _ int, datagram []byte) []time.Duration {
		e, b := s.eng[from], next()
		switch what, n := b&7, 8*int(next()); what {
		case 1:
			_ = e.SetMTU(n)
		case 2:
			e.PathHint(s.now, n, last[from])
		case 3:
			e.PathHint(s.now, n, nil)
		case 4:
			return nil
		case 5:
			return []time.Duration{simRTT / 2, time.Duration(n) * time.Millisecond}
		case 6:
			return []time.Duration{time.Duration(n) * time.Millisecond}
		case 7:
			_ = e.HandleTimeout(s.now.Add(time.Duration(n) * time.Millisecond))
		}
		return []time.Duration{simRTT / 2}
	}
	s.onEvent = func(at side, ev Event) {
		var lp *LargePacketError
		if ev.Kind == EventLargePacket && errors.As(ev.Err, &lp) && lp.Suggest() > 0 && next()&1 == 0 {
			_ = s.eng[at].SetMTU(lp.Suggest())
		}
	}
	over := func() bool { return s.eng[0].Err() != nil || s.eng[1].Err() != nil }
	s.run(2*time.Hour, func() bool { return s.established() || over() })
	var large *LargePacketError
	for at, e := range s.eng {
		if errors.As(e.Err(), &large) && large.Suggest() == 0 && hopeless[at] {
			return // and its alert may have ended the other
		}
	}
	for at, e := range s.eng {
		switch err := e.Err(); {
		case err == nil:
		case e.path.mode == MTUManual && errors.Is(err, ErrHandshakeTimeout):
			return // nobody answered its refusals
		default:
			t.Fatalf("%v: %v\n%s", side(at), err, s.history())
		}
	}
	if !s.established() {
		t.Fatalf("%v; %v\n%s", s.eng[0], s.eng[1], s.history())
	}
}
