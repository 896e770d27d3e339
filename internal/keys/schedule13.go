package keys

import (
	"crypto"
	"fmt"
)

// Schedule13 is the left side of the figure in RFC 8446, Section 7.1: one secret
// that becomes another as the handshake learns more, and yields the traffic
// secrets on the way.
//
//	            0
//	            |
//	PSK ---> Extract = early secret        NewSchedule13
//	            |                            BinderKey, ClientEarlyTraffic
//	            v
//	(EC)DHE -> Extract = handshake secret  EnterHandshake
//	            |                            ClientHandshakeTraffic, …
//	            v
//	0 -----> Extract = main secret         EnterMaster
//	                                         ClientApplicationTraffic, …
//
// Each step down overwrites the secret it leaves behind: "Once all the values
// which are to be derived from a given secret have been computed, that secret
// SHOULD be erased." A secret asked for at the wrong step panics: it would be a
// key that no peer shares, or one that anybody can compute.
//
// RFC 9846 calls the main secret what RFC 8446 calls the master secret; the
// labels kept the old word.
type Schedule13 struct {
	hash   crypto.Hash
	at     stage13
	secret []byte
	labels *expander13 // of the secret; nil: none was derived yet
}

type stage13 uint8

const (
	wiped13 stage13 = iota
	early13
	handshake13
	master13
)

// NewSchedule13 starts with the early secret of a PSK. Nil means none: then as
// many zero bytes as the hash is long take its place. The hash is the cipher
// suite's, and the one the PSK belongs to.
func NewSchedule13(h crypto.Hash, psk []byte) *Schedule13 {
	if psk == nil {
		psk = make([]byte, h.Size())
	}
	return &Schedule13{hash: h, at: early13, secret: extract13(h, nil, psk)}
}

// EnterHandshake takes the secret of the key exchange. Nil means none (psk_ke).
func (s *Schedule13) EnterHandshake(shared []byte) {
	s.enter(handshake13, shared)
}

// EnterMaster goes on to the secret of the connection itself.
func (s *Schedule13) EnterMaster() {
	s.enter(master13, nil)
}

// enter takes the step to the next stage.
func (s *Schedule13) enter(next stage13, input []byte) {
	s.must(next - 1)
	if input == nil {
		input = make([]byte, s.hash.Size())
	}
	salt := s.derive(s.at, "derived", emptyHash(s.hash))
	Wipe(s.secret)
	s.at, s.secret, s.labels = next, extract13(s.hash, salt, input), nil
	Wipe(salt)
}

// BinderKey returns the base secret of a PSK's binder, see [VerifyData13]. A PSK
// of a ticket is not external. RFC 8446, Section 7.1: "The different labels
// prevent the substitution of one type of PSK for the other."
func (s *Schedule13) BinderKey(external bool) []byte {
	label := "res binder"
	if external {
		label = "ext binder"
	}
	return s.derive(early13, label, emptyHash(s.hash))
}

// ClientEarlyTraffic returns the secret of 0-RTT data. The transcript hash goes
// up to the ClientHello.
func (s *Schedule13) ClientEarlyTraffic(transcriptHash []byte) []byte {
	return s.derive(early13, "c e traffic", transcriptHash)
}

// ClientHandshakeTraffic returns the secret a client protects its handshake
// messages with. The transcript hash goes up to the ServerHello.
func (s *Schedule13) ClientHandshakeTraffic(transcriptHash []byte) []byte {
	return s.derive(handshake13, "c hs traffic", transcriptHash)
}

// ServerHandshakeTraffic is the server's [Schedule13.ClientHandshakeTraffic].
func (s *Schedule13) ServerHandshakeTraffic(transcriptHash []byte) []byte {
	return s.derive(handshake13, "s hs traffic", transcriptHash)
}

// ClientApplicationTraffic returns the client's first secret for application
// data. The transcript hash goes up to the server's Finished. [NextTraffic13]
// makes those that follow.
func (s *Schedule13) ClientApplicationTraffic(transcriptHash []byte) []byte {
	return s.derive(master13, "c ap traffic", transcriptHash)
}

// ServerApplicationTraffic is the server's [Schedule13.ClientApplicationTraffic].
func (s *Schedule13) ServerApplicationTraffic(transcriptHash []byte) []byte {
	return s.derive(master13, "s ap traffic", transcriptHash)
}

// ExporterMaster returns the secret of [Exporter13]. The transcript hash goes up
// to the server's Finished.
func (s *Schedule13) ExporterMaster(transcriptHash []byte) []byte {
	secret := s.derive(master13, "exp master", transcriptHash)
	s.labels = nil // the resumption secret is derived a round trip later, if at all
	return secret
}

// ResumptionMaster returns the secret of [TicketPSK13]. The transcript hash goes
// up to the client's Finished.
func (s *Schedule13) ResumptionMaster(transcriptHash []byte) []byte {
	return s.derive(master13, "res master", transcriptHash)
}

// Wipe overwrites the secret. The schedule is of no use afterwards.
func (s *Schedule13) Wipe() {
	Wipe(s.secret)
	*s = Schedule13{hash: s.hash}
}

func (s *Schedule13) derive(at stage13, label string, transcriptHash []byte) []byte {
	s.must(at)
	if s.labels == nil {
		s.labels = newExpander13(s.hash, s.secret)
	}
	return s.labels.expand(label, transcriptHash, s.hash.Size())
}

func (s *Schedule13) must(at stage13) {
	if s.at != at {
		panic(fmt.Sprintf("keys: key schedule is at the %s secret, not at the %s secret", s.at, at))
	}
}

func (at stage13) String() string {
	return [...]string{wiped13: "wiped", early13: "early", handshake13: "handshake", master13: "main"}[at]
}
