package door

import (
	"net/netip"
	"sync"
	"time"
)

const (
	Workers = 8   // goroutines that call it
	maxJobs = 256 // hellos that wait for it or are in it

	// A prefix has at most one in share of both.
	share = 4

	// patience is how long a hello waits for its turn before its repetition is
	// answered at once.
	patience = 500 * time.Millisecond
)

// Jobs are first hellos that wait for GetConfigForClient, or are in it.
type Jobs[P any] struct {
	mu       sync.Mutex
	waiting  []*Job[P] // oldest first
	all      map[netip.AddrPort]*Job[P]
	prefixes map[netip.Prefix]prefixJobs
	running  int    // goroutines
	asked    uint64 // cookies sent after it
	inline   uint64 // hellos that were answered at once
}

// Job is one of them; Peer is the owner's address of its sender.
type Job[P any] struct {
	*Question
	Peer    P
	Prefix  netip.Prefix
	running bool
}

// prefixJobs are those of one prefix.
type prefixJobs struct{ all, running int }

// count adds to the jobs of a prefix.
func (j *Jobs[P]) count(prefix netip.Prefix, all, running int) {
	n := j.prefixes[prefix]
	n.all += all
	n.running += running
	if n.all == 0 {
		delete(j.prefixes, prefix)
		return
	}
	j.prefixes[prefix] = n
}

// add takes a hello. now: it has to be answered at once instead. Neither holds for a
// repetition of a hello that is here.
func (j *Jobs[P]) add(job *Job[P]) (added, now bool) {
	if old := j.all[job.From]; old != nil {
		same := string(old.body) == string(job.body)
		if same && (old.running || job.At.Sub(old.At) < patience) {
			return false, false
		}
		if same {
			j.remove(old)
		}
		return false, true
	}
	if len(j.all) >= maxJobs || j.prefixes[job.Prefix].all >= maxJobs/share {
		return false, true
	}
	if j.all == nil {
		j.all, j.prefixes = map[netip.AddrPort]*Job[P]{}, map[netip.Prefix]prefixJobs{}
	}
	j.all[job.From] = job
	j.waiting = append(j.waiting, job)
	j.count(job.Prefix, 1, 0)
	return true, false
}

// next gives the hello that has waited longest of those whose prefix has a
// goroutine left, nil if there is none.
func (j *Jobs[P]) next() *Job[P] {
	for i, job := range j.waiting {
		if j.prefixes[job.Prefix].running < Workers/share {
			j.waiting = append(j.waiting[:i], j.waiting[i+1:]...)
			job.running = true
			j.count(job.Prefix, 0, 1)
			return job
		}
	}
	return nil
}

// remove takes a hello out.
func (j *Jobs[P]) remove(job *Job[P]) {
	delete(j.all, job.From)
	if job.running {
		j.count(job.Prefix, -1, -1)
		return
	}
	j.count(job.Prefix, -1, 0)
	for i := range j.waiting {
		if j.waiting[i] == job {
			j.waiting = append(j.waiting[:i], j.waiting[i+1:]...)
			return
		}
	}
}

// Submit adds a hello. start: another goroutine has to run.
func (j *Jobs[P]) Submit(job *Job[P]) (start, now bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	added, now := j.add(job)
	if now {
		j.inline++
	}
	if start = added && j.running < Workers; start {
		j.running++
	}
	return start, now
}

// Advance ends a job, if there was one, and gives the next, nil if there is none;
// asked: a cookie is sent for the one before. After closed no job begins.
func (j *Jobs[P]) Advance(before *Job[P], asked, closed bool) *Job[P] {
	j.mu.Lock()
	defer j.mu.Unlock()
	if before != nil {
		j.remove(before)
	}
	if asked {
		j.asked++
	}
	if closed {
		j.waiting = nil
	}
	job := j.next()
	if job == nil {
		j.running--
	}
	return job
}

// Counts are the cookies sent after GetConfigForClient, and the hellos answered at
// once.
func (j *Jobs[P]) Counts() (asked, inline uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.asked, j.inline
}
