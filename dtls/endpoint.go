package dtls

import (
	"context"
	"errors"
	"net"

	"github.com/flightpath-dtls/flightpath/internal/transport"
)

// Endpoint shares one socket among associations that it dials, associations that
// it accepts, and other protocols: nodes that are client and server at once,
// such as CoAP's, or DTLS beside STUN and RTP. One goroutine reads the socket
// for all of them.
//
// An address may have one association that was dialed and one that was accepted.
// Both live, also if their handshakes ran at the same time. (The Certificate
// messages of two DTLS 1.2 handshakes look alike in plaintext. Each association then
// receives those of the other too, and discards them unless PlaintextAlerts is
// AlertsImmediate.)
//
// All methods may be called concurrently.
type Endpoint struct {
	shard   *shard
	members *members
	config  *Config
}

// NewEndpoint reads pc from now on, which may be any transport that keeps
// message boundaries; its addresses and errors are as with NewListener. Writing to
// it directly is fine, reading it is not: Config.NonDTLS receives what is not DTLS.
//
// Dial and Listen use config when they are called with nil. It is an error if it
// suits neither.
func NewEndpoint(pc net.PacketConn, config *Config) (*Endpoint, error) {
	if config == nil {
		config = &Config{}
	}
	_, asClient := resolve(withServerName(config, "host"), true)
	_, asServer := resolve(config, false)
	if asClient != nil && asServer != nil {
		return nil, errors.Join(asClient, asServer)
	}
	s := newShard(pc, config.NonDTLS, config.Logger)
	s.members.open()
	go s.read()
	return &Endpoint{shard: s, members: s.members, config: config}, nil
}

// Dial makes an association with raddr and returns when the handshake is
// complete, which runs on the caller's goroutine. On a UDP socket raddr is a
// *net.UDPAddr. config may be nil, for that of NewEndpoint; its ServerName, if
// empty, is the host of raddr. The same holds as for the function Dial.
//
// If ctx ends first the error matches ErrInterrupted, ctx.Err() and
// context.Cause(ctx), and the association is closed; afterwards ctx has no effect.
// While an association dialed to raddr lives the error is ErrAlreadyDialed, and
// after Close it matches net.ErrClosed.
func (e *Endpoint) Dial(ctx context.Context, raddr net.Addr, config *Config) (*Conn, error) {
	if config == nil {
		config = e.config
	}
	p, err := resolve(withServerName(config, transport.Host(raddr.String())), true)
	switch {
	case err != nil:
		return nil, err
	case p.needsDriver():
		return nil, errManualDial
	}
	peer := peerAddr{AP: transport.AddrPort(raddr), Net: raddr}
	if e.shard.sock.IsUDP() {
		if peer.Net = nil; !peer.AP.IsValid() {
			return nil, &net.AddrError{Err: "dtls: a UDP socket needs a *net.UDPAddr", Addr: raddr.String()}
		}
	}
	c := &Conn{sock: e.shard.sock, peer: peer, hs: &opening{p: p, dials: e.shard.sock.IsUDP()}}
	lingering, err := e.members.dial(c)
	if err != nil {
		return nil, err
	}
	if lingering != nil {
		lingering.close(false)
	}
	return c.dialed(ctx)
}

// Listen accepts associations on the socket. config may be nil, for that of
// NewEndpoint. An Endpoint has one Listener at a time; when that is closed,
// there may be another. Its Stats count the traffic of the whole socket.
func (e *Endpoint) Listen(config *Config) (*Listener, error) {
	if config == nil {
		config = e.config
	}
	p, err := resolve(config, false)
	if err != nil {
		return nil, err
	}
	return e.members.listen(p)
}

// LocalAddr is the address of the socket.
func (e *Endpoint) LocalAddr() net.Addr { return e.shard.sock.LocalAddr() }

// Close sends a close_notify, best effort, on every association, accepted and
// dialed, and closes them, the Listener and the socket. It returns at once; a
// second Close does nothing.
func (e *Endpoint) Close() error {
	all, l := e.members.end()
	if l != nil {
		_ = l.Close()
	}
	for _, c := range all {
		c.close(false)
	}
	e.shard.close()
	return nil
}
