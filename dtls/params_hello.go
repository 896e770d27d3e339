package dtls

import (
	"context"
	"crypto/tls"
	"net"
	"reflect"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/handshake"
	"github.com/flightpath-dtls/flightpath/internal/transport"
)

// wrapHello puts the time-out of callbacks around GetConfigForClient and
// GetCertificate.
func (p *params) wrapHello(c *Config) {
	timeout := c.CallbackTimeout
	if timeout <= 0 {
		timeout = defaultCallbackTimeout
	}
	if get := c.GetConfigForClient; get != nil {
		p.ForClient = func(info *tls.ClientHelloInfo, from handshake.HelloSource) (*handshake.Config, error) {
			ctx, cancel := callbackContext(timeout, from.Proven)
			defer cancel()
			setContext(info, ctx)
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
	if get := c.GetCertificate; get != nil {
		p.GetCertificate = func(info *tls.ClientHelloInfo) (*tls.Certificate, error) {
			ctx, cancel := callbackContext(timeout, false)
			defer cancel()
			setContext(info, ctx)
			return get(info)
		}
	}
}

func callbackContext(timeout time.Duration, proven bool) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithValue(context.Background(), addressIsProven{}, proven), timeout)
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

// setContext sets what info.Context returns. crypto/tls has no other way to do
// it; if a version of Go moves the field, the context stays nil.
func setContext(info *tls.ClientHelloInfo, ctx context.Context) {
	field := reflect.ValueOf(info).Elem().FieldByName("ctx")
	if !field.IsValid() || field.Type() != reflect.TypeFor[context.Context]() {
		return
	}
	reflect.NewAt(field.Type(), field.Addr().UnsafePointer()).Elem().Set(reflect.ValueOf(ctx))
}
