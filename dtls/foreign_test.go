package dtls

import (
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// TestNonDTLS: every front gives away what is not DTLS, before, in and after the
// handshake, and nothing of it is counted against the peer.
func TestNonDTLS(t *testing.T) {
	for _, front := range []string{"client", "server", "listener"} {
		t.Run(front, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				heard := map[byte]int{}
				var froms []net.Addr
				clientConfig, serverConfig := quickConfigs()
				config := serverConfig
				if front == "client" {
					config = clientConfig
				}
				config.NonDTLS = func(p []byte, from net.Addr) {
					heard[p[0]]++
					froms = append(froms, from)
				}
				n := newMemNet()
				a, b := n.pair()
				client := Client(a, clientConfig)
				var l *Listener
				var server *Conn
				if front == "listener" {
					var err error
					if l, err = NewListener(b.memSocket, serverConfig); err != nil {
						t.Fatal(err)
					}
				} else {
					server = Server(b, serverConfig)
				}
				target, source := b, a
				if front == "client" {
					target, source = a, b
				}
				send := func() {
					for _, first := range []byte{0, 3, 19, 20, 63, 64, 128, 255} {
						target.put(source.addr, []byte{first, 1, 2, 3})
					}
					target.put(source.addr, nil)
					synctest.Wait()
				}
				done := make(chan error, 1)
				if server != nil {
					go func() { done <- server.Handshake() }()
				} else {
					close(done)
				}
				synctest.Wait()
				if front != "client" {
					send()
				}
				if err := errors.Join(client.Handshake(), <-done); err != nil {
					t.Fatal(err)
				}
				if front == "listener" {
					c, err := l.Accept()
					if err != nil {
						t.Fatal(err)
					}
					server = c.(*Conn)
				}
				us := server
				if front == "client" {
					us = client
				}
				before := us.Drops()
				send()
				want := 2
				if front == "client" {
					want = 1
				}
				for _, first := range []byte{0, 3, 19, 64, 128, 255} {
					if heard[first] != want {
						t.Errorf("first byte %d was heard %d times", first, heard[first])
					}
				}
				if len(heard) != 6 {
					t.Errorf("heard %v", heard)
				}
				for _, from := range froms {
					if from.String() != source.addr.String() {
						t.Errorf("from %v", from)
					}
				}
				if d := us.Drops().minus(before); d.Total() != 3 { // 20, 63 and the empty one
					t.Errorf("dropped: %v", d)
				}
				mustWrite(t, client, "hello")
				mustRead(t, server, "hello")
				closeAll(client, server)
				if l != nil {
					l.Close()
				}
				time.Sleep(time.Second)
			})
		})
	}
}
