package dtls

import (
	"bytes"
	"testing"
	"time"
)

// TestCookieKeys: servers with a secret in common take each other's cookies, in
// a Door and in an engine that asks for itself; others do not. A round trip is
// measured with the cookies of one's own alone.
func TestCookieKeys(t *testing.T) {
	one, other := bytes.Repeat([]byte{1}, 16), bytes.Repeat([]byte{2}, 32)
	for _, test := range []struct {
		name          string
		mints, checks [][]byte
		want          bool
	}{
		{"the same secret", [][]byte{one}, [][]byte{one}, true},
		{"a secret that is new to one", [][]byte{one}, [][]byte{other, one}, true},
		{"a secret that is old to one", [][]byte{one, other}, [][]byte{one}, true},
		{"another secret", [][]byte{one}, [][]byte{other}, false},
		{"none", nil, nil, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			client, server := pskConfigs()
			serverWith := func(keys [][]byte) *Config {
				c := server.Clone()
				c.CookieKeys = keys
				return c
			}
			minting, err := NewDoor(serverWith(test.mints), simStart)
			if err != nil {
				t.Fatal(err)
			}
			checking, err := NewDoor(serverWith(test.checks), simStart)
			if err != nil {
				t.Fatal(err)
			}
			e, err := NewClientEngine(client, simStart)
			if err != nil {
				t.Fatal(err)
			}
			tx, _ := e.PollTransmit(simStart, nil)
			reply, _ := minting.Handle(simStart, tx.Data, testAddr, localAddr, nil)
			second := withCookie(t, e, reply)
			for _, skew := range []time.Duration{-25 * time.Second, 0, 25 * time.Second} { // of the other server's clock
				_, hello := checking.Handle(simStart.Add(skew), second, testAddr, localAddr, nil)
				if (hello != nil) != test.want {
					t.Errorf("clocks that differ by %v: let in %v", skew, hello != nil)
				}
			}
			engine, err := NewServerEngine(serverWith(test.checks), nil, simStart)
			if err != nil {
				t.Fatal(err)
			}
			if err := engine.HandleDatagram(simStart, second, testAddr); err != nil {
				t.Fatal(err)
			}
			if began := engine.door == nil; began != test.want {
				t.Errorf("an engine begins: %v", began)
			}
			if _, hello := minting.Handle(simStart, second, testAddr, localAddr, nil); hello == nil || !hello.proof.RTTKnown {
				t.Errorf("its own cookie: %+v", hello)
			}
		})
	}
}
