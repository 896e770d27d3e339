package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// summary is a trial as the table has it: each share, then medians and maxima.
func (t *trial) summary() string {
	if len(t.done) == 0 {
		return "–"
	}
	var parts []string
	for _, s := range t.shares {
		switch n := t.having(s); {
		case s.name == "complete":
			parts = append(parts, fmt.Sprintf("%d of %d", n, len(t.done)))
		case n == len(t.done):
			parts = append(parts, "all "+s.name)
		default:
			parts = append(parts, fmt.Sprintf("%.1f %% %s", percent(n, len(t.done)), s.name))
		}
	}
	if times := t.seconds(); t.show.seconds && len(times) > 0 {
		parts = append(parts, fmt.Sprintf("%s (%s) s", seconds(median(times)), seconds(slices.Max(times))))
	}
	if sent := t.counts(); t.show.count && len(sent) > 0 {
		parts = append(parts, fmt.Sprintf("%d (%d) datagrams", median(sent), slices.Max(sent)))
	}
	if calls := t.calls(); t.show.calls && len(calls) > 0 {
		parts = append(parts, fmt.Sprintf("%d (%d) reports", median(calls), slices.Max(calls)))
	}
	return strings.Join(parts, ", ")
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f", d.Seconds()) }

// limits counts the limits of both ends by size and source, the most frequent ones
// first.
func (t *trial) limits() string {
	counts := map[string]int{}
	for i := range t.done {
		if a := &t.done[i]; complete(a) {
			counts[fmt.Sprintf("client %v", a.Client)]++
			counts[fmt.Sprintf("server %v", a.Server)]++
		}
	}
	names := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		if counts[a] != counts[b] {
			return counts[b] - counts[a]
		}
		return strings.Compare(a, b)
	})
	var b strings.Builder
	for _, name := range names {
		fmt.Fprintf(&b, "  %d × %s\n", counts[name], name)
	}
	return b.String()
}

// table is a scene as Markdown.
func (s *scene) table() string {
	var rows, columns []string
	cells := map[[2]string]string{}
	for _, t := range s.trials {
		if !slices.Contains(rows, t.row) {
			rows = append(rows, t.row)
		}
		if !slices.Contains(columns, t.column) {
			columns = append(columns, t.column)
		}
		cells[[2]string{t.row, t.column}] = t.summary()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "| %s | %s |\n|%s\n", s.heading, strings.Join(columns, " | "), strings.Repeat("---|", 1+len(columns)))
	for _, row := range rows {
		fmt.Fprintf(&b, "| %s |", row)
		for _, column := range columns {
			fmt.Fprintf(&b, " %s |", cells[[2]string{row, column}])
		}
		b.WriteString("\n")
	}
	return b.String()
}
