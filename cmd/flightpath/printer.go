package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/fatih/color"
)

// printer turns events into lines that fit a terminal:
//
//	2.9 ms  server → client  26 datagrams, 7119 bytes, largest 300
//	                         server_hello, certificate [0:5998) in 23 fragments, …
type printer struct {
	out     io.Writer
	verbose bool
	palette palette
}

// palette has the colours of a terminal, or none.
type palette struct{ client, server, bad, warn, dim *color.Color }

func newPalette(out io.Writer) palette {
	p := palette{
		client: color.New(color.FgCyan), server: color.New(color.FgMagenta),
		bad: color.New(color.FgRed), warn: color.New(color.FgYellow), dim: color.New(color.Faint),
	}
	for _, c := range []*color.Color{p.client, p.server, p.bad, p.warn, p.dim} {
		if out == io.Writer(os.Stdout) && !color.NoColor { // a terminal, and nobody has set NO_COLOR
			c.EnableColor()
		} else {
			c.DisableColor()
		}
	}
	return p
}

func (p palette) of(s side) *color.Color {
	if s == client {
		return p.client
	}
	return p.server
}

const (
	actionWidth = 16 // as "server ✗ refused"
	textWidth   = 80
)

// indent is the column where texts begin.
var indent = strings.Repeat(" ", len("12345678 ms  ")+actionWidth+len("  "))

func (p *printer) line(at time.Duration, who side, action, text string) {
	lines := wrap(text, textWidth)
	fmt.Fprintf(p.out, "%8.1f ms  %s  %s\n", float64(at)/float64(time.Millisecond),
		p.palette.of(who).Sprintf("%-*s", actionWidth, who.String()+action), lines[0])
	for _, l := range lines[1:] {
		fmt.Fprintf(p.out, "%s%s\n", indent, l)
	}
}

func (p *printer) entry(e *entry) {
	if e.group == nil {
		p.line(e.at, e.who, ":", e.said)
		return
	}
	first := e.group[0]
	text := describe(e.group)
	if first.fate == refused {
		times := ""
		if first.asked > 1 {
			times = ", asked twice"
		}
		p.line(e.at, e.who, " ✗ refused", text)
		fmt.Fprintf(p.out, "%s%s\n", indent, p.palette.bad.Sprintf("%d bytes: EMSGSIZE%s", len(first.datagram), times))
		return
	}
	p.line(e.at, e.who, " → "+e.who.peer().String(), text)
	fmt.Fprintf(p.out, "%s%s%s\n", indent, p.palette.dim.Sprint(measure(e.group)), p.blemishes(e.group))
}

// measure counts the datagrams of an entry and their sizes.
func measure(group []event) string {
	total, largest := 0, 0
	for _, e := range group {
		total += len(e.datagram)
		largest = max(largest, len(e.datagram))
	}
	if len(group) == 1 {
		return fmt.Sprintf("1 datagram, %d bytes", total)
	}
	return fmt.Sprintf("%d datagrams, %d bytes, largest %d", len(group), total, largest)
}

// blemishes says what went wrong with an entry.
func (p *printer) blemishes(group []event) (s string) {
	var fates [refused + 1]int
	again := 0
	for _, e := range group {
		fates[e.fate]++
		if e.again {
			again++
		}
	}
	add := func(c *color.Color, n int, what string) {
		switch {
		case n == 0:
		case n < len(group):
			s += c.Sprintf(", %d %s", n, what)
		case n == 1:
			s += c.Sprintf(", %s", what)
		default:
			s += c.Sprintf(", all %s", what)
		}
	}
	add(p.palette.warn, again, "sent before")
	add(p.palette.bad, fates[swallowed], "swallowed by the black hole")
	add(p.palette.bad, fates[lost], "lost")
	return s
}

// describe lists the messages of an entry, each with the range of its bytes.
func describe(group []event) string {
	var spans []span
	for _, e := range group {
		for _, p := range e.parts {
			i := slices.IndexFunc(spans, func(s span) bool { return s.key == p.key && (p.key != partKey{} || s.name == p.name) })
			if i < 0 {
				spans = append(spans, span{p, 1})
				continue
			}
			s := &spans[i]
			s.lo, s.hi = min(s.lo, p.lo), max(s.hi, p.hi)
			s.pieces++
		}
	}
	texts := make([]string, len(spans))
	for i, s := range spans {
		texts[i] = s.String()
	}
	return strings.Join(texts, ", ")
}

// span is what an entry has of one message.
type span struct {
	part
	pieces int
}

func (s span) String() string {
	text := s.name
	whole := s.hi-s.lo == s.total
	if !whole || s.pieces > 1 && s.total > 0 {
		text += fmt.Sprintf(" [%d:%d)", s.lo, s.hi)
	}
	if !whole {
		text += fmt.Sprintf(" of %d", s.total)
	}
	if s.pieces > 1 && s.total > 0 {
		text += fmt.Sprintf(" in %d fragments", s.pieces)
	}
	return text
}

func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
