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

// The same in DTLS 1.3: type and number are encrypted, and one of the records is
// padded to hide how short it is.
func Example_dtls13() {
	const aead, epoch = record.ChaCha20Poly1305, 3 // application data begins with epoch 3
	key, iv := make([]byte, aead.KeyLen()), make([]byte, aead.IVLen13())
	numberKey := make([]byte, aead.KeyLen())
	sealer, err := record.NewSealer13(aead, key, iv, numberKey, epoch)
	if err != nil {
		panic(err)
	}
	opener, err := record.NewOpener13(aead, key, iv, numberKey, epoch, 256)
	if err != nil {
		panic(err)
	}

	datagram, _, err := sealer.Seal(nil, record.TypeApplicationData, []byte("hello"), 0)
	if err != nil {
		panic(err)
	}
	datagram, _, err = sealer.Seal(datagram, record.TypeAlert, []byte{1, 0}, 100)
	if err != nil {
		panic(err)
	}

	const cidLen = 0 // the peer was given no connection ID
	for len(datagram) > 0 {
		unified, rest, err := record.NextUnified(datagram, cidLen)
		if err != nil {
			break // what is left is no record
		}
		datagram = rest
		size := len(unified.Header) + len(unified.Body)
		contentType, plaintext, number, err := opener.Open(unified)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Printf("record %d of epoch %d: %v %q in %d bytes\n", number.Seq, number.Epoch, contentType, plaintext, size)
	}
	// Output:
	// record 0 of epoch 3: application_data "hello" in 27 bytes
	// record 1 of epoch 3: alert "\x01\x00" in 124 bytes
}

// A datagram of DTLS 1.3 may hold both layouts: a server's ServerHello is
// plaintext, what follows it is not.
func ExampleIsUnified() {
	key, iv := make([]byte, record.AES128GCM.KeyLen()), make([]byte, record.AES128GCM.IVLen13())
	plain, err := record.NewSealer12(record.None, nil, nil, 0)
	if err != nil {
		panic(err)
	}
	protected, err := record.NewSealer13(record.AES128GCM, key, iv, key, 2)
	if err != nil {
		panic(err)
	}
	datagram, _, _ := plain.Seal(nil, record.TypeHandshake, record.VersionDTLS12, []byte("ServerHello…"))
	datagram, _, _ = protected.Seal(datagram, record.TypeHandshake, []byte("EncryptedExtensions…"), 0)

	for len(datagram) > 0 {
		if record.IsUnified(datagram[0]) {
			unified, rest, err := record.NextUnified(datagram, 0)
			if err != nil {
				break
			}
			fmt.Println("protected, low bits of the epoch", unified.EpochBits)
			datagram = rest
			continue
		}
		header, fragment, rest, err := record.Next(datagram)
		if err != nil {
			break
		}
		fmt.Printf("plaintext, epoch %d: %s\n", header.Epoch, fragment)
		datagram = rest
	}
	// Output:
	// plaintext, epoch 0: ServerHello…
	// protected, low bits of the epoch 2
}

// How much data fits a datagram on a path with an IPv6 MTU of 1280 bytes.
func ExampleAEAD_MaxData13() {
	const datagram = 1280 - 40 - 8 // less the IPv6 and UDP headers
	for _, aead := range []record.AEAD{record.AES128GCM, record.ChaCha20Poly1305, record.AES128CCM8} {
		fmt.Println(aead, aead.MaxData13(datagram))
	}
	// Output:
	// AEAD_AES_128_GCM 1210
	// AEAD_CHACHA20_POLY1305 1210
	// AEAD_AES_128_CCM_8 1218
}

// The same in DTLS 1.2, where a record has more overhead.
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
