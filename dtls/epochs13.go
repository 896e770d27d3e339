package dtls

import (
	"time"

	"github.com/flightpath-dtls/flightpath/internal/handshake"
	"github.com/flightpath-dtls/flightpath/internal/keys"
	"github.com/flightpath-dtls/flightpath/internal/suite"
	"github.com/flightpath-dtls/flightpath/record"
)

// The engine's part in the keys of DTLS 1.3: how they come into force, and when
// those of an epoch before end.

// Epochs of DTLS 1.3 (RFC 9147, Section 6.1).
const (
	epochHandshake = handshake.EpochHandshake
	epochData      = handshake.EpochData // the first of those for data
)

// speaks13 reports whether DTLS 1.3 is agreed on, or asked for by the server.
func (e *Engine) speaks13() bool { return e.state.Version == VersionDTLS13 }

// installWrite13 and installRead13 derive the keys of an epoch from its traffic
// secret (RFC 8446, Section 7.3).
func (k *epochs) installWrite13(s *suite.Suite, epoch uint16, secret []byte) error {
	t := keys.TrafficKeys13(s.Hash, secret, s.AEAD.KeyLen())
	defer t.Wipe()
	seal, err := record.NewSealer13(s.AEAD, t.Key, t.IV, t.SN, uint64(epoch))
	if err == nil {
		k.setSeal(epoch, sealer13{seal})
	}
	return err
}

func (k *epochs) installRead13(s *suite.Suite, epoch uint16, secret []byte, window int) error {
	open, err := newOpener13(s, epoch, secret, window)
	if err == nil {
		k.setRead(readEpoch{epoch: epoch, v13: open})
	}
	return err
}

func newOpener13(s *suite.Suite, epoch uint16, secret []byte, window int) (*record.Opener13, error) {
	t := keys.TrafficKeys13(s.Hash, secret, s.AEAD.KeyLen())
	defer t.Wipe()
	return record.NewOpener13(s.AEAD, t.Key, t.IV, t.SN, uint64(epoch), window)
}

// limitRecords13: both sides have sent record_size_limit, the peer with that
// value; 0: it has not. RFC 8449, Section 4: in DTLS 1.3 the limit counts the
// content type, which stands in each record.
func (e *Engine) limitRecords13(limit uint16) {
	if limit == 0 {
		return
	}
	e.peerLimit = min(int(limit)-1, record.MaxPlaintext)
	if e.p.RecordSizeLimit > 0 {
		e.ownLimit = e.p.RecordSizeLimit - 1
	}
}

// peerOverLimit reports whether a record has more content than we take.
func (e *Engine) peerOverLimit(n int) bool { return e.ownLimit > 0 && n > e.ownLimit }

// keepOld is how long keys stay for records that were overtaken by those of the
// next epoch; keepHandshake, how long a server keeps those of the handshake to
// acknowledge the client's last flight again: RFC 9147, Section 5.8.1 has "at
// least twice the default MSL", which is two minutes (RFC 9293, Section 3.4.1).
const (
	keepOld       = 10 * time.Second
	keepHandshake = 4 * time.Minute
)

// opened13 notes that a record opened. RFC 9147, Section 8: "receivers MUST
// retain the pre-update keying material until receipt and successful decryption
// of a message using the new keys"; a while longer for those that were overtaken.
// Those of the handshake have a time of their own: that data comes, after a
// Finished that was repeated, does not say that the ACK of it has arrived.
func (e *Engine) opened13(n recordNumber) {
	if e.post == nil || uint16(n.Epoch) <= e.post.seenEpoch {
		return
	}
	updated := e.post.seenEpoch >= epochData
	e.post.seenEpoch = uint16(n.Epoch)
	if updated {
		e.keys.retire = e.now.Add(keepOld)
	}
}

// retireKeys ends the keys whose time has come.
func (e *Engine) retireKeys(now time.Time) {
	if e.keys.retire.IsZero() || now.Before(e.keys.retire) || e.post == nil {
		return
	}
	e.keys.retire = time.Time{}
	e.keys.closeReadBefore(max(e.post.seenEpoch, epochData))
}
