package dtls

import (
	"time"

	"github.com/flightpath-dtls/flightpath/internal/handshake"
)

// The engine's part in the keys of DTLS 1.3: how they come into force, and when
// those of an epoch before end.

// Epochs of DTLS 1.3 (RFC 9147, Section 6.1).
const (
	epochHandshake = handshake.EpochHandshake
	epochData      = handshake.EpochData // the first of those for data
)

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
	if !e.established13() || uint16(n.Epoch) <= e.post.seenEpoch {
		return
	}
	updated := e.post.seenEpoch >= epochData
	e.post.seenEpoch = uint16(n.Epoch)
	if updated {
		e.keys.RetireAt(e.now.Add(keepOld))
	}
}

// retireKeys ends the keys whose time has come.
func (e *Engine) retireKeys(now time.Time) {
	if at := e.keys.Retirement(); at.IsZero() || now.Before(at) || !e.established13() {
		return
	}
	e.keys.RetireAt(time.Time{})
	e.keys.CloseReadBefore(max(e.post.seenEpoch, epochData))
}

// superseded reports whether the peer needs the keys of an epoch no more. RFC 9147,
// Section 4.5.3: "Once a key update has been initiated, the previous keys can be
// dropped when the limit is reached rather than closing the connection." The server
// has had the client's last flight; a client drops epoch 2 by itself when its own is
// acknowledged.
func (e *Engine) superseded(epoch uint64) bool {
	return e.established13() && (epoch >= epochData || !e.p.IsClient) && epoch < uint64(e.post.peerEpoch)
}
