package interop

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
)

// Case is one run between a client and a server.
type Case struct {
	WeServe    bool // our library is the server, the peer is the client
	Suite      uint16
	ClientCert bool // the server demands a client certificate
	ALPN       bool
	LongChain  bool // certificates of both sides fill a message of about 6 KB
	MTU        int  // bytes of UDP payload; the relay swallows what is larger
	Identity   Identity
	Hint       bool   // the server sends one with its pre-shared key
	Loss       bool   // 20 % of the datagrams are lost, 10 % overtaken, in each direction; see rough
	More       string // of the name: what only a longer list of cases has
}

// Name reads like the case, and is stable: seeds derive from it.
func (c Case) Name() string {
	parts := []string{"we-dial"}
	if c.WeServe {
		parts[0] = "we-serve"
	}
	parts = append(parts, suiteByID(c.Suite).name, fmt.Sprintf("mtu-%d", c.MTU))
	if c.Identity != NoIdentity {
		parts = append(parts, c.Identity.String())
	}
	for _, f := range []struct {
		on   bool
		name string
	}{
		{c.ClientCert, "client-cert"},
		{c.ALPN, "alpn"},
		{c.LongChain, "6KB-chain"},
		{c.Hint, "hint"},
		{c.Loss, "loss"},
	} {
		if f.on {
			parts = append(parts, f.name)
		}
	}
	if c.More != "" {
		parts = append(parts, c.More)
	}
	return strings.Join(parts, "_")
}

// seed makes every run of a case lose the same datagrams. FLIGHTPATH_SEED, any
// text, makes them others.
func (c Case) seed() uint64 {
	h := fnv.New64a()
	h.Write([]byte(os.Getenv("FLIGHTPATH_SEED")))
	h.Write([]byte(c.Name()))
	return h.Sum64()
}

// Full reports whether the whole product of the dimensions was asked for.
func Full() bool { return os.Getenv("FLIGHTPATH_FULL") == "1" }

var mtus = []int{1472, 1232, 548, 300}

// Cases returns what to run with a peer and certificates: a pairwise cover, or
// everything if Full.
func Cases(peer Peer) []Case { return casesOf(peer, rowsOf) }

// casesOf returns the rows that are chosen of a peer's dimensions, as cases.
func casesOf(peer Peer, rowsOf func(levels []int) [][]int) []Case {
	suites, limits := peer.Suites(), limitsOf(peer)
	mtus, loss := mtus, 2
	if limits.MTU > 0 {
		mtus = slices.DeleteFunc(slices.Clone(mtus), func(n int) bool { return n > limits.MTU })
	}
	if limits.InOrder {
		loss = 1
	}
	rows := rowsOf([]int{2, len(suites), 2, 2, 2, len(mtus), loss})
	cases := make([]Case, len(rows))
	for i, r := range rows {
		cases[i] = Case{
			WeServe:    r[0] == 1,
			Suite:      suites[r[1]],
			ClientCert: r[2] == 1,
			ALPN:       r[3] == 1,
			LongChain:  r[4] == 1,
			MTU:        mtus[r[5]],
			Loss:       r[6] == 1,
		}
	}
	return cases
}

// rowsOf is a pairwise cover of the levels, or everything if Full.
func rowsOf(levels []int) [][]int {
	if Full() {
		return product(levels)
	}
	return Pairwise(levels)
}

// few is for peers that take long to start: a part of the pairwise cover, or all of
// it if Full.
func few(levels []int) [][]int {
	const rows = 6
	cover := Pairwise(levels)
	if Full() || len(cover) < rows {
		return cover
	}
	var part [][]int
	for i := range rows {
		part = append(part, cover[i*len(cover)/rows])
	}
	return part
}

// pair says that dimension i has value a and dimension j > i has value b.
type pair struct{ i, a, j, b int }

// Pairwise returns rows with one value, below levels[i], for each dimension i,
// such that any two values of two dimensions meet in some row. It is greedy:
// each row starts with the first pair not met yet, and every other dimension
// takes the value that meets most of the rest. The result is always the same.
func Pairwise(levels []int) [][]int {
	ties := rand.New(rand.NewPCG(1, 1))
	var order []pair // all pairs, in the order they are taken up
	missing := make(map[pair]bool)
	for i := range levels {
		for j := i + 1; j < len(levels); j++ {
			for a := range levels[i] {
				for b := range levels[j] {
					p := pair{i, a, j, b}
					order = append(order, p)
					missing[p] = true
				}
			}
		}
	}
	var rows [][]int
	for _, first := range order {
		if !missing[first] {
			continue
		}
		row := make([]int, len(levels))
		for i := range row {
			row[i] = -1 // not chosen yet
		}
		row[first.i], row[first.j] = first.a, first.b
		for i := range row {
			if row[i] < 0 {
				row[i] = bestValue(row, i, levels[i], missing, ties)
			}
		}
		for i := range row {
			for j := i + 1; j < len(row); j++ {
				delete(missing, pair{i, row[i], j, row[j]})
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// bestValue returns the value of dimension i that meets most missing pairs
// with the values already chosen. Ties fall at random, so that values which no
// longer matter are mixed, and not all on or all off.
func bestValue(row []int, i, values int, missing map[pair]bool, ties *rand.Rand) int {
	best, most := 0, -1
	for _, v := range ties.Perm(values) {
		met := 0
		for j, w := range row {
			p := pair{i, v, j, w}
			if j < i {
				p = pair{j, w, i, v}
			}
			if w >= 0 && missing[p] {
				met++
			}
		}
		if met > most {
			best, most = v, met
		}
	}
	return best
}

// product returns all rows.
func product(levels []int) [][]int {
	rows := [][]int{nil}
	for _, n := range levels {
		var longer [][]int
		for _, r := range rows {
			for v := range n {
				longer = append(longer, append(r[:len(r):len(r)], v))
			}
		}
		rows = longer
	}
	return rows
}
