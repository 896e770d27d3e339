package main

import (
	"bytes"
	"encoding/hex"
	"strings"
	"sync"

	"github.com/flightpath-dtls/flightpath/internal/keys"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/internal/suite"
	"github.com/flightpath-dtls/flightpath/record"
)

// unsealer opens protected records of DTLS 1.3 with the secrets of the demo's own
// key log, so that the timeline can name what is in them. It is the KeyLogWriter
// of the client.
type unsealer struct {
	mu      sync.Mutex
	suite   *suite.Suite
	secrets [2]map[uint8][]byte           // by side and epoch
	openers [2]map[uint8]*record.Opener13 // likewise, made when first needed
}

// Epochs of DTLS 1.3 (RFC 9147, Section 6.1).
const (
	epochHandshake = 2
	epochData      = 3
)

// Write takes lines of a key log.
func (u *unsealer) Write(p []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for line := range strings.Lines(string(p)) {
		f := strings.Fields(line)
		if len(f) != 3 {
			continue
		}
		secret, err := hex.DecodeString(f[2])
		if err != nil {
			continue
		}
		switch f[0] {
		case keys.LabelClientHandshake:
			u.keep(client, epochHandshake, secret)
		case keys.LabelServerHandshake:
			u.keep(server, epochHandshake, secret)
		case keys.LabelClientTraffic0:
			u.keep(client, epochData, secret)
		case keys.LabelServerTraffic0:
			u.keep(server, epochData, secret)
		}
	}
	return len(p), nil
}

func (u *unsealer) keep(from side, epoch uint8, secret []byte) {
	if u.secrets[from] == nil {
		u.secrets[from] = make(map[uint8][]byte)
		u.openers[from] = make(map[uint8]*record.Opener13)
	}
	u.secrets[from][epoch] = secret
}

// sawServerHello learns the suite.
func (u *unsealer) sawServerHello(body []byte) {
	m, err := message.Parse(message.TypeServerHello, 0, bytes.Clone(body))
	if err != nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.suite = suite.Lookup(m.(*message.ServerHello).CipherSuite)
}

// open returns what is in a record; ok is false for what the key log has no
// secret for, and for a record that was seen before.
func (u *unsealer) open(from side, r record.Unified) (typ record.ContentType, plaintext []byte, ok bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	o := u.opener(from, r.EpochBits)
	if o == nil {
		return 0, nil, false
	}
	r.Header, r.Body = bytes.Clone(r.Header), bytes.Clone(r.Body) // the relay's own stay as they are
	typ, plaintext, _, err := o.Open(r)
	return typ, plaintext, err == nil
}

func (u *unsealer) opener(from side, epoch uint8) *record.Opener13 {
	if o := u.openers[from][epoch]; o != nil {
		return o
	}
	secret := u.secrets[from][epoch]
	if secret == nil || u.suite == nil || !u.suite.Is13() {
		return nil
	}
	t := keys.TrafficKeys13(u.suite.Hash, secret, u.suite.AEAD.KeyLen())
	o, err := record.NewOpener13(u.suite.AEAD, t.Key, t.IV, t.SN, uint64(epoch), record.MinWindow)
	if err != nil {
		return nil
	}
	u.openers[from][epoch] = o
	return o
}
