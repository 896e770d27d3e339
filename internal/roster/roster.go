package roster

// Roster has the associations of a socket by key, which is the peer's address.
// A key has at most three associations:
//
//   - Accepted: established, or in its handshake if it is the only one that was
//     accepted.
//   - Newcomer: accepted while another association has the key (RFC 6347, Section
//     4.2.8). It replaces that one when its handshake is complete.
//   - Dialed: begun from this side. It replaces nothing: when two nodes dial each
//     other at the same time, both associations live.
type Roster[K comparable, T any] struct {
	accepted, newcomers, dialed Table[K, T]
}

// At are the associations of a key; each may be nil.
type At[T any] struct{ Accepted, Newcomer, Dialed *T }

// Newest is the accepted association that began last, nil if there is none.
func (at At[T]) Newest() *T {
	if at.Newcomer != nil {
		return at.Newcomer
	}
	return at.Accepted
}

// At returns the associations of a key. Most sockets have associations of one
// kind only, so empty tables are not searched.
func (r *Roster[K, T]) At(key K) (at At[T]) {
	at.Accepted = r.accepted.Get(key)
	if r.newcomers.Len() > 0 {
		at.Newcomer = r.newcomers.Get(key)
	}
	if r.dialed.Len() > 0 {
		at.Dialed = r.dialed.Get(key)
	}
	return at
}

// Dial puts in an association that begins its handshake from this side, in place
// of the dialed one that had the key.
func (r *Roster[K, T]) Dial(key K, a *T) { r.dialed.Put(key, a) }

// Accept puts in an association that begins its handshake as the server. It takes
// the place of displaced, an accepted association of that key. If that is nil it
// becomes Accepted, or the Newcomer of a key that has one.
func (r *Roster[K, T]) Accept(key K, a, displaced *T) {
	if r.newcomers.Remove(key, displaced) || displaced == nil && r.accepted.Get(key) != nil {
		r.newcomers.Put(key, a)
		return
	}
	r.accepted.Put(key, a)
}

// Complete makes a Newcomer, whose handshake is complete, the Accepted one. It
// returns the association that was that, nil if a was no Newcomer.
func (r *Roster[K, T]) Complete(key K, a *T) (replaced *T) {
	if !r.newcomers.Remove(key, a) {
		return nil
	}
	replaced = r.accepted.Get(key)
	r.accepted.Put(key, a)
	return replaced
}

// Remove takes an association out. A Newcomer of its key becomes Accepted.
func (r *Roster[K, T]) Remove(key K, a *T) {
	if r.dialed.Remove(key, a) || r.newcomers.Remove(key, a) || !r.accepted.Remove(key, a) {
		return
	}
	if newcomer := r.newcomers.Get(key); newcomer != nil {
		r.newcomers.Remove(key, newcomer)
		r.accepted.Put(key, newcomer)
	}
}

// Len is the number of associations, and how many of them were dialed.
func (r *Roster[K, T]) Len() (all, dialed int) {
	dialed = r.dialed.Len()
	return r.accepted.Len() + r.newcomers.Len() + dialed, dialed
}

// All returns every association, in no order.
func (r *Roster[K, T]) All() []*T {
	n, _ := r.Len()
	return r.dialed.appendTo(r.newcomers.appendTo(r.accepted.appendTo(make([]*T, 0, n))))
}
