package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/flightpath-dtls/flightpath/dtls"
)

// tracing prints the life of an association, one line for each event:
//
//	   0.2 ms  → client_hello  1 datagram, 137 bytes, MTU 1232; again in 1s
//	   0.9 ms  ← hello_verify_request  message 0, 23 bytes
//	1001.3 ms  ↻ client_hello  timer expired, 1 time
//	2002.1 ms  ✗ 1232 bytes refused  the path takes 548
//
// The lines of a listener's associations mix, and begin with the peer's address.
type tracing struct {
	out   io.Writer
	start time.Time
	peer  string // "" if there is only one

	mu             sync.Mutex
	sent, received string // last, message names
}

func newTracing(out io.Writer) *tracing { return &tracing{out: out, start: time.Now()} }

func (t *tracing) line(mark, what, format string, args ...any) {
	at := float64(time.Since(t.start)) / float64(time.Millisecond)
	text := fmt.Sprintf(format, args...)
	if text != "" {
		text = "  " + text
	}
	who := ""
	if t.peer != "" {
		who = t.peer + "  "
	}
	fmt.Fprintf(t.out, "%8.1f ms  %s%s %s%s\n", at, who, mark, what, text)
}

// each returns what Config.Trace of a listener wants.
func (t *tracing) each() *dtls.Trace {
	return &dtls.Trace{Peer: func(peer dtls.PeerInfo) *dtls.Trace {
		its := &tracing{out: t.out, start: t.start, peer: peer.Name}
		return its.hooks()
	}}
}

// hooks returns what Config.Trace of one association wants.
func (t *tracing) hooks() *dtls.Trace {
	return &dtls.Trace{
		Flight: t.flight, Message: t.message, Retransmission: t.retransmission,
		Dropped: func(d dtls.Drops, size int) { t.line("✗", "dropped", "%s, in a datagram of %d bytes", d, size) },
		Refused: t.refused,
		MTU: func(p dtls.PathInfo) {
			t.line("•", fmt.Sprintf("MTU %d", p.MTU), "said by %s", p.Source)
		},
		Alert: t.alert,
		Keys: func(epoch, id uint16) {
			t.line("•", fmt.Sprintf("keys of epoch %d", epoch), "%s", dtls.CipherSuiteName(id))
		},
		Established: func(s dtls.ConnectionState) { t.line("•", "established", "%s", dtls.VersionName(s.Version)) },
		Ended: func(err error) {
			if errors.Is(err, net.ErrClosed) {
				t.line("•", "closed", "")
				return
			}
			t.line("•", "ended", "%v", err)
		},
	}
}

func (t *tracing) flight(f dtls.FlightInfo) {
	size := "1 datagram"
	if f.Datagrams != 1 {
		size = fmt.Sprintf("%d datagrams", f.Datagrams)
	}
	text := fmt.Sprintf("%s, %d bytes", size, f.Bytes)
	if f.Datagrams > 1 {
		text += fmt.Sprintf(", largest %d", f.Largest)
	}
	text += fmt.Sprintf(", MTU %d", f.MTU)
	if f.Transmission > 1 {
		text += fmt.Sprintf(", transmission %d", f.Transmission)
	}
	if f.Timeout > 0 {
		text += fmt.Sprintf("; again in %v", f.Timeout.Round(time.Millisecond))
	}
	t.mu.Lock()
	t.sent = f.Messages
	t.mu.Unlock()
	t.line("→", f.Messages, "%s", text)
}

func (t *tracing) message(m dtls.MessageInfo, err error) {
	text := fmt.Sprintf("message %d, %d bytes", m.Seq, m.Size)
	if m.Epoch > 0 {
		text += ", encrypted"
	}
	if err != nil {
		text += fmt.Sprintf("; refused: %v (awaited: %s)", err, m.Awaited)
	}
	t.mu.Lock()
	t.received = m.Name
	t.mu.Unlock()
	t.line("←", m.Name, "%s", text)
}

func (t *tracing) retransmission(r dtls.RetransmissionInfo) {
	text := r.Cause.String()
	if r.Cause == dtls.TimerExpired {
		text += fmt.Sprintf(", %d in a row", r.Tries)
	}
	t.line("↻", r.Messages, "%s", text)
}

func (t *tracing) refused(size, hint int) {
	text := "the transport does not say what would pass"
	if hint > 0 {
		text = fmt.Sprintf("the path takes %d", hint)
	}
	t.line("✗", fmt.Sprintf("%d bytes refused", size), "%s", text)
}

func (t *tracing) alert(a dtls.AlertError) {
	mark, level := "→", "fatal"
	if a.Remote {
		mark = "←"
	}
	if a.Warning {
		level = "warning"
	}
	t.line(mark, "alert "+a.Alert.String(), "%s", level)
}

// lastWords says where a failed handshake stood.
func (t *tracing) lastWords() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	const nothing = "nothing"
	return fmt.Sprintf("last sent: %s; last received: %s", cmp.Or(t.sent, nothing), cmp.Or(t.received, nothing))
}
