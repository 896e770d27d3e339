package dtls

import (
	"net"
	"testing"

	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
	"github.com/pion/transport/v3/vnet"
)

// TestVirtualNetwork runs a listener and a client over a virtual network, whose
// sockets are a net.PacketConn and a net.Conn like any other custom transport.
func TestVirtualNetwork(t *testing.T) {
	network, err := vnet.NewNet(&vnet.NetConfig{})
	if err != nil {
		t.Fatal(err)
	}
	pc, err := network.ListenPacket("udp4", "127.0.0.1:4433")
	if err != nil {
		t.Fatal(err)
	}
	clientConfig, serverConfig := simConfigs(dtlstest.P256, 6000)
	serverConfig.CookieMode = CookieAuto
	l, err := NewListener(pc, serverConfig)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	accepted := make(chan net.Conn, 1)
	go func() {
		defer close(accepted)
		c, err := l.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		accepted <- c
	}()

	transport, err := network.Dial("udp4", "127.0.0.1:4433")
	if err != nil {
		t.Fatal(err)
	}
	c := Client(transport, clientConfig)
	defer c.Close()
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	s, ok := <-accepted
	if !ok {
		t.Fatal("nobody was accepted")
	}
	defer s.Close()
	buf := make([]byte, 100)
	for _, pair := range [2][2]net.Conn{{c, s}, {s, c}} {
		if _, err := pair[0].Write([]byte("over a virtual network")); err != nil {
			t.Fatal(err)
		}
		n, err := pair[1].Read(buf)
		if err != nil || string(buf[:n]) != "over a virtual network" {
			t.Fatalf("%q, %v", buf[:n], err)
		}
	}
	if l.Stats().CookiesSent != 1 {
		t.Errorf("%+v", l.Stats())
	}
}
