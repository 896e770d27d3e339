package record

import (
	"fmt"
	"testing"
)

var benchSizes = []int{64, 1200}

func BenchmarkSeal(b *testing.B) {
	for _, a := range everyAEAD {
		for _, size := range benchSizes {
			b.Run(fmt.Sprintf("%v/%d", a, size), func(b *testing.B) {
				s := newSealer(b, a)
				s.SetLimit(unlimited)
				payload, buf := make([]byte, size), make([]byte, 0, size+s.Overhead())
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					if _, _, err := s.Seal(buf, TypeApplicationData, VersionDTLS12, payload); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkOpen opens one record again and again, in a copy since opening is
// in place, with the window forgotten in between.
func BenchmarkOpen(b *testing.B) {
	for _, a := range everyAEAD {
		for _, size := range benchSizes {
			b.Run(fmt.Sprintf("%v/%d", a, size), func(b *testing.B) {
				record := seal(b, newSealer(b, a), make([]byte, size))
				o := newOpener(b, a, 256)
				fresh, datagram := o.window, make([]byte, len(record))
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					o.window = fresh
					copy(datagram, record)
					h, fragment, _, err := Next(datagram)
					if err != nil {
						b.Fatal(err)
					}
					if _, err := o.Open(h, fragment); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkWindow marks numbers in order: the cost of the window alone.
func BenchmarkWindow(b *testing.B) {
	for _, size := range []int{64, 256, 4096} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			w := mustWindow(b, size)
			b.ReportAllocs()
			for seq := uint64(0); b.Loop(); seq++ {
				if err := w.Check(seq); err != nil {
					b.Fatal(err)
				}
				w.Mark(seq)
			}
		})
	}
}
