package dtls_test

import (
	"fmt"
	"log"
	"net/netip"
	"time"

	"github.com/flightpath-dtls/flightpath/dtls"
)

// A client and a server without a socket: what one sends is put into a queue for the
// other. Real ones have a socket there, and a timer for NextTimeout.
func ExampleEngine() {
	now, from := time.Now(), netip.MustParseAddrPort("192.0.2.7:40000")
	door, err := dtls.NewDoor(exampleServer, now)
	if err != nil {
		log.Fatal(err)
	}
	client, err := dtls.NewClientEngine(exampleClient, now)
	if err != nil {
		log.Fatal(err)
	}
	engines := map[netip.AddrPort][]*dtls.Engine{} // of the server, by the client's address
	var toServer, toClient [][]byte

	// poll follows every input of an engine.
	poll := func(eng *dtls.Engine, queue *[][]byte, on func(dtls.Event)) {
		for tx, ok := eng.PollTransmit(now, nil); ok; tx, ok = eng.PollTransmit(now, nil) {
			*queue = append(*queue, tx.Data)
		}
		for ev, ok := eng.PollEvent(); ok; ev, ok = eng.PollEvent() {
			on(ev)
		}
	}
	onClient := func(ev dtls.Event) {
		switch ev.Kind {
		case dtls.EventEstablished:
			_ = client.Write(now, []byte("hello"))
			poll(client, &toServer, func(dtls.Event) {})
		case dtls.EventData:
			fmt.Printf("the client has %q\n", ev.Data)
		default:
		}
	}
	serve := func(datagram []byte) {
		eng := door.Route(now, datagram, from, engines[from])
		if eng == nil {
			reply, hello := door.Handle(now, datagram, from, netip.AddrPort{}, nil)
			if reply != nil {
				toClient = append(toClient, reply)
			}
			if hello == nil {
				return
			}
			fmt.Println("the address of the client is proven")
			if eng, err = dtls.NewServerEngine(exampleServer, hello, now); err != nil {
				log.Fatal(err)
			}
			beside := engines[from]
			if len(beside) > 0 && beside[0].Established() {
				beside = beside[:1] // it lives on until the new handshake is complete
			} else {
				beside = nil
			}
			engines[from] = append(beside, eng)
			datagram = hello.Datagram
		}
		_ = eng.HandleDatagram(now, datagram, from) // an error is that of Err
		poll(eng, &toClient, func(ev dtls.Event) {
			switch ev.Kind {
			case dtls.EventEstablished:
				engines[from] = []*dtls.Engine{eng}
			case dtls.EventData:
				_ = eng.Write(now, ev.Data) // an echo
			default:
			}
		})
		poll(eng, &toClient, func(dtls.Event) {}) // what Write has queued
		if eng.Err() != nil {
			delete(engines, from)
		}
	}

	poll(client, &toServer, onClient)
	for len(toServer)+len(toClient) > 0 {
		if len(toServer) > 0 {
			datagram := toServer[0]
			toServer = toServer[1:]
			serve(datagram)
			continue
		}
		datagram := toClient[0]
		toClient = toClient[1:]
		_ = client.HandleDatagram(now, datagram, netip.AddrPort{})
		poll(client, &toServer, onClient)
	}
	fmt.Println("the server has", engines[from][0])
	// Output:
	// the address of the client is proven
	// the client has "hello"
	// the server has server, established
}
