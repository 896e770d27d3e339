package dtls

import (
	"context"
	"net"
	"testing"

	"github.com/pion/transport/v3/vnet"
	"golang.org/x/net/nettest"

	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
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

// TestNetConnVirtualNetwork runs all of nettest between a client and a listener
// on a virtual network. Its sockets have queues that overflow, as the kernel's
// have: see TestNetConnUDP.
func TestNetConnVirtualNetwork(t *testing.T) {
	network, err := vnet.NewNet(&vnet.NetConfig{})
	if err != nil {
		t.Fatal(err)
	}
	clientConfig, serverConfig := quickConfigs()
	clientConfig.ReceiveQueue, serverConfig.ReceiveQueue = 1<<30, 1<<30
	nettest.TestConn(t, func() (net.Conn, net.Conn, func(), error) {
		pc, err := network.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			return nil, nil, nil, err
		}
		l, err := NewListener(pc, serverConfig)
		if err != nil {
			return nil, nil, nil, err
		}
		transport, err := network.Dial("udp4", l.Addr().String())
		if err != nil {
			return nil, nil, nil, err
		}
		client := Client(transport, clientConfig)
		if err := client.Handshake(); err != nil {
			return nil, nil, nil, err
		}
		server, err := l.AcceptContext(context.Background())
		stop := func() {
			closeAll(client, server)
			l.Close()
		}
		return &heldBack{client, server}, &heldBack{server, client}, stop, err
	})
}
