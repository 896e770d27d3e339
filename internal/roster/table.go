package roster

// Table finds associations by a key, such as the peer's address. Unlike a map of
// Go, which keeps the room of its largest size, it gives memory back.
type Table[K comparable, T any] struct {
	m shrinkingMap[K, *T]
}

// Len is the number of associations.
func (t *Table[K, T]) Len() int { return len(t.m.m) }

// Get returns the association of a key, nil if there is none.
func (t *Table[K, T]) Get(key K) *T { return t.m.m[key] }

// Put gives a key to an association, in place of the one that had it.
func (t *Table[K, T]) Put(key K, a *T) { t.m.put(key, a) }

// Remove takes an association out, and reports whether it had the key.
func (t *Table[K, T]) Remove(key K, a *T) bool {
	if a == nil || t.m.m[key] != a {
		return false
	}
	t.m.remove(key)
	return true
}

// appendTo appends every association to list.
func (t *Table[K, T]) appendTo(list []*T) []*T {
	for _, a := range t.m.m {
		list = append(list, a)
	}
	return list
}

// shrinkingMap is built anew when a quarter of its largest size is left.
type shrinkingMap[K comparable, V any] struct {
	m    map[K]V
	peak int // largest size since it was built
}

const shrinkFrom = 1024 // entries

func (s *shrinkingMap[K, V]) put(key K, v V) {
	if s.m == nil {
		s.m = make(map[K]V)
	}
	s.m[key] = v
	s.peak = max(s.peak, len(s.m))
}

func (s *shrinkingMap[K, V]) remove(key K) {
	delete(s.m, key)
	if s.peak < shrinkFrom || len(s.m) > s.peak/4 {
		return
	}
	smaller := make(map[K]V, len(s.m))
	for k, v := range s.m {
		smaller[k] = v
	}
	s.m, s.peak = smaller, len(smaller)
}
