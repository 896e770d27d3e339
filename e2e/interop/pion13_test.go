package interop

import "testing"

// TestPion13 has pion for a peer that speaks DTLS 1.3.
func TestPion13(t *testing.T) {
	t.Parallel()
	for _, c := range Cases13(Pion13{}.Suites()) {
		t.Run(c.Name(), func(t *testing.T) {
			t.Parallel()
			s := meet(t, c, Pion13{}, nil)
			s.talk("first words")
			s.check(false)
			s.update(true)
			s.talk("words with new keys")
			s.updateTheirs(false)
			s.talk("last words")
			if !c.Loss {
				s.close()
			}
			s.checkPath()
		})
	}
}
