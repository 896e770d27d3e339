package main

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/flightpath-dtls/flightpath/dtls"
	"github.com/flightpath-dtls/flightpath/internal/message"
	"github.com/flightpath-dtls/flightpath/record"
)

const (
	bombers   = 6
	bombBytes = 30 << 20
	bombHeap  = 3 << 19 // 1.5 MiB, for all of them together
)

// bombs sends fragments that never become a message to handshakes that are
// under way.
func bombs(ctx context.Context, scale float64) ([]figure, error) {
	v, err := startVictim(ctx, serveRole)
	if err != nil {
		return nil, err
	}
	defer v.Stop()
	if _, failed := greetings(ctx, v, 10); failed != nil { // which warms it up
		return nil, failed
	}
	before, err := v.ask(askHeap)
	if err != nil {
		return nil, err
	}
	var sockets []*net.UDPConn
	defer func() { closeAll(sockets) }()
	for range bombers {
		s, err := halfway(ctx, v)
		if err != nil {
			return nil, err
		}
		sockets = append(sockets, s)
	}
	want := uint64(bombBytes * scale)
	var (
		b    bomb
		peak int64
		now  stats
		took uint64
		open = bombers
	)
	for took < want {
		for range 16 {
			for _, s := range sockets {
				for range 8 {
					if _, err := s.Write(b.next()); err != nil {
						return nil, err
					}
				}
			}
			time.Sleep(time.Millisecond) // their handshakes take it in
		}
		if now, err = v.ask(askHeap); err != nil {
			return nil, err
		}
		if peak = max(peak, now.Heap-before.Heap); ctx.Err() != nil {
			return nil, ctx.Err()
		}
		took = now.Listener.BytesIn - before.Listener.BytesIn
		open = min(open, now.Listener.HandshakesOpen)
	}
	if open < bombers {
		return nil, fmt.Errorf("only %d of %d handshakes stayed open", open, bombers)
	}
	return []figure{
		told("bytes received", "%d", took),
		told("datagrams that came faster than they were taken", "%d", now.Listener.InboxDropped),
		atMost("heap more at worst, bytes", "%d", peak, bombHeap),
	}, nil
}

// bomb makes fragments, a datagram of some 1000 bytes each.
type bomb struct {
	n   uint32
	seq uint64 // record number
	buf []byte
}

func (b *bomb) next() []byte {
	b.n++
	b.buf = b.buf[:0]
	switch n := b.n; n % 6 {
	case 0: // every second byte of a long message
		for i := range uint32(30) {
			b.fragment(message.Header{Length: 60000, Seq: 2, FragmentOffset: (n*30 + i) * 2 % 59999}, 1)
		}
	case 1: // the largest length there is
		for range 10 {
			b.fragment(message.Header{Length: 1<<24 - 1, Seq: 2, FragmentOffset: n % (1 << 23)}, 60)
		}
	case 2: // the same bytes, differently
		b.fragment(message.Header{Length: 5000, Seq: 3, FragmentOffset: n % 4000}, 900)
	case 3: // messages that are far from their turn
		b.fragment(message.Header{Length: 1000, Seq: uint16(2 + n/6%16)}, 900)
	case 4: // messages that will never have a turn
		b.fragment(message.Header{Length: 1000, Seq: uint16(n)}, 900)
	case 5: // records of the next epoch
		b.record(record.TypeHandshake, 1, make([]byte, 900))
	}
	return b.buf
}

// fragment appends one with size bytes, of a message that the server awaits.
func (b *bomb) fragment(h message.Header, size uint32) {
	h.Type, h.FragmentLength = message.TypeClientKeyExchange, size
	payload := h.Append(nil)
	for range size {
		payload = append(payload, byte(b.n))
	}
	b.record(record.TypeHandshake, 0, payload)
}

func (b *bomb) record(typ record.ContentType, epoch uint64, payload []byte) {
	b.seq++
	b.buf = record.AppendHeader(b.buf, record.Header{
		Type: typ, Version: dtls.VersionDTLS12, Number: record.Number{Epoch: epoch, Seq: 100 + b.seq}, Length: len(payload),
	})
	b.buf = append(b.buf, payload...)
}
