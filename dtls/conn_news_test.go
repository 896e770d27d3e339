package dtls

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
	"github.com/flightpath-dtls/flightpath/record"
)

// What reaches the owner of a Conn beside its data: sessions, secrets, and refusals of
// datagrams that no call of its own has sent.

// connect makes an association between two Configs, over memory.
func connect(t *testing.T, clientConfig, serverConfig *Config) (client, server *Conn, a, b *memConn) {
	t.Helper()
	a, b = newMemNet().pair()
	client, server = Client(a, clientConfig), Server(b, serverConfig)
	if err := shake(client, server); err != nil {
		t.Fatal(err)
	}
	return client, server, a, b
}

// TestOnSession: the sessions of a server go to OnSession, with the Conn they are from,
// and each is good for an association; Session does not return them as well.
func TestOnSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clientConfig, serverConfig := simConfigs13(dtlstest.P256, 0)
		var got [][]byte
		var from *Conn
		clientConfig.OnSession = func(c *Conn, session []byte) {
			_ = c.MTU() // no lock is held
			got, from = append(got, session), c
		}
		client, server, _, _ := connect(t, clientConfig, serverConfig)
		mustWrite(t, server, "after the tickets")
		mustRead(t, client, "after the tickets")
		synctest.Wait()
		if len(got) != 2 || from != client || bytes.Equal(got[0], got[1]) {
			t.Fatalf("%d sessions, of %p, want two of %p", len(got), from, client)
		}
		if blob, err := client.Session(); !errors.Is(err, ErrNoSession) {
			t.Errorf("Session returns %d bytes, %v", len(blob), err)
		}
		closeAll(client, server)
		for _, session := range slices.Clone(got) {
			next := clientConfig.Clone()
			next.Session = session
			client, server, _, _ := connect(t, next, serverConfig)
			if !client.ConnectionState().DidResume || !server.ConnectionState().DidResume {
				t.Error("a session of OnSession is not resumed")
			}
			closeAll(client, server)
		}
		time.Sleep(time.Minute)
	})
}

// TestClientSessionCacheOfConns: it is filled by one association and used by the next.
func TestClientSessionCacheOfConns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clientConfig, serverConfig := simConfigs13(dtlstest.P256, 0)
		cache := NewClientSessionCache(8)
		clientConfig.ClientSessionCache = cache
		for i := range 3 {
			client, server, _, _ := connect(t, clientConfig, serverConfig)
			mustWrite(t, server, "after the tickets")
			mustRead(t, client, "after the tickets")
			synctest.Wait()
			if got := client.ConnectionState().DidResume; got != (i > 0) {
				t.Errorf("association %d is resumed: %v", i+1, got)
			}
			closeAll(client, server)
		}
		n := 0
		for cache.Take("localhost") != nil {
			n++
		}
		if n != 4 || cache.Take("other") != nil { // three times two, of which two are used
			t.Errorf("%d sessions are left", n)
		}
		time.Sleep(time.Minute)
	})
}

// TestKeyLogWriter: both sides log the same lines, which begin with the random of the
// ClientHello on the wire (RFC 9850, Section 1).
func TestKeyLogWriter(t *testing.T) {
	for version, labels := range map[uint16][]string{
		VersionDTLS12: {"CLIENT_RANDOM"},
		VersionDTLS13: {
			"CLIENT_HANDSHAKE_TRAFFIC_SECRET", "CLIENT_TRAFFIC_SECRET_0", "CLIENT_TRAFFIC_SECRET_1", "EXPORTER_SECRET",
			"SERVER_HANDSHAKE_TRAFFIC_SECRET", "SERVER_TRAFFIC_SECRET_0",
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			clientConfig, serverConfig := quickConfigs()
			clientConfig.MinVersion, clientConfig.MaxVersion = version, version
			var logs [2]logBuffer
			clientConfig.KeyLogWriter, serverConfig.KeyLogWriter = &logs[0], &logs[1]
			a, b := newMemNet().pair()
			var random []byte
			a.set(func(s *memSocket) {
				s.tap = func(n int, p []byte, _ net.Addr) {
					const randomAt = record.HeaderLen + 12 + 2
					if n == 1 {
						random = bytes.Clone(p[randomAt : randomAt+32])
					}
				}
			})
			client, server := Client(a, clientConfig), Server(b, serverConfig)
			if err := shake(client, server); err != nil {
				t.Fatal(err)
			}
			if version == VersionDTLS13 {
				if err := client.UpdateKeys(t.Context(), false); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Wait()
			want := logs[0].lines()
			if got := logs[1].lines(); !slices.Equal(got, want) || len(got) != len(labels) {
				t.Errorf("%s: server logs %q, client %q", VersionName(version), got, want)
			}
			for i, line := range want {
				if begin := fmt.Sprintf("%s %x ", labels[i], random); !strings.HasPrefix(line, begin) {
					t.Errorf("%s: %q, want %q and a secret", VersionName(version), line, begin)
				}
			}
			closeAll(client, server)
			time.Sleep(time.Minute)
		})
	}
}

type logBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logBuffer) lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Sorted(strings.Lines(l.text.String()))
}

// TestWriteReportsWhatWasRefusedBefore: with MTUManual, a ticket that the transport has
// refused in between fails the next Write, once, and goes out all the same.
func TestWriteReportsWhatWasRefusedBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clientConfig, serverConfig := simConfigs13(dtlstest.P256, 1000)
		clientConfig.Certificates, serverConfig.ClientAuth = serverConfig.Certificates, tls.RequireAndVerifyClientCert // its chain is in the tickets
		serverConfig.MTUMode = MTUManual
		a, b := newMemNet().pair()
		var deaf atomic.Bool
		deaf.Store(true)
		a.net.path = func(from, _ net.Addr, p []byte) bool { // no ACK of the tickets
			return !deaf.Load() || from.String() != a.addr.String() || !record.IsUnified(p[0]) || p[0]&3 != 3
		}
		client, server := Client(a, clientConfig), Server(b, serverConfig)
		defer time.Sleep(time.Minute)
		defer closeAll(client, server)
		if err := shake(client, server); err != nil {
			t.Fatal(err)
		}
		refused := 0 // the same datagram twice: the first error may be about another one
		b.set(func(s *memSocket) {
			s.refuse = func(p []byte, _ net.Addr) error {
				if len(p) > 300 && refused < 2 {
					refused++
					return syscall.EMSGSIZE
				}
				return nil
			}
		})
		time.Sleep(time.Second) // the timer repeats the tickets
		var large *LargePacketError
		if n, err := server.Write([]byte("x")); n != 0 || !errors.As(err, &large) || IsFatal(err) || large.Size <= 300 || refused != 2 {
			t.Errorf("%d, %v after %d refusals", n, err, refused)
		}
		synctest.Wait()
		deaf.Store(false)
		mustWrite(t, server, "data")
		mustRead(t, client, "data")
	})
}

// TestCloseNotifyBeforeFinished: an authentic close_notify of a client that is not
// authenticated yet ends the server's handshake: nothing else will come.
func TestCloseNotifyBeforeFinished(t *testing.T) {
	for _, version := range []uint16{VersionDTLS12, VersionDTLS13} {
		client, server := hostileConfigs()
		epoch := uint16(1)
		if version == VersionDTLS13 {
			client, server = simConfigs13(dtlstest.P256, 0)
			epoch = 2
		}
		s := newSim(t, client, server)
		s.onDeliver = func(to side, d []byte) []byte {
			var out []byte
			for _, rec := range records(t, d) {
				if h, _, _, err := record.Next(rec); to == clientSide || !record.IsUnified(rec[0]) && err == nil && h.Epoch == 0 {
					out = append(out, rec...) // but not the Finished
				}
			}
			return out
		}
		e := s.eng[serverSide]
		ready := func() bool {
			return s.eng[clientSide].keys.SealerOf(epoch) != nil && slices.Contains(e.keys.Readable(), epoch)
		}
		if !s.run(10*time.Second, ready) || e.Established() {
			t.Fatal(s.history())
		}
		s.inject(serverSide, s.authenticIn(clientSide, epoch, record.TypeAlert, 1, 0))
		if a, remote := alertOf(t, e); a != alert.CloseNotify || !remote {
			t.Errorf("%s: %v", VersionName(version), e.Err())
		}
	}
}

// TestMessageAtTheEndOfItsKeys: RFC 9147, Section 4.5.3: no record is sealed past the
// limit of the keys, a message of the handshake neither.
func TestMessageAtTheEndOfItsKeys(t *testing.T) {
	for from := range side(2) {
		for left := range uint64(2) { // the last record is that of close_notify
			s := established13(t)
			e := s.eng[from]
			sealer13(t, e).SetLimit(e.keys.Sealer().Next() + left)
			if err := e.UpdateKeys(s.now, false); err != nil {
				t.Fatal(err)
			}
			sent := 0
			for range 5 {
				tx, ok := e.PollTransmit(s.now, nil)
				if !ok {
					continue
				}
				sent++
				s.deliver(from.other(), tx.Data)
			}
			if !errors.Is(e.Err(), errKeysExhausted) {
				t.Errorf("%v, %d records left: %v", from, left, e.Err())
			}
			if told := slices.Contains(s.events[from.other()], EventClosed); sent != int(left) || told != (left > 0) {
				t.Errorf("%v, %d records left: %d are sent, close_notify %v", from, left, sent, told)
			}
		}
	}
}
