package dtls

import (
	"context"
	"errors"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/deadline"
)

// UpdateKeys changes the keys of an association of DTLS 1.3 (RFC 9147, Section
// 8), and asks the peer to change its own if requestPeer is set. It returns nil
// once the peer has acknowledged ours and they are in use; several calls at once
// are one update or two. ErrAgain, when the write deadline has passed, and
// ErrInterrupted leave the update under way. If the peer sends records but
// acknowledges none of Retransmit.MaxTries transmissions, the error is another one that
// is not fatal: the keys before stay in use, and the next call tries again. In DTLS 1.2, which
// has no key updates, it is an error. Keys are changed by themselves long before
// their limits.
func (c *Conn) UpdateKeys(ctx context.Context, requestPeer bool) error {
	if err := c.handshake(ctx, deadline.Write, true); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.unlock()
	if err := c.end.returned(); err != nil { // Close may have come between
		return err
	}
	stop := context.AfterFunc(ctx, c.interrupt)
	defer stop()
	before := c.eng.keysUpdated()
	if err := c.eng.UpdateKeys(time.Now(), requestPeer); err != nil {
		return err
	}
	c.rearm()
	c.turn.ask()
	c.drain(context.Background())
	for {
		switch {
		case c.end.returned() != nil:
			return c.end.returned()
		case c.end.left:
			return errPeerClosed
		case c.eng.keysUpdated() > before:
			return nil
		case c.eng.keysKept():
			return errKeysKept
		case ctx.Err() != nil:
			return interrupted(ctx)
		case c.expired(deadline.Write):
			return ErrAgain
		}
		c.wait()
	}
}

// Rehandshake does what a second call of the handshake function means in other
// libraries. A client of DTLS 1.3 updates its keys and asks the server to do the
// same: UpdateKeys(ctx, true). For a server of DTLS 1.3 it is a success that does
// nothing. With DTLS 1.2 it would be a renegotiation, which this library refuses
// on both sides with an error that is not fatal.
func (c *Conn) Rehandshake(ctx context.Context) error {
	if err := c.handshake(ctx, deadline.Either, false); err != nil {
		return err
	}
	c.mu.Lock()
	version, isClient := c.eng.ConnectionState().Version, c.eng.p.IsClient
	c.mu.Unlock()
	switch {
	case version != VersionDTLS13:
		return errNoRenegotiation
	case isClient:
		return c.UpdateKeys(ctx, true)
	}
	return nil
}

var errNoRenegotiation = errors.New("dtls: renegotiation of DTLS 1.2 is not spoken here")

// Session returns the newest session of a client that was not returned before, for
// Config.Session of another association: a secret. The error is ErrNoSession if
// there is none: servers of DTLS 1.3 send tickets after the handshake, so one may
// come later; Config.OnSession is called then. Sessions that go to OnSession or to
// ClientSessionCache are not returned here.
func (c *Conn) Session() ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.end.returned(); err != nil {
		return nil, err
	}
	if c.hs != nil {
		return nil, ErrNoSession
	}
	return c.eng.Session()
}
