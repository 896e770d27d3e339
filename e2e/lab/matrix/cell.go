package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/flightpath-dtls/flightpath/e2e/lab"
)

// cell is one combination of the matrix, tried several times.
type cell struct {
	v6        bool
	blackHole bool
	link      int // middle link, bytes of IP packet
	loss      int // percent, each way

	want int // tries

	mu    sync.Mutex
	tries []try
}

// try is one handshake.
type try struct {
	complete bool
	took     time.Duration // from the first datagram until both ends were established
	sent     lab.Counts
	err      string
	log      string // what both ends saw
}

func (c *cell) String() string {
	return fmt.Sprintf("%s %s %d loss %d", c.family(), c.notices(), c.link, c.loss)
}

func (c *cell) family() string {
	if c.v6 {
		return "IPv6"
	}
	return "IPv4"
}

func (c *cell) notices() string {
	if c.blackHole {
		return "black hole"
	}
	return "ICMP"
}

// path is how the lab plays the cell. A black hole for IPv6 is made by length:
// no link may be narrower than 1280, where there would be nothing to tell.
func (c *cell) path() lab.Path {
	loss := float64(c.loss) / 100
	p := lab.Path{MTU: c.link, BlackHole: c.blackHole, LossUp: loss, LossDown: loss}
	if c.v6 && c.blackHole {
		p.MTU, p.MaxLen = 1500, c.link
	}
	return p
}

func (c *cell) server() string {
	if c.v6 {
		return lab.Server6
	}
	return lab.Server4
}

// matrix is every combination that is measured. Clients of DTLS 1.3 alone have IPv6
// with 30 % loss as well, and more tries where a share is required.
func (o *options) matrix() (cells []*cell) {
	for _, loss := range []int{0, 10, 30} {
		want := o.tries
		if loss > mustComplete && o.lossy > 0 {
			want = o.lossy
		} else if loss > mustComplete && o.version == only13 {
			want = lossyTries
		}
		for _, blackHole := range []bool{false, true} {
			for _, link := range []int{1500, 1280, 900, 576} {
				cells = append(cells, &cell{blackHole: blackHole, link: link, loss: loss, want: want})
			}
			if loss <= mustComplete || o.version == only13 {
				cells = append(cells, &cell{v6: true, blackHole: blackHole, link: 1280, loss: loss, want: want})
			}
		}
	}
	return cells
}
