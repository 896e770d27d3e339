package handshake

import (
	"bytes"
	"crypto"
	"crypto/hmac"
	"fmt"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/keys"
	"github.com/flightpath-dtls/flightpath/internal/message"
)

// Pre-shared keys of DTLS 1.3 (RFC 8446, Section 4.2.11): external ones, and
// those of tickets.

// offeredPSK is a key that a hello offers.
type offeredPSK struct {
	identity []byte
	key      []byte
	hash     crypto.Hash // a key belongs to one
	session  *Session    // nil: external
}

// externalHash is that of keys which come without one: RFC 8446, Section 4.2.11,
// "set to the same hash as [...] SHA-256 if no such algorithm is defined".
const externalHash = crypto.SHA256

// offeredPSKs collects what a client can offer: a session to resume, and the
// keys of ClientPSK. old is a session of DTLS 1.2.
func (hs *Handshake) offeredPSKs() (list []offeredPSK, old *Session, err error) {
	p, now := hs.Config, hs.now()
	var psks []PSK
	ask := func() []PSK {
		if p.ClientPSKs != nil && psks == nil {
			psks, err = p.ClientPSKs(hs.context(), p.ServerName, nil)
		}
		return psks
	}
	if p.Offers(message.Version13) {
		if ask(); err != nil {
			return nil, nil, err
		}
	}
	if s := p.TakeSession(ask, now); s != nil && s.suite.Is13() {
		list = append(list, offeredPSK{identity: s.Ticket, key: s.Secret, hash: s.suite.Hash, session: s})
	} else {
		old = s
	}
	if !p.Offers(message.Version13) {
		return nil, old, nil // the key exchange asks for the keys again, with the hint of the server
	}
	for _, k := range psks {
		if len(k.Identity) == 0 && p.Offers(message.Version12) {
			continue // legal in DTLS 1.2 alone (RFC 4279, Section 2)
		}
		if len(k.Key) == 0 || len(k.Key) > maxPSK || len(k.Identity) == 0 || len(k.Identity) > maxIdentity13 {
			return nil, nil, ErrBadPSK
		}
		list = append(list, offeredPSK{identity: k.Identity, key: k.Key, hash: externalHash})
	}
	return list, old, nil
}

// maxIdentity13 leaves room for the rest of the extension.
const maxIdentity13 = 1<<16 - 256

// ErrBadPSK is a fault of the Config.
var ErrBadPSK = fmt.Errorf("ClientPSK returned a key that DTLS 1.3 cannot offer: identities have 1 to %d bytes, keys 1 to %d", maxIdentity13, maxPSK)

// bindPSKs puts pre-shared keys into a hello, each with a binder over the hello
// before them and what went before that (RFC 8446, Section 4.2.11.2). RFC 8446,
// Section 4.1.2: a second hello is made by "recomputing the "obfuscated_ticket_age"
// and binder values".
func bindPSKs(h *message.ClientHello, psks []offeredPSK, before []byte, now time.Time) error {
	h.PSKs, h.Binders, h.PSKModes = nil, nil, nil
	if !h.HasKeyShares {
		return nil // DTLS 1.2 only
	}
	h.PSKModes = []byte{message.PSKModeDHEKE}
	if len(psks) == 0 {
		return nil
	}
	for _, k := range psks {
		id := message.PSKIdentity{Identity: k.identity}
		if k.session != nil {
			id.ObfuscatedAge = k.session.obfuscatedAge(now)
		}
		h.PSKs = append(h.PSKs, id)
		h.Binders = append(h.Binders, make([]byte, k.hash.Size()))
	}
	body, err := h.AppendBody(nil)
	if err != nil {
		return err
	}
	for i := range psks {
		h.Binders[i] = psks[i].binder(before, body, h.BindersLen())
	}
	return nil
}

// binder computes one, over the transcript before the hello and the hello's body
// without its last bytes, those of all binders.
func (k *offeredPSK) binder(before, body []byte, binders int) []byte {
	schedule := keys.NewSchedule13(k.hash, k.key)
	defer schedule.Wipe()
	base := schedule.BinderKey(k.session == nil)
	defer keys.Wipe(base)
	sum := k.hash.New()
	sum.Write(before)
	sum.Write(message.AppendHeader13(nil, message.TypeClientHello, len(body)))
	sum.Write(body[:len(body)-binders])
	return keys.VerifyData13(k.hash, base, sum.Sum(nil))
}

// maxOffered bounds the identities that a server looks at: each may cost a
// decryption or a look-up.
const maxOffered = 8

// choosePSK finds the first key of a hello that the server knows and that the suite can
// use, and checks its binder. body is that of the hello, before the transcript up to
// it. RFC 8446, Section 4.2.11: "Any unknown PSKs [...] SHOULD simply be ignored." Where
// nothing but a key could authenticate the server, and none is known, a random key
// stands for all of them: its binder is wrong, as with a wrong key.
//
// The binder of a ticket is checked before its claims are. A ticket that was copied
// from the wire has no right binder, and the claims take more work than a handshake
// without tickets, up to maxOffered times.
func (c *choice13) choosePSK(hs *Handshake, p *Config, h *message.ClientHello, before, body []byte) (k *offeredPSK, index int, err error) {
	var find func(PSKQuery) (*PSK, error)
	look := func(identity []byte) ([]byte, error) {
		return findPSK(find, PSKQuery{bytes.Clone(identity), h.ServerName, hs.link.Peer()})
	}
	if p.ServerPSK != nil && len(h.PSKs) > 0 {
		begun, done := p.ServerPSK(hs.context())
		defer done()
		find = begun
	}
	now, external := p.ValidAt(hs.link.Now()), find != nil && c.Suite.Hash == externalHash
	for i := range h.PSKs[:min(len(h.PSKs), maxOffered)] {
		k := &offeredPSK{identity: bytes.Clone(h.PSKs[i].Identity), hash: externalHash}
		if k.session = p.openTicket(k.identity, now); k.session != nil {
			// RFC 8446, Section 4.2.11: a key belongs to one hash.
			if !k.session.suite.Is13() || k.session.suite.Hash != c.Suite.Hash || !k.session.fits(p, h, c.alpn) {
				continue
			}
			k.key, k.hash = k.session.Secret, k.session.suite.Hash
		} else if external {
			if k.key, err = look(k.identity); err != nil {
				return nil, 0, err
			}
		}
		if k.key == nil {
			continue
		}
		if err := k.checkBinder(h, i, before, body); err != nil {
			return nil, 0, err
		}
		if k.session == nil || k.session.holds(p, look, now) {
			return k, i, nil
		}
	}
	if len(h.PSKs) == 0 || !external || p.UsesCertificates() {
		return nil, 0, nil
	}
	decoy, err := p.decoyPSK()
	if err != nil {
		return nil, 0, err
	}
	return nil, 0, (&offeredPSK{key: decoy, hash: externalHash}).checkBinder(h, 0, before, body)
}

// checkBinder: RFC 8446, Section 4.2.11: "Prior to accepting PSK key
// establishment, the server MUST validate the corresponding binder value."
func (k *offeredPSK) checkBinder(h *message.ClientHello, index int, before, body []byte) error {
	want := k.binder(before, body, h.BindersLen())
	if !hmac.Equal(h.Binders[index], want) {
		return alert.Errorf(alert.DecryptError, "the binder of a pre-shared key is wrong")
	}
	return nil
}
