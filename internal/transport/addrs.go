package transport

import (
	"errors"
	"net"
	"time"
)

// Addrs is a net.Conn that has addresses and nothing else: the Conn of a
// tls.ClientHelloInfo.
type Addrs struct{ Local, Remote net.Addr }

var _ net.Conn = Addrs{}

// LocalAddr and RemoteAddr return the addresses; every other method fails.
func (a Addrs) LocalAddr() net.Addr  { return a.Local }
func (a Addrs) RemoteAddr() net.Addr { return a.Remote }

func (Addrs) Read([]byte) (int, error)         { return 0, errAddrs }
func (Addrs) Write([]byte) (int, error)        { return 0, errAddrs }
func (Addrs) SetDeadline(time.Time) error      { return errAddrs }
func (Addrs) SetReadDeadline(time.Time) error  { return errAddrs }
func (Addrs) SetWriteDeadline(time.Time) error { return errAddrs }
func (Addrs) Close() error                     { return errAddrs }

var errAddrs = errors.New("dtls: the Conn of a ClientHelloInfo has addresses only")
