package transport

import (
	"errors"
	"log/slog"
	"net"
	"runtime/debug"
)

// Reader is where the datagrams of a Socket go. Its functions report whether the
// Socket is read on.
type Reader struct {
	Take  func(datagram []byte, from Addr) bool
	Fault func(err error) bool // of the transport; it is closed if IsClosed
}

// Serve reads the socket until a function of r has had enough, or the transport is
// closed. User code that panics below Take, or ends the goroutine, does not end the
// reading: the panic is logged, and another goroutine goes on. A transport that does so
// is closed.
func (s *Socket) Serve(r Reader) {
	receiving, done := false, false
	defer func() {
		switch {
		case done:
		case receiving:
			r.Fault(&Error{Err: errPanicked, Closed: true})
		default:
			go s.Serve(r)
		}
	}()
	defer s.Recovered()
	buf := make([]byte, ReadBuffer)
	var slow BackOff
	var peer net.Addr
	if s.conn != nil {
		peer = s.conn.RemoteAddr()
	}
	for {
		receiving = true
		n, from, err := s.Receive(buf)
		receiving = false
		if peer != nil {
			from = Addr{Net: peer}
		}
		switch {
		case err == nil:
			slow = 0
			if s.PassForeign(buf[:n], from) || r.Take(buf[:n], from) {
				continue
			}
			done = true
			return
		case IsClosed(err):
			done = true
			r.Fault(&Error{Err: err, Closed: true})
			return
		case !r.Fault(err):
			done = true
			return
		}
		slow.Pause()
	}
}

var errPanicked = errors.New("its method has panicked or ended the goroutine")

// SetLogger sets where Recovered logs; nil: to the default of log/slog.
func (s *Socket) SetLogger(l *slog.Logger) { s.logger = l }

// Recovered is deferred where user code runs on a goroutine of the library: it ends a
// panic and logs it with its stack.
func (s *Socket) Recovered() {
	v := recover()
	if v == nil {
		return
	}
	defer func() { _ = recover() }() // of the logger
	logger := s.logger
	if logger == nil {
		logger = slog.Default()
	}
	logger.Error("dtls: a function of the Config or a method of the transport has panicked", "value", v, "stack", string(debug.Stack()))
}
