package ccm

import (
	"crypto/aes"
	"fmt"
	"testing"
)

func BenchmarkCCM(b *testing.B) {
	block, _ := aes.NewCipher(make([]byte, 16))
	for _, size := range []int{64, 1200} {
		aead, _ := New(block, 16)
		nonce, ad := make([]byte, NonceSize), make([]byte, 13)
		buf := make([]byte, size, size+16)
		b.Run(fmt.Sprintf("Seal/%d", size), func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				aead.Seal(buf[:0], nonce, buf, ad)
			}
		})
		sealed := aead.Seal(nil, nonce, make([]byte, size), ad)
		out := make([]byte, size)
		b.Run(fmt.Sprintf("Open/%d", size), func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := aead.Open(out[:0], nonce, sealed, ad); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
