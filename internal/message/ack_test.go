package message

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/flightpath-dtls/flightpath/internal/alert"
	"github.com/flightpath-dtls/flightpath/record"
)

func numbersOf(l ACKList) (numbers []record.Number) {
	for i := range l.Len() {
		numbers = append(numbers, l.At(i))
	}
	return numbers
}

func TestAppendThenParseACK(t *testing.T) {
	numbers := []record.Number{{Epoch: 0, Seq: 1}, {Epoch: 2, Seq: 1<<48 - 1}, {Epoch: 1<<64 - 1, Seq: 1<<64 - 1}, {Epoch: 0, Seq: 1}}
	for n := range len(numbers) + 1 {
		b := AppendACK([]byte("kept"), numbers[:n])
		if len(b) != 4+2+16*n || !bytes.HasPrefix(b, []byte("kept")) {
			t.Fatalf("%d numbers written as %x", n, b)
		}
		list, err := ParseACK(b[4:])
		if err != nil || !slices.Equal(numbersOf(list), numbers[:n]) {
			t.Errorf("got %v, want %v (%v)", numbersOf(list), numbers[:n], err)
		}
	}
}

func TestCapturedACKs(t *testing.T) {
	for name, want := range map[string][]record.Number{
		"firefox_ack":  {{Epoch: 2, Seq: 0}},
		"chromium_ack": {{Epoch: 2, Seq: 0}, {Epoch: 2, Seq: 1}, {Epoch: 2, Seq: 2}},
	} {
		body := captured(t, name)
		list, err := ParseACK(body)
		if err != nil || !slices.Equal(numbersOf(list), want) {
			t.Errorf("%s: got %v, want %v (%v)", name, numbersOf(list), want, err)
		}
		if got := AppendACK(nil, want); !bytes.Equal(got, body) {
			t.Errorf("%s: written as %x, want %x", name, got, body)
		}
	}
}

func TestAnACKThatIsTooLongKeepsTheNewest(t *testing.T) {
	var numbers []record.Number
	for i := range uint64(5000) {
		numbers = append(numbers, record.Number{Epoch: 3, Seq: i})
	}
	list, err := ParseACK(AppendACK(nil, numbers))
	if err != nil || !slices.Equal(numbersOf(list), numbers[5000-4095:]) {
		t.Errorf("%d numbers: %v", list.Len(), err)
	}
}

const oneNumber = "0000000000000002 0000000000000007"

var illegalACKs = []struct{ name, body string }{
	{"nothing", ""},
	{"half a length", "00"},
	{"a length without numbers", "0010"},
	{"numbers without a length", oneNumber},
	{"a length one short", "000f" + oneNumber},
	{"a length one long", "0011" + oneNumber},
	{"a length of none before a number", "0000" + oneNumber},
	{"a length of two before one number", "0020" + oneNumber},
	{"a length of 64 KiB", "ffff" + oneNumber},
	{"half a number", "0008 0000000000000002"},
	{"a number and a byte", "0011" + oneNumber + "00"},
	{"a number and a byte that the length leaves out", "0010" + oneNumber + "00"},
	{"a byte", "0001 00"},
	{"4095 numbers and the 15 bytes that still fit", "ffff" + strings.Repeat("00", 0xffff)},
}

func TestIllegalACKs(t *testing.T) {
	for _, tt := range illegalACKs {
		list, err := ParseACK(fromHex(t, tt.body))
		if err == nil || alert.Of(err) != alert.DecodeError || list.Len() != 0 {
			t.Errorf("%s: %v (%v)", tt.name, numbersOf(list), err)
		}
	}
	legal := AppendACK(nil, make([]record.Number, 3))
	for n := range legal {
		if list, err := ParseACK(legal[:n]); err == nil {
			t.Errorf("the first %d bytes: %v", n, numbersOf(list))
		}
	}
}

func TestACKsDoNotAllocate(t *testing.T) {
	numbers := make([]record.Number, 100)
	legal := AppendACK(nil, numbers)
	illegal := legal[:len(legal)-1]
	buf := make([]byte, 0, len(legal))
	sum := uint64(0)
	if n := testing.AllocsPerRun(100, func() {
		buf = AppendACK(buf[:0], numbers)
		_, _ = ParseACK(illegal)
		list, _ := ParseACK(legal)
		for i := range list.Len() {
			sum += list.At(i).Seq
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
