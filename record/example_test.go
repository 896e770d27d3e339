package record_test

import (
	"fmt"

	"github.com/flightpath-dtls/flightpath/record"
)

// Two records travel in one datagram; the first arrives a second time.
func Example() {
	key, iv := make([]byte, record.AES128GCM.KeyLen()), make([]byte, record.AES128GCM.IVLen())
	sealer, err := record.NewSealer12(record.AES128GCM, key, iv, 1)
	if err != nil {
		panic(err)
	}
	opener, err := record.NewOpener12(record.AES128GCM, key, iv, 1, 256)
	if err != nil {
		panic(err)
	}

	var datagram []byte
	for _, text := range []string{"hello", "world"} {
		datagram, _, err = sealer.Seal(datagram, record.TypeApplicationData, record.VersionDTLS12, []byte(text))
		if err != nil {
			panic(err)
		}
	}
	datagram = append(datagram, datagram[:sealer.Overhead()+len("hello")]...)

	for len(datagram) > 0 {
		header, fragment, rest, err := record.Next(datagram)
		if err != nil {
			break // what is left is no record
		}
		datagram = rest
		plaintext, err := opener.Open(header, fragment)
		if err != nil {
			fmt.Printf("record %d: %v\n", header.Seq, err)
			continue
		}
		fmt.Printf("record %d: %s %q\n", header.Seq, header.Type, plaintext)
	}
	// Output:
	// record 0: application_data "hello"
	// record 1: application_data "world"
	// record 0: dtls: record number was received before
}

// How much data fits a datagram on a path with an IPv6 MTU of 1280 bytes.
func ExampleAEAD_MaxData12() {
	const datagram = 1280 - 40 - 8 // less the IPv6 and UDP headers
	for _, aead := range []record.AEAD{record.AES128GCM, record.ChaCha20Poly1305, record.AES128CCM8} {
		fmt.Println(aead, aead.MaxData12(datagram))
	}
	// Output:
	// AEAD_AES_128_GCM 1195
	// AEAD_CHACHA20_POLY1305 1203
	// AEAD_AES_128_CCM_8 1203
}

// A server that answered a ClientHello statelessly goes on after its number.
func ExampleSealer12_SkipTo() {
	sealer, err := record.NewSealer12(record.None, nil, nil, 0)
	if err != nil {
		panic(err)
	}
	const clientHello = 1 // its record's sequence number
	if err := sealer.SkipTo(clientHello + 1); err != nil {
		panic(err)
	}
	_, number, _ := sealer.Seal(nil, record.TypeHandshake, record.VersionDTLS12, []byte("ServerHello…"))
	fmt.Println(number.Seq)
	// Output: 2
}

func ExampleWindow() {
	window, err := record.NewWindow(64)
	if err != nil {
		panic(err)
	}
	for _, seq := range []uint64{1, 1, 3, 100, 3, 90} {
		if err := window.Check(seq); err != nil {
			fmt.Println(seq, err)
			continue
		}
		window.Mark(seq) // once the record proved authentic
	}
	// Output:
	// 1 dtls: record number was received before
	// 3 dtls: record number is older than the replay window
}
