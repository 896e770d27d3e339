package message

import (
	"testing"

	"github.com/flightpath-dtls/flightpath/record"
)

func TestAppendThenParseACK(t *testing.T) {
	numbers := []record.Number{{Epoch: 0, Seq: 1}, {Epoch: 2, Seq: 1<<48 - 1}, {Epoch: 1<<64 - 1, Seq: 1<<64 - 1}}
	for n := range len(numbers) + 1 {
		list, err := ParseACK(AppendACK(nil, numbers[:n]))
		if err != nil || list.Len() != n {
			t.Fatalf("%d numbers of %d: %v", list.Len(), n, err)
		}
		for i, want := range numbers[:n] {
			if got := list.At(i); got != want {
				t.Errorf("number %d: %v, want %v", i, got, want)
			}
		}
	}
}
