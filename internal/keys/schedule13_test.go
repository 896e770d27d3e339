package keys

import (
	"bytes"
	"crypto"
	"fmt"
	"slices"
	"testing"
)

// A secret can be had at its own step only, and each step is taken once, in order.
func TestSchedule13KeepsItsOrder(t *testing.T) {
	th := emptyHash(crypto.SHA256)
	at := []string{"early", "handshake", "main", "wiped"}
	make13 := map[string]func() *Schedule13{
		"early": func() *Schedule13 { return NewSchedule13(crypto.SHA256, nil) },
		"handshake": func() *Schedule13 {
			s := NewSchedule13(crypto.SHA256, nil)
			s.EnterHandshake([]byte("shared"))
			return s
		},
		"main": func() *Schedule13 {
			s := NewSchedule13(crypto.SHA256, nil)
			s.EnterHandshake([]byte("shared"))
			s.EnterMaster()
			return s
		},
		"wiped": func() *Schedule13 {
			s := NewSchedule13(crypto.SHA256, nil)
			s.Wipe()
			return s
		},
	}
	for _, test := range []struct {
		name string
		at   string
		call func(*Schedule13)
	}{
		{"BinderKey", "early", func(s *Schedule13) { s.BinderKey(true) }},
		{"ClientEarlyTraffic", "early", func(s *Schedule13) { s.ClientEarlyTraffic(th) }},
		{"EnterHandshake", "early", func(s *Schedule13) { s.EnterHandshake(nil) }},
		{"ClientHandshakeTraffic", "handshake", func(s *Schedule13) { s.ClientHandshakeTraffic(th) }},
		{"ServerHandshakeTraffic", "handshake", func(s *Schedule13) { s.ServerHandshakeTraffic(th) }},
		{"EnterMaster", "handshake", func(s *Schedule13) { s.EnterMaster() }},
		{"ClientApplicationTraffic", "main", func(s *Schedule13) { s.ClientApplicationTraffic(th) }},
		{"ServerApplicationTraffic", "main", func(s *Schedule13) { s.ServerApplicationTraffic(th) }},
		{"ExporterMaster", "main", func(s *Schedule13) { s.ExporterMaster(th) }},
		{"ResumptionMaster", "main", func(s *Schedule13) { s.ResumptionMaster(th) }},
	} {
		for _, stage := range at {
			if got, want := panics(func() { test.call(make13[stage]()) }), stage != test.at; got != want {
				t.Errorf("%s at the %s secret: panic %v, want %v", test.name, stage, got, want)
			}
		}
	}
}

// RFC 8446, Section 7.1: "Once all the values which are to be derived from a given
// secret have been computed, that secret SHOULD be erased."
func TestSchedule13Erases(t *testing.T) {
	s := NewSchedule13(crypto.SHA384, []byte("a PSK"))
	zeros := make([]byte, crypto.SHA384.Size())
	for _, step := range []struct {
		name string
		take func()
	}{
		{"EnterHandshake", func() { s.EnterHandshake([]byte("shared")) }},
		{"EnterMaster", s.EnterMaster},
		{"Wipe", s.Wipe},
	} {
		secret := s.secret
		if bytes.Equal(secret, zeros) {
			t.Fatalf("secret is zero before %s", step.name)
		}
		step.take()
		if !bytes.Equal(secret, zeros) {
			t.Errorf("secret is %x after %s", secret, step.name)
		}
	}
}

// The inputs stay the caller's, who may need a PSK for another handshake.
func TestSchedule13LeavesItsInputs(t *testing.T) {
	psk, shared := []byte("a PSK"), []byte("a shared secret")
	s := NewSchedule13(crypto.SHA256, psk)
	s.EnterHandshake(shared)
	s.EnterMaster()
	s.Wipe()
	if string(psk) != "a PSK" || string(shared) != "a shared secret" {
		t.Errorf("inputs are %q, %q", psk, shared)
	}
}

func TestTraffic13Wipe(t *testing.T) {
	keys := TrafficKeys13(crypto.SHA256, bytes.Repeat([]byte{7}, 32), 16)
	parts := [][]byte{keys.Key, keys.IV, keys.SN}
	for i, n := range []int{16, 12, 16} {
		if len(parts[i]) != n || bytes.Equal(parts[i], make([]byte, n)) {
			t.Fatalf("part %d is %x", i, parts[i])
		}
	}
	keys.Wipe()
	for i, part := range parts {
		if !bytes.Equal(part, make([]byte, len(part))) {
			t.Errorf("part %d is %x after Wipe", i, part)
		}
	}
}

// Nothing that is derived from one secret equals anything else.
func TestSecretsAreApart(t *testing.T) {
	h, th := crypto.SHA256, emptyHash(crypto.SHA256)
	s := NewSchedule13(h, nil)
	all := [][]byte{s.BinderKey(true), s.BinderKey(false), s.ClientEarlyTraffic(th)}
	s.EnterHandshake(nil)
	all = append(all, s.ClientHandshakeTraffic(th), s.ServerHandshakeTraffic(th))
	s.EnterMaster()
	client, server := s.ClientApplicationTraffic(th), s.ServerApplicationTraffic(th)
	all = append(all, client, server, s.ExporterMaster(th), s.ResumptionMaster(th))
	for range 5 {
		client, server = NextTraffic13(h, client), NextTraffic13(h, server)
		all = append(all, client, server)
	}
	keys := TrafficKeys13(h, client, 32)
	all = append(all, keys.Key, keys.SN, TicketPSK13(h, server, []byte{0}), TicketPSK13(h, server, []byte{1}))
	for i, secret := range all {
		if j := slices.IndexFunc(all, func(b []byte) bool { return bytes.Equal(b, secret) }); j != i {
			t.Errorf("secrets %d and %d are the same: %x", j, i, secret)
		}
	}
}

func ExampleSchedule13() {
	const h = crypto.SHA256
	var hello, finished Transcript // of the connection, up to ServerHello and server's Finished
	s := NewSchedule13(h, nil)
	defer s.Wipe()

	s.EnterHandshake([]byte("what the key exchange yielded"))
	secret := s.ServerHandshakeTraffic(hello.Sum(h))
	keys := TrafficKeys13(h, secret, 16) // for epoch 2
	verifyData := VerifyData13(h, secret, finished.Sum(h))

	s.EnterMaster()
	next := NextTraffic13(h, s.ServerApplicationTraffic(finished.Sum(h)))
	fmt.Println(len(keys.Key), len(keys.IV), len(keys.SN), len(verifyData), len(next))
	// Output: 16 12 16 32 32
}
