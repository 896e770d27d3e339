package main

import (
	"bytes"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/flightpath-dtls/flightpath/dtls"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/internal/suite"
)

// report is what a run comes to.
type report struct {
	options
	log            *timeline
	handshake      time.Duration
	state          dtls.ConnectionState // the client's
	mtu            [2]int               // by side, in force at the end
	exportersEqual bool
}

// compare looks at both ends of the established association.
func (r *report) compare(c, s *dtls.Conn) error {
	r.state = c.ConnectionState()
	r.mtu = [2]int{client: c.MTU(), server: s.MTU()}
	const label = "EXPORTER-flightpath-demo"
	ours, err := c.ExportKeyingMaterial(label, nil, 32)
	if err != nil {
		return fmt.Errorf("client: %w", err)
	}
	theirs, err := s.ExportKeyingMaterial(label, nil, 32)
	if err != nil {
		return fmt.Errorf("server: %w", err)
	}
	r.exportersEqual = bytes.Equal(ours, theirs)
	return nil
}

// tally is what one side sent.
type tally struct {
	datagrams, bytes int // that were handed to the path
	largest          int // that crossed
	fates            [refused + 1]int
}

func tallies(events []event) (t [2]tally) {
	for _, e := range events {
		s := &t[e.from]
		s.fates[e.fate]++
		if e.fate == refused {
			continue
		}
		s.datagrams++
		s.bytes += len(e.datagram)
		if e.fate == arrived {
			s.largest = max(s.largest, len(e.datagram))
		}
	}
	return t
}

func (r *report) print(out io.Writer) {
	t := tallies(r.log.recorded())
	c, s := t[client], t[server]
	sent := &r.log.sent
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	row := func(name, format string, a, b any) {
		fmt.Fprintf(w, "  %s\t"+format+"\t"+format+"\n", name, a, b)
	}
	fmt.Fprintf(w, "  \tclient\tserver\n")
	row("datagrams sent", "%d", c.datagrams, s.datagrams)
	row("bytes sent", "%d", c.bytes, s.bytes)
	row("largest that crossed", "%d", c.largest, s.largest)
	row("refused with EMSGSIZE", "%d", c.fates[refused], s.fates[refused])
	row("swallowed, lost", "%s", fmt.Sprintf("%d, %d", c.fates[swallowed], c.fates[lost]), fmt.Sprintf("%d, %d", s.fates[swallowed], s.fates[lost]))
	row("certificate fragments", "%d", sent[client].fragments(message.TypeCertificate), sent[server].fragments(message.TypeCertificate))
	row("flights sent again", "%d", sent[client].retransmissions(client), sent[server].retransmissions(server))
	row("handshake bytes sent twice", "%d", sent[client].repeated, sent[server].repeated)
	row("MTU at the end", "%d", r.mtu[client], r.mtu[server])
	_ = w.Flush()
	equal := "equal"
	if !r.exportersEqual {
		equal = "different"
	}
	fmt.Fprintf(out, "\n  %s, %s, %s, handshake in %.1f ms, exporters %s\n",
		dtls.VersionName(r.state.Version), suite.Name(r.state.CipherSuite), r.state.CurveID,
		float64(r.handshake)/float64(time.Millisecond), equal)
}
