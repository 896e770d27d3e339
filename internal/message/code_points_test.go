package message

import "testing"

// TestCodePoints: a second appearance is found among few and among many, and only many are worth a table.
func TestCodePoints(t *testing.T) {
	const stride = 0x9e37 // odd, so that the first 2^16 multiples are all different
	for _, n := range []int{0, 1, 2, 7, 8, 9, 10, 1000, 1 << 16} {
		var s codePoints
		for i := range n {
			if p := uint16(i * stride); !s.add(p) {
				t.Fatalf("%#x of %d is not new", p, n)
			}
		}
		if few := n <= len(s.few); few != (s.bits == nil) {
			t.Errorf("%d code points with a table: %v", n, s.bits != nil)
		}
		for i := range n {
			if p := uint16(i * stride); s.add(p) {
				t.Fatalf("%#x of %d is new again", p, n)
			}
		}
	}
}
