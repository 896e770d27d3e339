package transport

import "github.com/flightpath-dtls/flightpath/internal/udpsock"

// Hints are notices that wait for their association.
type Hints []udpsock.Notice

// MaxHints is more than enough: one hint that is accepted covers all datagrams that
// were lost.
const MaxHints = 8

// Push adds a notice, with the first bytes of what it quotes.
func (h *Hints) Push(n udpsock.Notice, quoted int) {
	if len(*h) < MaxHints {
		n.Quoted = append([]byte(nil), n.Quoted[:min(len(n.Quoted), quoted)]...)
		*h = append(*h, n)
	}
}

// Take returns all of them.
func (h *Hints) Take() (all Hints) {
	all, *h = *h, nil
	return all
}
