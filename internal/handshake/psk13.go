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
	"github.com/flightpath-dtls/flightpath/internal/suite"
)

// Pre-shared keys of DTLS 1.3 (RFC 8446, Section 4.2.11): external ones, and
// those of tickets.

// offeredPSK is a key that a hello offers.
type offeredPSK struct {
	identity []byte
	key      []byte
	hash     crypto.Hash // a key belongs to one
	age      uint32      // obfuscated, of a ticket
	session  *Session    // nil: external
}

// externalHash is that of keys which come without one: RFC 8446, Section 4.2.11,
// "set to the same hash as [...] SHA-256 if no such algorithm is defined".
const externalHash = crypto.SHA256

// offeredPSKs collects what a client can offer: a session to resume, and the
// keys of ClientPSK.
func (p *Config) offeredPSKs(now time.Time) ([]offeredPSK, error) {
	var list []offeredPSK
	if s := p.TakeSession(now); s != nil {
		list = append(list, offeredPSK{
			identity: s.Ticket, key: s.Secret, hash: s.suite.Hash, age: s.obfuscatedAge(now), session: s,
		})
	}
	if p.ClientPSKs == nil {
		return list, nil
	}
	psks, err := p.ClientPSKs(p.ServerName, nil)
	if err != nil {
		return nil, err
	}
	for _, k := range psks {
		if len(k.Key) == 0 || len(k.Key) > maxPSK || len(k.Identity) == 0 || len(k.Identity) > maxIdentity13 {
			return nil, ErrBadPSK
		}
		list = append(list, offeredPSK{identity: k.Identity, key: k.Key, hash: externalHash})
	}
	return list, nil
}

// maxIdentity13 leaves room for the rest of the extension.
const maxIdentity13 = 1<<16 - 256

// ErrBadPSK is a fault of the Config.
var ErrBadPSK = fmt.Errorf("ClientPSK returned a key that DTLS 1.3 cannot offer: identities have 1 to %d bytes, keys 1 to %d", maxIdentity13, maxPSK)

// bindPSKs puts pre-shared keys into a hello, each with a binder over the hello
// before them and what went before that (RFC 8446, Section 4.2.11.2).
func bindPSKs(h *message.ClientHello, psks []offeredPSK, before []byte) error {
	h.PSKs, h.Binders, h.PSKModes = nil, nil, nil
	if !h.HasKeyShares {
		return nil // DTLS 1.2 only
	}
	h.PSKModes = []byte{message.PSKModeDHEKE}
	if len(psks) == 0 {
		return nil
	}
	for _, k := range psks {
		h.PSKs = append(h.PSKs, message.PSKIdentity{Identity: k.identity, ObfuscatedAge: k.age})
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

// choosePSK13 finds the first key of a hello that the server knows and that the
// suite can use. body is that of the hello, before the transcript up to it. nil:
// there is none. An unknown external identity gets a random key where nothing but a
// key could authenticate the server: its binder is wrong then, as with a wrong key.
//
// The binder of a ticket is checked before its chain is verified. A ticket that was
// copied from the wire has no right binder, and a chain takes more work than a
// handshake without tickets, up to maxOffered times.
func choosePSK13(hs *Handshake, p *Config, h *message.ClientHello, s *suite.Suite, before, body []byte) (k *offeredPSK, index int, err error) {
	for i := range h.PSKs[:min(len(h.PSKs), maxOffered)] {
		id := &h.PSKs[i]
		if old := p.openTicket(id.Identity, p.ValidAt(hs.link.Now())); old != nil {
			if !old.fits(p, h, s) {
				continue
			}
			k := &offeredPSK{identity: id.Identity, key: old.Secret, hash: old.suite.Hash, session: old}
			if err := k.checkBinder(h, i, before, body); err != nil {
				return nil, 0, err
			}
			if p.stillTrusts(old.Chain, p.ValidAt(hs.link.Now())) {
				return k, i, nil
			}
			continue
		}
		if p.ServerPSK == nil || s.Hash != externalHash {
			continue
		}
		key, err := p.findPSK(PSKQuery{bytes.Clone(id.Identity), h.ServerName, hs.link.Peer()})
		if err == nil && key == nil && !p.UsesCertificates() {
			key, err = p.decoyPSK()
		}
		if err != nil {
			return nil, 0, err
		}
		if key != nil {
			return &offeredPSK{identity: bytes.Clone(id.Identity), key: key, hash: externalHash}, i, nil
		}
	}
	return nil, 0, nil
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
