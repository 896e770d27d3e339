package dtls

import (
	"net/netip"

	"github.com/flightpath-dtls/flightpath/internal/ring"
)

// EventKind is the kind of an Event.
type EventKind uint8

// Kinds of events.
const (
	EventEstablished EventKind = iota + 1 // the handshake is complete, Write works from here on
	EventData                             // one application record: Data
	EventWarning                          // a warning alert of the peer: Err is an *AlertError
	EventLargePacket                      // the flight does not fit the path, SetMTU resumes it: Err is a *LargePacketError
	EventMTU                              // what is known of the path changed: Path
	EventClosed                           // the peer sent close_notify: nothing numbered after it is delivered
	EventSession                          // the server gave the client something to resume with: Engine.Session
	EventKeysUpdated                      // DTLS 1.3: the peer has acknowledged our KeyUpdate, new keys are in use
)

var eventNames = [...]string{
	0: "none", EventEstablished: "established", EventData: "data", EventWarning: "warning", EventLargePacket: "large packet",
	EventMTU: "mtu", EventClosed: "closed", EventSession: "session", EventKeysUpdated: "keys updated",
}

func (k EventKind) String() string {
	if int(k) >= len(eventNames) {
		k = 0
	}
	return eventNames[k]
}

// Event is something the engine's owner should know. Data aliases the datagram
// handed to HandleDatagram and is valid until the next HandleDatagram,
// HandleTimeout or Close.
type Event struct {
	Kind EventKind
	Data []byte
	Err  error
	Path PathInfo
}

// Transmit is one datagram to send.
type Transmit struct {
	Data    []byte         // the datagram; aliases dst of PollTransmit
	To      netip.AddrPort // where to; invalid: the association's only peer
	ID      uint64         // names it in TransmitRefused
	Segment int            // 0: one datagram
}

// events are those that the owner has not polled yet.
type events struct{ ring.FIFO[Event] }

func (e *events) push(ev Event) { e.Push(ev) }

// forgetData drops data events that the owner did not poll in time.
func (e *events) forgetData() { e.Keep(func(ev Event) bool { return ev.Kind != EventData }) }
