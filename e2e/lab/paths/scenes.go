package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/flightpath-dtls/flightpath/e2e/lab"
)

// scene is a table: trials that vary one property of a path or a peer.
type scene struct {
	name    string // of the table's marks, behind "lab "
	heading string // of the first column
	alone   bool   // trials run one after the other, since times are required
	trials  []*trial
}

// trial is a number of associations between two processes, in a lab of its own.
type trial struct {
	row, column string
	path        lab.Path
	version     string // the highest of both ends
	chain       int    // Certificate message of the server in bytes, 0: a leaf alone
	mutual      bool   // the client has the same chain
	classic     bool   // no hybrid groups: a hello and a ServerHello of some 200 bytes
	think       thinking
	n           int           // associations
	every       time.Duration // between their beginnings
	settle      time.Duration // between the first answer to data and the question for the limits
	data        bool          // the client sends datagrams of full size, and reports those that are lost
	require
	show
	done []association
}

// thinking is a callback that takes its time.
type thinking struct {
	end      string // client or server
	callback string // certificate or verify
	time     time.Duration
}

// require is what must hold.
type require struct {
	shares    []share
	median    time.Duration // of the seconds until both ends are established, at most; 0: any
	datagrams int           // of each handshake, both ends together, at most; 0: any
}

// share of the associations that must have a property. One that fails has none.
type share struct {
	name    string
	percent float64 // 0: it is counted only
	has     func(*association) bool
}

// show is what the table has beside the shares, as a median and a maximum.
type show struct{ seconds, count, calls bool }

// startMTU is where a handshake begins with the default Config.
const startMTU = 1232

// Sizes of the server's Certificate message.
const (
	leafAlone = 0
	longChain = 6000
)

var versions = []string{"1.2", "1.3"}

func (t *trial) String() string { return t.row + ", " + t.column }

func complete(a *association) bool { return a.Error == "" }

// limitOf is the limit of one end.
func limitOf(end string) func(*association) int {
	return func(a *association) int {
		if end == "client" {
			return a.Client.MTU
		}
		return a.Server.MTU
	}
}

func limitIs(end string, want int) func(*association) bool {
	limit := limitOf(end)
	return func(a *association) bool { return complete(a) && limit(a) == want }
}

func limitFits(end string, link int) func(*association) bool {
	limit := limitOf(end)
	return func(a *association) bool { return complete(a) && limit(a) > 0 && limit(a) <= link-ipv4Headers }
}

// ipv4Headers are the bytes of IP and UDP header.
const ipv4Headers = 28

// other is the end that waits for the one that thinks.
func other(end string) string {
	if end == "client" {
		return "server"
	}
	return "client"
}

func scenes() []*scene {
	return []*scene{thinkingScene(), policedScene(), lossScene(), holesScene(), reportedScene()}
}

func sceneNames() (names []string) {
	for _, s := range scenes() {
		names = append(names, s.name)
	}
	return names
}

// thinkingScene: a callback takes longer than the timers of the other end, whose
// limit is the same afterwards. A flight in one datagram is repeated seldom.
func thinkingScene() *scene {
	s := &scene{name: "thinking", heading: "peer that thinks"}
	for _, version := range versions {
		for _, kind := range []struct {
			what, end, callback string
			mutual              bool
		}{
			{"client, about the certificate", "client", "verify", false},
			{"server, before its flight", "server", "certificate", false},
			{"server, about the client's certificate", "server", "verify", true},
		} {
			for _, chain := range []int{leafAlone, longChain} {
				for _, d := range []time.Duration{700 * time.Millisecond, 1500 * time.Millisecond, 5 * time.Second} {
					t := &trial{
						row:    fmt.Sprintf("DTLS %s %s, %s", version, kind.what, chainText(chain)),
						column: fmt.Sprintf("%v s", d.Seconds()), version: version,
						chain: chain, mutual: kind.mutual, classic: chain == leafAlone,
						think: thinking{kind.end, kind.callback, d},
						n:     10, every: 50 * time.Millisecond, settle: 500 * time.Millisecond,
						show: show{count: true},
					}
					waits := other(kind.end)
					t.shares = []share{{"complete", 100, complete}, {waits + "s at 1232", 100, limitIs(waits, startMTU)}}
					if chain == leafAlone {
						t.datagrams = 12
					}
					s.trials = append(s.trials, t)
				}
			}
		}
	}
	return s
}

func chainText(size int) string {
	if size == leafAlone {
		return "flights of one datagram"
	}
	return "chain of 6 KB"
}

// policedScene: a router drops what exceeds a small rate, and so what is sent back
// to back.
func policedScene() *scene {
	s := &scene{name: "policed", heading: "chain of 6 KB", alone: true}
	for _, version := range versions {
		for _, packets := range []int{4, 10} {
			s.trials = append(s.trials, &trial{
				row: "DTLS " + version, column: fmt.Sprintf("%d packets per 20 ms", packets), version: version,
				path: lab.Path{Police: packets}, chain: longChain,
				n: 20, every: 100 * time.Millisecond,
				require: require{shares: []share{{"complete", 100, complete}}, median: time.Second, datagrams: 60},
				show:    show{seconds: true, count: true},
			})
		}
	}
	return s
}

// lossScene: loss at random says nothing of the size of datagrams.
func lossScene() *scene {
	s := &scene{name: "loss", heading: "path of 1500 bytes"}
	for _, loss := range []int{10, 20, 30} {
		for _, version := range versions {
			for _, chain := range []int{leafAlone, longChain} {
				least := 95.0
				if loss > 20 {
					least = 0
				}
				p := float64(loss) / 100
				s.trials = append(s.trials, &trial{
					row:    fmt.Sprintf("DTLS %s, %s", version, strings.Replace(chainText(chain), "flights of one datagram", "a leaf alone", 1)),
					column: fmt.Sprintf("%d %% lost", loss), version: version,
					path: lab.Path{LossUp: p, LossDown: p}, chain: chain,
					n: 300, every: 40 * time.Millisecond, settle: time.Second,
					require: require{shares: []share{
						{"complete", 0, complete},
						{"servers at 1232", least, limitIs("server", startMTU)},
						{"clients at 1232", least, limitIs("client", startMTU)},
					}},
					show: show{seconds: true},
				})
			}
		}
	}
	return s
}

// holesScene: what is too large vanishes, and both ends have sent large flights.
func holesScene() *scene {
	s := &scene{name: "holes", heading: "chains of 6 KB on both ends"}
	for _, version := range versions {
		for _, link := range []int{900, 576} {
			s.trials = append(s.trials, &trial{
				row: "DTLS " + version, column: fmt.Sprintf("hole of %d bytes", link), version: version,
				path: lab.Path{MTU: link, BlackHole: true}, chain: longChain, mutual: true,
				n: 60, every: 40 * time.Millisecond, settle: time.Second,
				require: require{shares: []share{
					{"complete", 95, complete},
					{"servers fit", 95, limitFits("server", link)},
					{"clients fit", 95, limitFits("client", link)},
				}},
				show: show{seconds: true, count: true},
			})
		}
	}
	return s
}

// reportedCalls is how many reports of lost datagrams it may take until the limit
// is right.
const reportedCalls = 10

// reportedScene: the client's flights were small, so its data is what shows that the
// path is narrow.
func reportedScene() *scene {
	const link = 900
	s := &scene{name: "reported", heading: "hole of 900 bytes"}
	for _, version := range versions {
		for _, chain := range []int{leafAlone, longChain} {
			s.trials = append(s.trials, &trial{
				row: "DTLS " + version, column: strings.Replace(chainText(chain), "flights of one datagram", "a leaf alone", 1), version: version,
				path: lab.Path{MTU: link, BlackHole: true}, chain: chain, classic: true,
				n: 20, every: 40 * time.Millisecond, data: true,
				require: require{shares: []share{{"complete", 100, complete}, {"right", 100, func(a *association) bool {
					return complete(a) && a.Calls <= reportedCalls && limitFits("client", link)(a)
				}}}},
				show: show{calls: true},
			})
		}
	}
	return s
}
