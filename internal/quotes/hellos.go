package quotes

import "time"

// Hellos compares the quotes of ICMP messages "port unreachable" with the ClientHellos that
// were sent. Of each transmission it keeps
//
//	datagram: | type, version | record number | lengths, …, client_version | random…
//	                 3           8 bytes, kept             16                8 bytes from 27, kept
//
// An attacker off the path can guess all of it but the random. The record number differs
// between transmissions. One message may be about a server that is just being restarted; a
// second one, about another transmission, shows that the port is still closed.
type Hellos struct {
	at     uint16
	sent   [8]helloMark
	last   uint16 // transmission of the newest
	quoted uint16 // transmission that a message has quoted; 0: none

	of  uint16 // transmission that is repeated when due
	due time.Time

	hastened bool // a message with a short quote has brought a repetition forward
}

type helloMark struct {
	mark
	transmission uint16 // counted from 1; 0: none
}

const (
	epochAt   = 3
	messageAt = 13 // behind the header of the record
	offsetAt  = messageAt + 6

	handshakeRecord = 22
	clientHello     = 1

	randomAt = 27 // behind the headers of record and message, and client_version

	// HelloQuote is the least length of a quote with enough of the random, in bytes of
	// UDP payload.
	HelloQuote = randomAt + 8

	// helloRepeat is the time between a ClientHello and its repetition after a message
	// about a closed port: the next message is to be about another transmission.
	helloRepeat = 250 * time.Millisecond
)

// Note adds a datagram that was sent in a transmission, if it begins with the start of a
// ClientHello. A nil Hellos keeps none.
func (h *Hellos) Note(datagram []byte, transmission int) {
	if h == nil || len(datagram) < HelloQuote || [2]byte(datagram[epochAt:]) != [2]byte{} ||
		datagram[0] != handshakeRecord || datagram[messageAt] != clientHello || [3]byte(datagram[offsetAt:]) != [3]byte{} {
		return
	}
	h.last = uint16(transmission)
	h.sent[h.at] = helloMark{helloMarkOf(datagram), h.last}
	h.at = (h.at + 1) % uint16(len(h.sent))
}

func helloMarkOf(datagram []byte) mark {
	return mark{[8]byte(datagram[numberAt:]), [8]byte(datagram[randomAt:])}
}

// Closed takes a message about a closed port, and what that quotes, which may be nothing.
// It reports whether two such messages have quoted different transmissions. sentAt is the
// time of the last transmission.
func (h *Hellos) Closed(quoted []byte, sentAt time.Time) bool {
	if len(quoted) < HelloQuote {
		if !h.hastened {
			h.hastened = true
			h.hasten(sentAt)
		}
		return false
	}
	switch n := h.transmission(helloMarkOf(quoted)); {
	case n == 0: // forged, or old
	case h.quoted == 0:
		h.quoted = n
		h.hasten(sentAt)
	default:
		return h.quoted != n
	}
	return false
}

// transmission is the one that m is of, 0: none.
func (h *Hellos) transmission(m mark) uint16 {
	for _, s := range h.sent {
		if s.transmission != 0 && s.mark == m {
			return s.transmission
		}
	}
	return 0
}

func (h *Hellos) hasten(sentAt time.Time) { h.due, h.of = sentAt.Add(helloRepeat), h.last }

// NextTimeout is when a repetition is due, the zero time for never.
func (h *Hellos) NextTimeout() time.Time {
	if h == nil {
		return time.Time{}
	}
	return h.due
}

// Due reports, once, whether the ClientHello is to be repeated now. It is not if a timer
// has repeated it meanwhile.
func (h *Hellos) Due(now time.Time) bool {
	if h == nil || h.due.IsZero() || now.Before(h.due) {
		return false
	}
	h.due = time.Time{}
	return h.of == h.last
}
