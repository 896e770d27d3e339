package interop

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/flightpath-dtls/flightpath/internal/dtlstest"
)

// TestPion13Updates changes the keys of an association: data crosses before,
// meanwhile and after.
func TestPion13Updates(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		then func(*pionScene)
	}{
		{"our keys change", func(s *pionScene) {
			s.update(false)
			s.epochs(4, 3)
			s.talk("words between")
			s.update(false)
			s.epochs(5, 3)
		}},
		{"we ask for new keys of both", func(s *pionScene) {
			s.update(true)
			s.epochs(4, 4)
			s.talk("words between")
			s.update(true)
			s.epochs(5, 5)
		}},
		{"the keys of pion change", func(s *pionScene) {
			s.updateTheirs(false)
			s.epochs(3, 4)
			s.talk("words between")
			s.updateTheirs(false)
			s.epochs(3, 5)
		}},
		{"pion asks for new keys of both", func(s *pionScene) {
			s.updateTheirs(true)
			s.epochs(4, 4)
			s.talk("words between")
			s.updateTheirs(true)
			s.epochs(5, 5)
		}},
		{"both ask for new keys of both at once", func(s *pionScene) {
			s.updateBoth(true)
			s.talk("words between")
			s.updateBoth(true)
		}},
		{"both change theirs at once", func(s *pionScene) {
			s.updateBoth(false)
			s.epochs(4, 4)
		}},
		{"while both talk", func(s *pionScene) {
			s.babble(func() {
				s.update(true)
				s.updateTheirs(true)
			})
		}},

		{"our KeyUpdate is lost", func(s *pionScene) { s.loseNext(s.fromUs()); s.update(true); s.epochs(4, 4) }},
		{"the KeyUpdate of pion is lost", func(s *pionScene) { s.loseNext(s.fromPion()); s.updateTheirs(true); s.epochs(4, 4) }},
		{"our ACK of a KeyUpdate is lost", func(s *pionScene) { s.loseNext(s.fromUs()); s.updateTheirs(false); s.epochs(3, 4) }},
		{"the ACK of pion for a KeyUpdate is lost", func(s *pionScene) { s.loseNext(s.fromPion()); s.update(false); s.epochs(4, 3) }},
		{"through 20 % loss", func(s *pionScene) {
			for _, d := range []dtlstest.Direction{dtlstest.ToServer, dtlstest.ToClient} {
				s.relay.SetPath(d, dtlstest.Path{LossEvery: 5, Reorder: 0.1})
			}
			everyEpoch(s)
		}},
	} {
		eachRole(t, c.name, func(t *testing.T, r role) { updating(t, plain13(r), c.then) })
	}
	for _, id := range (Pion13{}).Suites() {
		eachRole(t, "every epoch with "+suiteByID(id).name, func(t *testing.T, r role) {
			c := plain13(r)
			c.Suite = id
			updating(t, c, everyEpoch)
		})
	}
}

func updating(t *testing.T, c Case13, then func(*pionScene)) {
	s := meet(t, c, Pion13{}, nil)
	s.talk("first words")
	s.check(false)
	then(s)
	s.talk("last words")
	s.agree(false)
}

// everyEpoch has both sides change their keys until the two bits of the epoch in a
// record have come round.
func everyEpoch(s *pionScene) {
	for epoch := uint64(4); epoch < 9; epoch++ {
		if epoch%2 == 0 {
			s.update(true)
		} else {
			s.updateTheirs(true)
		}
		s.epochs(epoch, epoch)
		s.talk(fmt.Sprintf("epoch %d", epoch))
	}
}

// updateBoth changes the keys of both sides at the same time.
func (s *pionScene) updateBoth(requestPeer bool) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), caseTimeout)
	defer cancel()
	var both sync.WaitGroup
	both.Go(func() {
		if err := s.ours.connection().UpdateKeys(ctx, requestPeer); err != nil {
			s.Errorf("UpdateKeys: %v", err)
		}
	})
	both.Go(func() {
		if err := s.theirs.update(ctx, requestPeer); err != nil {
			s.Errorf("pion: UpdateKeys: %v", err)
		}
	})
	both.Wait()
	if s.Failed() {
		s.FailNow()
	}
}

// babble has both ends send lines while do is done again and again. None of them
// may be missing in the end: records of an earlier epoch are still read.
func (s *pionScene) babble(do func()) {
	s.Helper()
	const rounds = 10
	stop := make(chan struct{})
	var talkers sync.WaitGroup
	var said [2][]string
	ends := [2]Endpoint{s.ours, s.theirs}
	for i, from := range ends {
		talkers.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				case <-time.After(time.Millisecond): // no queue may overflow
				}
				line := fmt.Sprintf("line %d of end %d.", n, i)
				if err := from.Say(line); err != nil {
					s.Error(err)
					return
				}
				said[i] = append(said[i], line)
			}
		})
	}
	for range rounds {
		do()
		time.Sleep(3 * time.Millisecond)
	}
	close(stop)
	talkers.Wait()
	for i, from := range ends {
		if len(said[i]) < rounds {
			s.Errorf("%T said %d lines", from, len(said[i]))
		}
		for _, line := range said[i] {
			s.await(line, func() bool { return ends[1-i].Heard(line) })
		}
	}
}
