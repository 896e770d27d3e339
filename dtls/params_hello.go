package dtls

import (
	"cmp"
	"context"
	"crypto/tls"
	"net"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/handshake"
	"github.com/flightpath-dtls/flightpath/internal/transport"
)

// wrapHello puts the time-out of callbacks around those that get an info of
// crypto/tls.
func (p *params) wrapHello(c *Config) {
	timeout := cmp.Or(max(c.CallbackTimeout, 0), defaultCallbackTimeout)
	if get := c.GetConfigForClient; get != nil {
		p.ForClient = func(info *tls.ClientHelloInfo, from handshake.HelloSource) (*handshake.Config, error) {
			parent := cmp.Or(from.Context, context.Background())
			ctx, cancel := context.WithTimeout(context.WithValue(parent, addressIsProven{}, from.Proven), timeout)
			defer cancel()
			handshake.SetContext(info, ctx)
			if info.Conn, _ = from.Conn.(net.Conn); info.Conn == nil {
				info.Conn = transport.Addrs{Local: net.UDPAddrFromAddrPort(from.Local), Remote: net.UDPAddrFromAddrPort(from.Remote)}
			}
			other, err := get(info)
			if other == nil || err != nil {
				return nil, err
			}
			resolved, err := resolve(other, false)
			if err != nil {
				return nil, err
			}
			if p.Tickets != nil && resolved.Tickets != nil && !resolved.Tickets.IsSet() {
				resolved.Tickets = p.Tickets
			}
			resolved.OfClient = true
			return &resolved.Config, nil
		}
	}
	p.GetCertificate = withInfo(timeout, c.GetCertificate)
	p.GetClientCertificate = withInfo(timeout, c.GetClientCertificate)
}

// withInfo puts a context into the info of a callback of crypto/tls, which may be nil.
func withInfo[Info tls.ClientHelloInfo | tls.CertificateRequestInfo](
	timeout time.Duration, get func(*Info) (*tls.Certificate, error),
) func(context.Context, *Info) (*tls.Certificate, error) {
	if get == nil {
		return nil
	}
	return func(parent context.Context, info *Info) (*tls.Certificate, error) {
		ctx, cancel := context.WithTimeout(parent, timeout)
		defer cancel()
		handshake.SetContext(info, ctx)
		return get(info)
	}
}

type addressIsProven struct{} // key of a context's value

// AddressIsProven reports, in Config.GetConfigForClient, whether the RemoteAddr of
// the ClientHello belongs to its sender. ctx is the Context of the
// tls.ClientHelloInfo. False says that the hello came without a cookie: its sender
// may have invented the address, so it is not to be banned, and nothing is to be
// counted by it.
func AddressIsProven(ctx context.Context) bool {
	proven, _ := ctx.Value(addressIsProven{}).(bool)
	return proven
}
