package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// add notes a try, and reports how many there are.
func (c *cell) add(t try) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tries = append(c.tries, t)
	return len(c.tries)
}

// progress says on standard error how a try went, with what both ends saw if it
// failed, and how the cell went with the last one.
func (r *runner) progress(c *cell, number int, t try) {
	var b strings.Builder
	if r.trace || !t.complete {
		fmt.Fprintf(&b, "%v, try %d, %v, %+v: %s\n%s", c, number, t.took, t.sent, t.err, t.log)
	}
	if number == c.want {
		fmt.Fprintf(&b, "%v: %s\n", c, c.summary())
	}
	fmt.Fprint(os.Stderr, b.String())
}

// summary is a cell as the table has it.
func (c *cell) summary() string {
	if len(c.tries) == 0 {
		return "–"
	}
	times := c.times()
	s := fmt.Sprintf("%d of %d", len(times), len(c.tries))
	if len(times) > 0 {
		s += fmt.Sprintf(", %s (%s), %d", seconds(median(times)), seconds(slices.Max(times)), median(c.datagrams()))
	}
	return s
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f", d.Seconds()) }

// times of the tries that were complete.
func (c *cell) times() (times []time.Duration) {
	for _, t := range c.tries {
		if t.complete {
			times = append(times, t.took)
		}
	}
	return times
}

// datagrams of both ends, in the tries that were complete.
func (c *cell) datagrams() (n []int) {
	for _, t := range c.tries {
		if t.complete {
			n = append(n, t.sent.FromClient+t.sent.FromServer)
		}
	}
	return n
}

// median of a list that is not empty; of an even number the mean of the middle
// two.
func median[T int | time.Duration](list []T) T {
	sorted := slices.Sorted(slices.Values(list))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// table is the result as Markdown: a row for each path, a column for each loss.
func table(cells []*cell, version string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "| DTLS %s, middle link | too large | no loss | 10 %% lost | 30 %% lost |\n|---|---|---|---|---|\n", version)
	type row struct {
		family    string
		blackHole bool
		link      int
	}
	var order []row
	columns := map[row]map[int]string{}
	for _, c := range cells {
		k := row{c.family(), c.blackHole, c.link}
		if columns[k] == nil {
			columns[k] = map[int]string{}
			order = append(order, k)
		}
		columns[k][c.loss] = c.summary()
	}
	slices.SortStableFunc(order, func(a, b row) int { return strings.Compare(a.family, b.family) })
	for _, k := range order {
		told := "ICMP"
		if k.blackHole {
			told = "silence"
		}
		fmt.Fprintf(&b, "| %s, %d | %s |", k.family, k.link, told)
		for _, loss := range []int{0, 10, 30} {
			fmt.Fprintf(&b, " %s |", columns[k][loss])
		}
		b.WriteString("\n")
	}
	return b.String()
}
