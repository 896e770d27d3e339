package udpsock

import "net/netip"

// Notice is what became of a datagram that was sent earlier.
type Notice struct {
	// Peer is whom the datagram was for. Its port is 0 where the kernel does not
	// say: for a Local notice about IPv4 on an unconnected socket.
	Peer netip.AddrPort

	// MTU is the largest datagram said to pass. 0: not said, or the notice is
	// not about size. It is what the router wrote, however small.
	MTU int

	Origin Origin
	Errno  error // syscall.EMSGSIZE for size, ECONNREFUSED for a closed port, …

	// Quoted is how the datagram began, as far as the ICMP message quoted it;
	// padding may follow. Empty if Origin is Local, and from old routers, which
	// quote no more than the UDP header.
	Quoted []byte
}

// Origin is who made a notice.
type Origin uint8

const (
	// Local notices are the kernel's own: the first link does not take a
	// datagram of that size.
	Local Origin = iota + 1
	// ICMP notices came from the network and may be forged. Those that quote
	// bytes of ours come from somebody who saw them.
	ICMP
)

func (o Origin) String() string {
	switch o {
	case Local:
		return "local"
	case ICMP:
		return "icmp"
	}
	return "unknown"
}

// Drain reads the error queue, calls f for each notice in it and returns how
// many there were, up to a bound; what is left brings a pending error again.
// Quoted is valid during f. Nothing is locked meanwhile: f may use the socket,
// and two goroutines that drain at once share the notices between them. Entries
// that are not about errors, such as the timestamps a caller asked the kernel
// for, are lost.
func (s *Socket) Drain(f func(Notice)) (n int) {
	if !s.hints {
		return 0
	}
	return s.drain(f)
}
