package message_test

import (
	"fmt"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/internal/message"
)

func ExampleParse() {
	body := []byte{0xfe, 0xff, 3, 'a', 'b', 'c'}
	m, err := message.Parse(message.TypeHelloVerifyRequest, 0, body)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%v with cookie %q\n", m.Type(), m.(*message.HelloVerifyRequest).Cookie)

	_, err = message.Parse(message.TypeHelloVerifyRequest, 0, body[:4])
	fmt.Println(err)
	fmt.Println("so we answer", alert.Of(err))
	// Output:
	// hello_verify_request with cookie "abc"
	// peer misbehaved: hello_verify_request: cookie is cut short (decode_error)
	// so we answer decode_error
}

func ExampleNextFragment() {
	var record []byte
	for seq, text := range []string{"hello,", "fragment"} {
		n := uint32(len(text))
		record = message.Header{Type: message.TypeFinished, Length: n, Seq: uint16(seq), FragmentLength: n}.Append(record)
		record = append(record, text...)
	}
	for len(record) > 0 {
		h, body, rest, err := message.NextFragment(record)
		if err != nil {
			fmt.Println(err)
		} else {
			fmt.Printf("message %d, bytes %d to %d of %d: %s\n",
				h.Seq, h.FragmentOffset, h.FragmentOffset+h.FragmentLength, h.Length, body)
		}
		record = rest
	}
	// Output:
	// message 0, bytes 0 to 6 of 6: hello,
	// message 1, bytes 0 to 8 of 8: fragment
}

func ExampleSet() {
	next := message.SetOf(message.TypeServerHello, message.TypeHelloVerifyRequest)
	if got := message.TypeFinished; !next.Has(got) {
		fmt.Println("got", got, "and expected", next)
	}
	// Output: got finished and expected server_hello or hello_verify_request
}
