package interop

import (
	"slices"
	"testing"
)

// The tests in this file prove the harness without our library: each peer
// against itself, through the relay. When one of them and a test of the same
// peer in interop_test.go fail, look at the harness first.

func TestHarnessOpenSSL(t *testing.T) { testHarness(t, OpenSSL{}) }
func TestHarnessGnuTLS(t *testing.T)  { testHarness(t, GnuTLS{}) }
func TestHarnessPion(t *testing.T)    { testHarness(t, Pion{}) }
func TestHarnessMbedTLS(t *testing.T) { testHarness(t, MbedTLS{}) }
func TestHarnessWolfSSL(t *testing.T) { testHarness(t, WolfSSL{}) }

func testHarness(t *testing.T, peer Peer) {
	t.Parallel()
	for _, c := range []Case{
		{Suite: 0xc02b, MTU: 1472},
		{Suite: 0xc02f, MTU: 1232, ALPN: true, ClientCert: true},
		{Suite: 0xc0ae, MTU: 548, ALPN: true, LongChain: true},
		{Suite: 0xc030, MTU: 1232, LongChain: true, ClientCert: true, Loss: !limitsOf(peer).InOrder},
		{Suite: 0xccab, MTU: 548, Identity: LongIdentity},
	} {
		t.Run(c.Name(), func(t *testing.T) {
			t.Parallel()
			run(t, peer, peer, c)
		})
	}
}

func TestPairwiseCoversEveryPair(t *testing.T) {
	for _, levels := range [][]int{{2, 10, 2, 2, 2, 4, 2}, {3, 3, 3, 3}, {1, 5}, {2, 2}} {
		rows := Pairwise(levels)
		for i := range levels {
			for j := i + 1; j < len(levels); j++ {
				for a := range levels[i] {
					for b := range levels[j] {
						met := func(r []int) bool { return r[i] == a && r[j] == b }
						if !slices.ContainsFunc(rows, met) {
							t.Errorf("%v: %d of dimension %d never meets %d of dimension %d", levels, a, i, b, j)
						}
					}
				}
			}
		}
		if len(rows) > len(product(levels)) {
			t.Errorf("%v: %d rows are more than the product", levels, len(rows))
		}
	}
	if n := len(Pairwise([]int{2, 10, 2, 2, 2, 4, 2})); n > 44 {
		t.Errorf("%d rows for the dimensions of a case, want about 40", n)
	}
}

func TestCaseNamesAreUnique(t *testing.T) {
	seen := make(map[string]bool)
	for _, c := range Cases(OpenSSL{}) {
		if seen[c.Name()] {
			t.Errorf("two cases are named %s", c.Name())
		}
		seen[c.Name()] = true
	}
}
