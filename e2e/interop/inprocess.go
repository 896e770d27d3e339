package interop

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
)

// goConn is what the versions of pion call a connection.
type goConn interface {
	net.Conn
	HandshakeContext(ctx context.Context) error
}

// inProcess is the part of an [Endpoint] that runs on goroutines of the test. What
// was agreed upon is for each library to say.
type inProcess[C goConn] struct {
	mu        sync.Mutex
	conn      C
	connected bool // the handshake is complete
	heard     []string
	err       error // why it ended
}

// run opens a connection, completes its handshake and reads until the end of
// the test.
func (e *inProcess[C]) run(t testing.TB, open func() (C, error)) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		err := e.converse(ctx, open)
		e.mu.Lock()
		e.err = err
		e.mu.Unlock()
	}()
	t.Cleanup(func() {
		cancel()
		if conn, ok := e.connection(); ok {
			conn.Close()
		}
		<-ended
	})
}

// serve is run for the first connection of a listener.
func (e *inProcess[C]) serve(t testing.TB, l net.Listener) {
	e.run(t, func() (conn C, err error) {
		accepted, err := l.Accept()
		if err != nil {
			return conn, err
		}
		return accepted.(C), nil
	})
	// Cleanups run last to first: the listener ends before run is waited for.
	t.Cleanup(func() { l.Close() })
}

func (e *inProcess[C]) converse(ctx context.Context, open func() (C, error)) error {
	conn, err := open()
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.HandshakeContext(ctx); err != nil {
		return err
	}
	e.mu.Lock()
	e.conn, e.connected = conn, true
	e.mu.Unlock()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	buf := make([]byte, 1<<14)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return err
		}
		e.mu.Lock()
		e.heard = append(e.heard, string(buf[:n]))
		e.mu.Unlock()
	}
}

// connection returns what the handshake has given, if it is complete.
func (e *inProcess[C]) connection() (conn C, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.conn, e.connected
}

func (e *inProcess[C]) Established() bool {
	_, ok := e.connection()
	return ok
}

func (e *inProcess[C]) Say(line string) error {
	conn, ok := e.connection()
	if !ok {
		return errors.New("no connection")
	}
	_, err := conn.Write([]byte(line + "\n"))
	return err
}

func (e *inProcess[C]) Failed() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.err
}

func (e *inProcess[C]) Echoes() bool { return false }

func (e *inProcess[C]) Heard(line string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, h := range e.heard {
		if strings.Contains(h, line) {
			return true
		}
	}
	return false
}

func (e *inProcess[C]) Log() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return fmt.Sprintf("pion: connected %v, heard %q, ended with %v", e.connected, e.heard, e.err)
}
