// Package tally works on structs of counters, all of whose fields are of type uint64.
package tally

import (
	"fmt"
	"reflect"
	"strings"
	"unicode"
)

// Add adds the counters of o to those of d.
func Add[T any](d *T, o T) { combine(d, o, func(a, b uint64) uint64 { return a + b }) }

// Minus is d without what o has counted already.
func Minus[T any](d, o T) T {
	combine(&d, o, func(a, b uint64) uint64 { return a - b })
	return d
}

func combine[T any](d *T, o T, f func(a, b uint64) uint64) {
	to, from := reflect.ValueOf(d).Elem(), reflect.ValueOf(o)
	for i := range to.NumField() {
		n := to.Field(i)
		n.SetUint(f(n.Uint(), from.Field(i).Uint()))
	}
}

// Sum is that of all counters.
func Sum[T any](d T) (sum uint64) {
	for _, n := range reflect.ValueOf(d).Fields() {
		sum += n.Uint()
	}
	return sum
}

// String lists the counters that are not 0 by the names of their fields, in words: "bad
// mac 2, replayed 1".
func String[T any](d T) string {
	var list []string
	for field, n := range reflect.ValueOf(d).Fields() {
		if n.Uint() > 0 {
			list = append(list, fmt.Sprintf("%s %d", words(field.Name), n.Uint()))
		}
	}
	if list == nil {
		return "none"
	}
	return strings.Join(list, ", ")
}

// words cuts the name of a field where a word begins.
func words(name string) string {
	var b strings.Builder
	small := false
	for _, r := range name {
		if small && unicode.IsUpper(r) {
			b.WriteByte(' ')
		}
		small = unicode.IsLower(r)
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
