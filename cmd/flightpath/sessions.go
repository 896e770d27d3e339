package main

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/flightpath-dtls/flightpath/dtls"
)

// sessions has the newest session of an association, which the server may give
// at any time after the handshake (RFC 8446, Section 4.6.1).
type sessions chan []byte

func newSessions() sessions { return make(sessions, 1) }

// add is Config.OnSession. It never blocks: one goroutine calls it at a time.
func (s sessions) add(_ *dtls.Conn, session []byte) {
	select {
	case <-s: // an older one
	default:
	}
	s <- session
}

// newest returns the newest session that has come, nil if none has.
func (s sessions) newest() []byte {
	select {
	case session := <-s:
		return session
	default:
		return nil
	}
}

// sessionPatience is how long -reconnect waits for a session. A server repeats
// a lost ticket after 1 s.
const sessionPatience = 5 * time.Second

var errNoSession = errors.New("-reconnect: the server gave no session to resume")

// await returns the next session that comes.
func (s sessions) await(ctx context.Context, c *dtls.Conn) ([]byte, error) {
	if c.ConnectionState().Version == dtls.VersionDTLS12 { // its ticket comes with the handshake
		if session := s.newest(); session != nil {
			return session, nil
		}
		return nil, errNoSession
	}
	timer := time.NewTimer(sessionPatience)
	defer timer.Stop()
	select {
	case session := <-s:
		return session, nil
	case <-timer.C:
		return nil, errNoSession
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// sessionFile keeps a session from one run to the next; "" keeps none.
type sessionFile string

// sessionBlock is the type of the PEM block: a file that is something else must
// not be taken for a session, and overwritten.
const sessionBlock = "FLIGHTPATH SESSION"

// load returns the session, nil if there is no file.
func (f sessionFile) load() ([]byte, error) {
	if f == "" {
		return nil, nil
	}
	content, err := os.ReadFile(string(f))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("-session: %w", err)
	}
	block, _ := pem.Decode(content)
	if block == nil || block.Type != sessionBlock {
		return nil, badUsage("-session %s: this file is not a session; name another one, or remove it", f)
	}
	return block.Bytes, nil
}

// drop forgets a session that was offered: a second offer of the same ticket
// would let observers link the two (RFC 8446, Appendix C.4).
func (f sessionFile) drop() error {
	if f == "" {
		return nil
	}
	if err := os.Remove(string(f)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("-session: %w", err)
	}
	return nil
}

// store replaces the file as a whole. Only its owner may read it.
func (f sessionFile) store(session []byte) error {
	temporary, err := os.CreateTemp(filepath.Dir(string(f)), filepath.Base(string(f))+".*") // mode 0600
	if err == nil {
		err = errors.Join(pem.Encode(temporary, &pem.Block{Type: sessionBlock, Bytes: session}), temporary.Close())
		if err == nil {
			err = os.Rename(temporary.Name(), string(f))
		}
		if err != nil {
			_ = os.Remove(temporary.Name())
		}
	}
	if err != nil {
		return fmt.Errorf("-session: %w", err)
	}
	return nil
}
