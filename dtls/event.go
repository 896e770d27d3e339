package dtls

import "net/netip"

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

// events is a small queue; Data of a dropped batch is never kept.
type events struct {
	q    []Event
	head int
}

func (e *events) push(ev Event) { e.q = append(e.q, ev) }

func (e *events) pop() (Event, bool) {
	if e.head == len(e.q) {
		e.q, e.head = e.q[:0], 0
		return Event{}, false
	}
	ev := e.q[e.head]
	e.q[e.head] = Event{}
	e.head++
	return ev, true
}

// forgetData drops data events that the owner did not poll in time.
func (e *events) forgetData() {
	kept := e.q[:0]
	for _, ev := range e.q[e.head:] {
		if ev.Kind != EventData {
			kept = append(kept, ev)
		}
	}
	clear(e.q[len(kept):])
	e.q, e.head = kept, 0
}
