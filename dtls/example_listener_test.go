package dtls_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"time"

	"github.com/flightpath-dtls/flightpath/dtls"
)

// A server that drives handshakes itself: it decides what a refusal of the path
// means, and how long a client may take.
func ExampleListener_AcceptHandshake() {
	config := exampleServer.Clone()
	config.MTUMode = dtls.MTUManual
	l, err := dtls.Listen("udp", "127.0.0.1:0", config)
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()
	served := make(chan error, 1)
	go func() {
		conn, err := l.AcceptHandshake(context.Background())
		if err != nil {
			served <- err
			return
		}
		defer conn.Close()
		_ = conn.SetMTU(512)
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		for {
			err = conn.Handshake()
			var large *dtls.LargePacketError
			if !errors.As(err, &large) || dtls.IsFatal(err) {
				break
			}
			_ = conn.SetMTU(large.Suggest()) // the same flight goes on, in smaller fragments
		}
		if err == nil {
			_, err = conn.Write([]byte("welcome"))
		}
		served <- err
	}()

	conn, err := dtls.Dial("udp", l.Addr().String(), exampleClient)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	buf := make([]byte, 2048)
	n, err := conn.Read(buf)
	fmt.Printf("%s, %v, %v\n", buf[:n], err, <-served)
	// Output: welcome, <nil>, <nil>
}

// The end of a server: everybody is told, and who has missed the last flight of
// its handshake still gets it.
func ExampleListener_Shutdown() {
	l, err := dtls.Listen("udp", "127.0.0.1:0", exampleServer)
	if err != nil {
		log.Fatal(err)
	}
	conn, err := dtls.Dial("udp", l.Addr().String(), exampleClient)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	if _, err := l.Accept(); err != nil {
		log.Fatal(err)
	}

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	fmt.Println("shutdown:", l.Shutdown(ctx))
	_, err = conn.Read(make([]byte, 2048))
	fmt.Println("the client reads EOF:", errors.Is(err, io.EOF))
	_, err = l.Accept()
	fmt.Println("accept:", err)
	// Output:
	// shutdown: <nil>
	// the client reads EOF: true
	// accept: dtls: listener closed
}

// Two nodes, each client and server on one socket, which also speaks something
// that is not DTLS.
func ExampleEndpoint() {
	open := func(name string) (*dtls.Endpoint, *dtls.Listener, net.PacketConn) {
		socket, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			log.Fatal(err)
		}
		config := exampleClient.Clone()
		config.ServerPSK = exampleServer.ServerPSK
		config.NonDTLS = func(p []byte, _ net.Addr) { fmt.Printf("%s hears %q\n", name, p) }
		e, err := dtls.NewEndpoint(socket, config)
		if err != nil {
			log.Fatal(err)
		}
		l, err := e.Listen(nil)
		if err != nil {
			log.Fatal(err)
		}
		return e, l, socket
	}
	a, _, socket := open("A")
	defer a.Close()
	b, clients, _ := open("B")
	defer b.Close()

	_, _ = socket.WriteTo([]byte("\x00 not DTLS"), b.LocalAddr())
	conn, err := a.Dial(context.Background(), b.LocalAddr(), nil)
	if err != nil {
		log.Fatal(err)
	}
	peer, err := clients.Accept()
	if err != nil {
		log.Fatal(err)
	}
	_, _ = conn.Write([]byte("hello"))
	buf := make([]byte, 2048)
	n, err := peer.Read(buf)
	fmt.Printf("B reads %q from A's socket: %v, %v\n", buf[:n], peer.RemoteAddr().String() == a.LocalAddr().String(), err)
	// Output:
	// B hears "\x00 not DTLS"
	// B reads "hello" from A's socket: true, <nil>
}
