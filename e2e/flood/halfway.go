package main

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/flightpath-dtls/flightpath/dtls"
)

// halfway takes a client as far as its second hello, which brings the cookie
// back: the server has begun a handshake then. Nothing else is ever sent by
// itself. The hello is repeated until the server says something that is no
// cookie.
func halfway(ctx context.Context, v *victim) (*net.UDPConn, error) {
	raw, err := v.dial()
	if err != nil {
		return nil, err
	}
	if err := bringCookie(ctx, raw, v.config()); err != nil {
		return nil, errors.Join(err, raw.Close())
	}
	return raw, raw.SetReadBuffer(2048) // nobody reads on
}

func bringCookie(ctx context.Context, raw *net.UDPConn, config *dtls.Config) error {
	const again = 200 * time.Millisecond
	engine, err := dtls.NewClientEngine(config, time.Now())
	if err != nil {
		return err
	}
	buf := make([]byte, 2048)
	for cookies := 0; ctx.Err() == nil; {
		for tx, ok := engine.PollTransmit(time.Now(), nil); ok; tx, ok = engine.PollTransmit(time.Now(), nil) {
			if _, err := raw.Write(tx.Data); err != nil {
				return err
			}
		}
		if err := raw.SetReadDeadline(time.Now().Add(again)); err != nil {
			return err
		}
		n, err := raw.Read(buf)
		var timeout net.Error
		switch {
		case errors.As(err, &timeout) && timeout.Timeout():
			err = engine.HandleTimeout(time.Now())
		case err == nil && cookies > 0:
			return nil // the server's flight
		case err == nil:
			cookies++
			err = engine.HandleDatagram(time.Now(), buf[:n], netip.AddrPort{})
		}
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}
