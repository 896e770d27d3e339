package interop

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestLibCoAPWithOpenSSL(t *testing.T) { testLibCoAP(t, "openssl") }
func TestLibCoAPWithGnuTLS(t *testing.T)  { testLibCoAP(t, "gnutls") }

// testLibCoAP asks for a resource in both directions. coap-client gives up with
// the fifth time-out of its handshake, which rough paths soon make.
func testLibCoAP(t *testing.T, peer LibCoAP) {
	t.Parallel()
	for i, suite := range []uint16{0xc0a8, 0x00a8, 0xccac, 0xc0ae} {
		for _, weServe := range []bool{false, true} {
			c := Case{WeServe: weServe, Suite: suite, MTU: pskMTUs[i%2], Hint: i%2 == 0, Loss: !weServe}
			if suiteByID(suite).psk {
				c.Identity = TextIdentity
			} else {
				c.Hint = false
			}
			t.Run(c.Name(), func(t *testing.T) {
				t.Parallel()
				serving, dialing := c.options()
				if weServe {
					p := connect(t, Flightpath{}, peer, serving, dialing, c)
					answerCoAP(t, p.server.(*association), p.client)
				} else {
					p := connect(t, peer, Flightpath{}, serving, dialing, c)
					askCoAP(t, p.client.(*association))
				}
			})
		}
	}
}

// askCoAP gets the index of coap-server.
func askCoAP(t *testing.T, a *association) {
	t.Helper()
	request := coapMessage{kind: coapConfirmable, code: coapGet, id: 0x4711, token: []byte("t")}.append(nil)
	deadline := time.Now().Add(caseTimeout)
	for next := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		for _, m := range a.messages(t) {
			if m.code == coapContent && string(m.token) == "t" {
				if !bytes.Contains(m.payload, []byte("libcoap")) {
					t.Errorf("the answer is %q", m.payload)
				}
				if err := a.Agrees(); err != nil {
					t.Error(err)
				}
				return
			}
		}
		switch {
		case a.Failed() != nil:
			t.Fatal(a.Failed())
		case time.Now().After(deadline):
			t.Fatalf("no answer after %v", caseTimeout)
		case a.Established() && time.Now().After(next):
			next = time.Now().Add(time.Second)
			if err := a.send(request); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// answerCoAP answers coap-client until it prints the answer.
func answerCoAP(t *testing.T, a *association, client Endpoint) {
	t.Helper()
	const answer = "it-is-on"
	deadline := time.Now().Add(caseTimeout)
	for answered := 0; !client.Heard(answer); time.Sleep(20 * time.Millisecond) {
		requests := a.messages(t)
		for _, m := range requests[answered:] {
			if m.code != coapGet || m.path != "lamps/7" {
				t.Fatalf("asked for %+v", m)
			}
			err := a.send(coapMessage{kind: coapAcknowledgement, code: coapContent, id: m.id, token: m.token, payload: []byte(answer)}.append(nil))
			if err != nil {
				t.Fatal(err)
			}
		}
		answered = len(requests)
		if time.Now().After(deadline) || client.Failed() != nil && !client.Heard(answer) {
			t.Fatalf("the answer does not arrive: %v", client.Failed())
		}
	}
	if err := a.Agrees(); err != nil {
		t.Error(err)
	}
}

// messages are all that have arrived.
func (a *association) messages(t *testing.T) []coapMessage {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	var list []coapMessage
	for _, datagram := range a.heard {
		m, err := parseCoAP([]byte(datagram))
		if err != nil {
			t.Fatalf("%v: %x", err, datagram)
		}
		list = append(list, m)
	}
	return list
}

func TestCoAPMessages(t *testing.T) {
	for _, m := range []coapMessage{
		{kind: coapConfirmable, code: coapGet, id: 0x7d34, path: "temperature"},
		{kind: coapConfirmable, code: coapGet, id: 1, token: []byte{0, 1, 2}, path: "a/b/c"},
		{kind: coapAcknowledgement, code: coapContent, id: 0xffff, token: []byte("12345678"), payload: []byte("22.3 C")},
	} {
		if m.token == nil {
			m.token = []byte{}
		}
		b := m.append(nil)
		if got, err := parseCoAP(b); err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("%x: %+v, %v; want %+v", b, got, err, m)
		}
		for n := range b {
			if got, err := parseCoAP(b[:n]); err == nil && reflect.DeepEqual(got, m) {
				t.Errorf("%d bytes of %d are enough", n, len(b))
			}
		}
	}
	// Figure 16 of RFC 7252.
	want := "\x40\x01\x7d\x34\xbbtemperature"
	if got := (coapMessage{code: coapGet, id: 0x7d34, path: "temperature"}).append(nil); string(got) != want {
		t.Errorf("%q, want %q", got, want)
	}
	// Uri-Host and Uri-Path with extended lengths.
	long := strings.Repeat("x", 300)
	m, err := parseCoAP([]byte("\x40\x01\x00\x01\x39localhost\x8d\x0daaaaaaaaaaaaaaaaaaaaaaaaaa\x0e\x00\x1f" + long))
	if err != nil || m.path != strings.Repeat("a", 26)+"/"+long {
		t.Errorf("%+v, %v", m, err)
	}
}
