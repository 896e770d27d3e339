package interop

import "strings"

// Identity is a kind of identity that goes with a pre-shared key. RFC 4279,
// Section 5.1 wants UTF-8, and Section 5.3 up to 128 bytes of it; what devices
// use is any bytes.
type Identity uint8

const (
	NoIdentity   Identity = iota // certificates
	TextIdentity                 // a word
	LongIdentity                 // 128 bytes of text
	OddIdentity                  // bytes that are no UTF-8
	ZeroIdentity                 // with zero bytes inside and at the end
)

func (i Identity) String() string {
	return [...]string{"certificates", "text", "128-bytes", "no-UTF-8", "zero-bytes"}[i]
}

func (i Identity) bytes() []byte {
	switch i {
	case LongIdentity:
		return []byte(strings.Repeat("lamp-7 ", 19)[:128])
	case OddIdentity:
		return []byte("lamp-\xff\xfe\x80\xc3")
	case ZeroIdentity:
		return []byte("lamp\x00-7\x00")
	default:
		return []byte("lamp-7")
	}
}

// PSKPeer is a Peer that has pre-shared keys, too.
type PSKPeer interface {
	Peer
	PSK() Abilities
}

// Abilities are what a peer can do with pre-shared keys.
type Abilities struct {
	Suites     []uint16
	Identities []Identity
	Hints      bool // its server can send one
}

// pskMTUs: handshakes without certificates fit into either.
var pskMTUs = []int{1232, 300}

// PSKCases returns what to run with a peer and pre-shared keys, as Cases does.
func PSKCases(peer PSKPeer) []Case { return pskCasesOf(peer, rowsOf) }

func pskCasesOf(peer PSKPeer, rowsOf func(levels []int) [][]int) []Case {
	a, limits := peer.PSK(), limitsOf(peer)
	var cases []Case
	seen := make(map[string]bool)
	for _, r := range rowsOf([]int{2, len(a.Suites), len(a.Identities), 2, len(pskMTUs), 2}) {
		c := Case{
			WeServe:  r[0] == 1,
			Suite:    a.Suites[r[1]],
			Identity: a.Identities[r[2]],
			Hint:     r[3] == 1,
			MTU:      pskMTUs[r[4]],
			Loss:     r[5] == 1,
		}
		c.Hint = c.Hint && (c.WeServe || a.Hints)
		c.Loss = c.Loss && (c.WeServe || !limits.SaysOnce)
		if !seen[c.Name()] {
			seen[c.Name()] = true
			cases = append(cases, c)
		}
	}
	return cases
}

// credentials are what both sides of a case have.
func (c Case) credentials() *PSK {
	psk := &PSK{Identity: c.Identity.bytes(), Key: []byte("a key of 32 bytes, as many as fit")[:32]}
	if c.Hint {
		psk.Hint = []byte("which lamp")
	}
	return psk
}
