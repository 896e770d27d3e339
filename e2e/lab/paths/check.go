package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// check lists the requirements that do not hold.
func check(trials []*trial) error {
	var errs []error
	for _, t := range trials {
		if len(t.done) == 0 {
			errs = append(errs, fmt.Errorf("%v: no association was tried", t))
			continue
		}
		for _, s := range t.shares {
			if n := t.having(s); percent(n, len(t.done)) < s.percent {
				errs = append(errs, fmt.Errorf("%v: %s are %d of %d, want %v %%", t, s.name, n, len(t.done), s.percent))
			}
		}
		if times := t.seconds(); t.median > 0 && len(times) > 0 && median(times) > t.median {
			errs = append(errs, fmt.Errorf("%v: a median of %v, want at most %v", t, median(times), t.median))
		}
		if sent := t.counts(); t.datagrams > 0 && len(sent) > 0 && slices.Max(sent) > t.datagrams {
			errs = append(errs, fmt.Errorf("%v: %d datagrams, want at most %d", t, slices.Max(sent), t.datagrams))
		}
	}
	return errors.Join(errs...)
}

// misses says what an association lacks, "" if nothing that is required.
func (t *trial) misses(a *association) string {
	var lacks []string
	for _, s := range t.shares {
		if s.percent > 0 && !s.has(a) {
			lacks = append(lacks, "not: "+s.name)
		}
	}
	if t.datagrams > 0 && a.Datagrams > t.datagrams {
		lacks = append(lacks, fmt.Sprintf("%d datagrams", a.Datagrams))
	}
	return strings.Join(lacks, "; ")
}

func (t *trial) having(s share) (n int) {
	for i := range t.done {
		if s.has(&t.done[i]) {
			n++
		}
	}
	return n
}

func percent(n, of int) float64 { return 100 * float64(n) / float64(of) }

// seconds, counts and calls are of the associations that are complete.

func (t *trial) seconds() []time.Duration {
	return collect(t, func(a *association) time.Duration { return a.Took })
}

func (t *trial) counts() []int { return collect(t, func(a *association) int { return a.Datagrams }) }

func (t *trial) calls() []int { return collect(t, func(a *association) int { return a.Calls }) }

func collect[T any](t *trial, of func(*association) T) (list []T) {
	for i := range t.done {
		if a := &t.done[i]; complete(a) {
			list = append(list, of(a))
		}
	}
	return list
}

// median of a list that is not empty; of an even number the mean of the middle
// two.
func median[T int | time.Duration](list []T) T {
	sorted := slices.Sorted(slices.Values(list))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
