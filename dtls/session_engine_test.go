package dtls

import (
	"errors"
	"testing"

	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
)

// TestEngineUsesCache: an Engine takes its session out of the ClientSessionCache and
// puts new ones into it, as a Conn does.
func TestEngineUsesCache(t *testing.T) {
	client, server := simConfigs13(dtlstest.P256, 0)
	client.ClientSessionCache = NewClientSessionCache(0)
	for try := range 4 {
		s := newSim(t, client, server)
		s.handshake()
		s.settle()
		e := s.eng[clientSide]
		if got := e.ConnectionState().DidResume; got != (try > 0) {
			t.Errorf("association %d has resumed: %v", try, got)
		}
		if _, err := e.Session(); !errors.Is(err, ErrNoSession) {
			t.Errorf("a session is in the cache and in the engine: %v", err)
		}
		for _, kind := range s.events[clientSide] {
			if kind == EventSession {
				t.Error("an event tells of a session that the cache has")
			}
		}
	}
	if client.ClientSessionCache.Take("another name") != nil || client.ClientSessionCache.Take(client.ServerName) == nil {
		t.Error("sessions are not kept by ServerName")
	}
}
