package dtls

import (
	"context"
	"net"

	"github.com/flightpath-dtls/flightpath/internal/deadline"
	"github.com/flightpath-dtls/flightpath/internal/transport"
)

// Dial connects to address, such as "example.com:4433", and returns when the
// handshake is complete. network is "udp", "udp4", "udp6" or another one that
// keeps message boundaries. config may be nil; its ServerName, if empty, is
// taken from address.
//
// Dial runs the handshake by itself: it skips warning alerts of the peer, and
// Config.OnLargePacket decides about datagrams that the path refuses; MTUManual needs
// that callback here. Config.HandshakeTimeout bounds the handshake. If the port is closed
// the error matches syscall.ECONNREFUSED, see Config.IgnoreUnreachable.
func Dial(network, address string, config *Config) (*Conn, error) {
	d := Dialer{Config: config}
	return d.dial(context.Background(), network, address)
}

// Dialer dials with options for the socket. Its methods may be called
// concurrently.
type Dialer struct {
	// NetDialer opens the socket; nil: a zero one. Its Timeout and Deadline
	// bound the handshake too.
	NetDialer *net.Dialer
	// Config may be nil; see Dial.
	Config *Config
}

// Dial is DialContext without a context.
func (d *Dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

// DialContext is Dial that gives up when ctx ends, with an error that matches
// ErrInterrupted, ctx.Err() and context.Cause(ctx). Once it has returned, ctx
// has no effect. The dynamic type of the net.Conn is *Conn.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := d.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (d *Dialer) dial(ctx context.Context, network, address string) (*Conn, error) {
	if transport.IsStream(network) {
		return nil, &net.OpError{Op: "dial", Net: network, Err: net.UnknownNetworkError(network)}
	}
	config := withServerName(d.Config, transport.Host(address))
	switch p, err := resolve(config, true); { // before a name is looked up
	case err != nil:
		return nil, err
	case p.needsDriver():
		return nil, errManualDial
	}
	dialer := d.NetDialer
	if dialer == nil {
		dialer = new(net.Dialer)
	}
	if dialer.Timeout != 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, dialer.Timeout)
		defer cancel()
	}
	if !dialer.Deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, dialer.Deadline)
		defer cancel()
	}
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c := Client(conn, config)
	c.hs = &opening{p: c.hs.p, dials: c.sock.IsUDP()}
	return c.dialed(ctx)
}

// dialed runs the handshake of a Conn that is dialed.
func (c *Conn) dialed(ctx context.Context) (*Conn, error) {
	err := c.handshake(ctx, deadline.Either, true)
	if err == nil && ctx.Err() != nil {
		err = interrupted(ctx) // while a callback ran
	}
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

var (
	errManualDial = badConfig("with MTUManual, Dial needs OnLargePacket to decide what to do when a datagram is refused; or use Client, and SetMTU when Handshake returns ErrLargePacket")

	errManualListen = badConfig("with MTUManual, Accept needs OnLargePacket to decide what to do when a datagram is refused; or use AcceptHandshake, and SetMTU when Handshake returns ErrLargePacket")
)

// withServerName returns config, which may be nil, with a ServerName: its own, or host.
func withServerName(config *Config, host string) *Config {
	if config == nil {
		config = &Config{}
	}
	config = config.Clone()
	if config.ServerName == "" {
		config.ServerName = host
	}
	return config
}
