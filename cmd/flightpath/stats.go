package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/flightpath-dtls/flightpath/dtls"
)

// printStats prints what a listener has done.
func printStats(out io.Writer, s dtls.ListenerStats) {
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	row := func(name string, values ...any) {
		fmt.Fprintf(w, "  %s\t%s\n", name, strings.TrimSpace(fmt.Sprintln(values...)))
	}
	fmt.Fprintln(&b, "statistics")
	refused := s.HandshakesRefused + s.AssociationsRefused + s.PrefixRefused
	row("handshakes", s.HandshakesDone, "complete,", s.HandshakesFailed, "failed,", s.HandshakesShed, "given up for others,", refused, "refused,", s.HandshakesOpen, "open")
	row("associations", s.Associations, "established now,", s.BacklogDropped, "closed unaccepted,", s.IdleClosed, "closed idle")
	row("cookies", s.CookiesSent, "sent,", s.CookiesRefused, "refused")
	row("strangers", s.StrangersDropped, "datagrams dropped")
	row("received", s.DatagramsIn, "datagrams,", s.BytesIn, "bytes,", s.InboxDropped, "too fast for a handshake")
	row("sent", s.DatagramsOut, "datagrams,", s.BytesOut, "bytes")
	row("dropped records", s.Drops)
	_ = w.Flush() // into b
	_, _ = out.Write(b.Bytes())
}
