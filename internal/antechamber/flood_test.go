package antechamber

import (
	"bytes"
	"cmp"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// arrival is a fragment on its way.
type arrival struct {
	at     time.Time
	client int // −1: forged
	try    int
	key    Key
	f      Fragment
}

const (
	honestHello = 1600
	retry       = time.Second // and twice that for the third try
)

// honest cuts a hello into n fragments, doubles some of them, mixes them up and
// sends them up to 5 ms apart, at most three times.
func honest(rng *rand.Rand, client, n int, at time.Time) (list []arrival) {
	body := hello(honestHello, byte(client))
	from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(client >> 8), byte(client), 1}), 40000)
	for try := range 3 {
		var fragments []Fragment
		for i := range n {
			f := piece(body, i*honestHello/n, (i+1)*honestHello/n)
			f.Record = uint64(try*n + i)
			for range 1 + rng.IntN(5)/4 {
				fragments = append(fragments, f)
			}
		}
		rng.Shuffle(len(fragments), func(i, j int) { fragments[i], fragments[j] = fragments[j], fragments[i] })
		sent := at
		for _, f := range fragments {
			sent = sent.Add(time.Duration(rng.Int64N(int64(5 * time.Millisecond))))
			list = append(list, arrival{sent, client, try, Key{From: from, Length: honestHello, Seq: 1}, f})
		}
		at = at.Add(retry << try)
	}
	return list
}

// forged is the first fragment, or the first two, of a hello from an address of
// its own.
func forged(rng *rand.Rand, at time.Time, pieces int) (list []arrival) {
	a := rng.Uint64()
	from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{byte(a), byte(a >> 8), byte(a >> 16), byte(a >> 24)}), uint16(a>>32))
	body := hello(honestHello, byte(a>>48))
	for i := range pieces {
		list = append(list, arrival{at, -1, 0, Key{From: from, Length: honestHello, Seq: 1}, piece(body, i*400, (i+1)*400)})
	}
	return list
}

// TestFlood: 10 000 forged first fragments a second, from networks all over the
// world, take all the places there are. Honest clients whose hello is needed
// whole, in 2 to 16 fragments, mixed up and doubled, up to 5 ms apart, get it
// together all the same: at least 95 of 100 within three tries.
func TestFlood(t *testing.T) {
	const (
		seed    = 20
		rate    = 10_000 // forged datagrams a second
		clients = 300
		span    = 8 * time.Second
	)
	for name, pieces := range map[string]int{"one fragment each": 1, "two fragments each": 2} {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, uint64(pieces)))
			var all []arrival
			for at := time.Duration(0); at < span+4*time.Second; at += time.Second * time.Duration(pieces) / rate {
				all = append(all, forged(rng, start.Add(at), pieces)...)
			}
			for c := range clients {
				all = append(all, honest(rng, c, 2+c%15, start.Add(time.Second+time.Duration(rng.Int64N(int64(span-time.Second)))))...)
			}
			slices.SortStableFunc(all, func(a, b arrival) int { return cmp.Compare(a.at.Sub(b.at), 0) })

			r := newRoom(seed)
			through := map[int]int{} // client: try
			for _, a := range all {
				if _, done := through[a.client]; done {
					continue
				}
				for _, h := range r.Add(a.at, a.key, a.f) {
					if a.client >= 0 && h.Complete() {
						if !bytes.Equal(h.Prefix(), hello(honestHello, byte(a.client))) {
							t.Fatalf("client %d: not its hello", a.client)
						}
						through[a.client] = a.try
						h.Leave()
					}
				}
			}
			var tries [3]int
			for _, try := range through {
				tries[try]++
			}
			used := 0
			for _, b := range r.buckets {
				for i := range b {
					if b[i].page.body != nil {
						used++
					}
				}
			}
			t.Logf("seed %d, %d fragments: %d of %d clients at the first try, %d at the second, %d at the third; %d places used",
				seed, len(all), tries[0], clients, tries[1], tries[2], used)
			if len(through) < clients*95/100 {
				t.Errorf("%d of %d clients got their hello together", len(through), clients)
			}
			if used != buckets*places {
				t.Errorf("the flood took %d places", used)
			}
		})
	}
}
