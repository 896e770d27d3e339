package main

import (
	"bytes"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/flightpath-dtls/flightpath/dtls"
)

// summarize prints what was negotiated, in one Write. What the peer chose
// freely is quoted: it may hold anything.
func (o *peerOptions) summarize(out io.Writer, headline string, c *dtls.Conn) error {
	s := c.ConnectionState()
	var b bytes.Buffer
	fmt.Fprintln(&b, headline)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(w, "  %s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	row("version", "%s", dtls.VersionName(s.Version))
	row("suite", "%s", dtls.CipherSuiteName(s.CipherSuite))
	if s.DidResume {
		row("resumed", "yes: authenticated by an earlier association")
	}
	if s.CurveID != 0 {
		row("group", "%s", groupName(s.CurveID))
	}
	if s.Version == dtls.VersionDTLS12 && !s.ExtendedMasterSecret {
		row("master secret", "not extended: the peer, or -ems, is without RFC 7627")
	}
	if s.NegotiatedProtocol != "" {
		row("ALPN", "%q", s.NegotiatedProtocol)
	}
	if len(s.PeerCertificates) > 0 {
		leaf := s.PeerCertificates[0]
		verified := "verified"
		if len(s.VerifiedChains) == 0 {
			verified = "not verified"
		}
		row("peer certificate", "%q, %s", leaf.Subject.String(), verified)
		row("  SHA-256", "%s", fingerprint(leaf.Raw))
	}
	if s.PSKIdentity != nil {
		row("PSK identity", "%q", s.PSKIdentity)
	}
	path := c.PathMTU()
	row("path MTU", "%d bytes of UDP payload, said by %s", path.MTU, path.Source)
	row("MaxData", "%d bytes in one Write", c.MaxData())
	var err error
	if o.exporter != "" {
		var material []byte
		if material, err = c.ExportKeyingMaterial(o.exporter, nil, o.exporterLen); err == nil {
			row("exporter "+o.exporter, "%x", material)
		}
	}
	_ = w.Flush() // into b
	_, _ = out.Write(b.Bytes())
	return err
}
