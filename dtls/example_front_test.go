package dtls_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"

	"github.com/flightpath-dtls/flightpath/dtls"
)

// Both sides of the examples share a key: no certificates are needed.
var (
	exampleKey = dtls.PSK{Identity: []byte("example"), Key: []byte("a key of good length")}

	exampleClient = &dtls.Config{
		ClientPSK: func(context.Context, dtls.ClientPSKInfo) ([]dtls.PSK, error) { return []dtls.PSK{exampleKey}, nil },
	}
	exampleServer = &dtls.Config{
		ServerPSK: func(context.Context, dtls.ServerPSKInfo) (*dtls.PSK, error) { return &exampleKey, nil },
	}
)

func ExampleListen() {
	l, err := dtls.Listen("udp", "127.0.0.1:0", exampleServer)
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // dtls.ErrServerClosed
			}
			go func() {
				defer conn.Close()
				buf := make([]byte, 2048)
				n, err := conn.Read(buf)
				if err != nil {
					return
				}
				_, _ = conn.Write(buf[:n])
			}()
		}
	}()

	conn, err := dtls.Dial("udp", l.Addr().String(), exampleClient)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	_, _ = conn.Write([]byte("hello"))
	answer := make([]byte, 2048)
	n, err := conn.Read(answer)
	fmt.Printf("%s, %v\n", answer[:n], err)
	_, err = conn.Read(answer)
	fmt.Println(errors.Is(err, io.EOF))
	// Output:
	// hello, <nil>
	// true
}

// A transport that takes 300 bytes, and a caller that decides what to do about
// it: the same flight goes on in smaller fragments.
func ExampleConn_Handshake() {
	l, err := dtls.Listen("udp", "127.0.0.1:0", exampleServer)
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()

	socket, err := net.Dial("udp", l.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	config := exampleClient.Clone()
	config.MTUMode = dtls.MTUManual
	for range 20 {
		config.NextProtos = append(config.NextProtos, "a-long-protocol-name")
	}
	conn := dtls.Client(narrow{socket}, config)
	defer conn.Close()
	for {
		err := conn.Handshake()
		var large *dtls.LargePacketError
		if !errors.As(err, &large) {
			fmt.Println("done:", err)
			break
		}
		if large.Suggest() == 0 {
			log.Fatal(err)
		}
		fmt.Println("too large, going on with", large.Suggest())
		if err := conn.SetMTU(large.Suggest()); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// too large, going on with 300
	// done: <nil>
}

// narrow is a transport that says how much it takes.
type narrow struct{ net.Conn }

func (narrow) PathMTU() int { return 300 }

func (n narrow) Write(p []byte) (int, error) {
	if len(p) > n.PathMTU() {
		return 0, dtls.ErrLargePacket
	}
	return n.Conn.Write(p)
}
