package main

import (
	"context"
	"fmt"
	"net"
	"time"
)

// stallLimit is what stalled handshakes may add to the time that 99 of 100
// honest clients wait for Accept.
const stallLimit = 100 * time.Millisecond

// heapLimit is what one of them may take, in bytes.
const heapLimit = 16 << 10

// stalled lets clients in beside others that have proven their address and say
// nothing more.
func stalled(ctx context.Context, scale float64) ([]figure, error) {
	v, err := startVictim(ctx, serveRole)
	if err != nil {
		return nil, err
	}
	defer v.Stop()
	alone, failed := greetings(ctx, v, scaled(500, scale))
	if failed != nil {
		return nil, failed
	}
	before, err := v.ask(askHeap)
	if err != nil {
		return nil, err
	}
	stuck := scaled(1000, scale)
	var sockets []*net.UDPConn
	defer func() { closeAll(sockets) }()
	for range stuck {
		s, err := halfway(ctx, v)
		if err != nil {
			return nil, err
		}
		sockets = append(sockets, s)
	}
	open, err := v.ask(askHeap)
	if err != nil {
		return nil, err
	}
	beside, failed := greetings(ctx, v, scaled(500, scale))
	after, err := v.ask(askStats)
	if err != nil {
		return nil, err
	}
	if len(beside) == 0 {
		return nil, failed
	}
	if now := after.Listener.HandshakesOpen; now < stuck {
		return nil, fmt.Errorf("only %d of %d handshakes are still open: the machine is too slow for this", now, stuck)
	}
	more := percentile(beside, 99) - percentile(alone, 99)
	return []figure{
		completed(beside, failed),
		atMost("heap of a stalled handshake, bytes", "%d", (open.Heap-before.Heap)/int64(stuck), heapLimit).inFull(),
		told("until the greeting, 99 of 100, alone", "%v", percentile(alone, 99)),
		told("beside them", "%v", percentile(beside, 99)),
		atMost("more, ms", "%d", more.Milliseconds(), stallLimit.Milliseconds()).inFull(),
	}, nil
}
