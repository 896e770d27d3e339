package record

import (
	"fmt"
	"testing"
)

var benchSizes = []int{64, 1195}

func BenchmarkSeal12(b *testing.B) {
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

// BenchmarkOpen12 opens one record again and again, in a copy since opening is
// in place, with the window forgotten in between.
func BenchmarkOpen12(b *testing.B) {
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

// BenchmarkRecord13 seals and opens records of DTLS 1.3, as the two above do those
// of DTLS 1.2.
func BenchmarkRecord13(b *testing.B) {
	for _, a := range protected {
		for _, size := range benchSizes {
			payload := make([]byte, size)
			b.Run(fmt.Sprintf("seal/%v/%d", a, size), func(b *testing.B) {
				s := newSealer13(b, a)
				s.SetLimit(unlimited)
				buf := make([]byte, 0, size+s.Overhead())
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					if _, _, err := s.Seal(buf, TypeApplicationData, payload, 0); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run(fmt.Sprintf("open/%v/%d", a, size), func(b *testing.B) {
				record := seal13(b, newSealer13(b, a), payload)
				o := newOpener13(b, a, 256)
				fresh, datagram := o.window, make([]byte, len(record))
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					o.window = fresh
					copy(datagram, record)
					u, _, err := NextUnified(datagram, 0)
					if err != nil {
						b.Fatal(err)
					}
					if _, _, _, err := o.Open(u); err != nil {
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
