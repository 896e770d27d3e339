package keys

import "runtime"

// Wipe overwrites secrets with zeros once they have served. It does what Go
// allows: copies made by the garbage collector's stack moves, or kept by the
// standard library, are out of reach.
func Wipe(bs ...[]byte) {
	for _, b := range bs {
		clear(b)
	}
	runtime.KeepAlive(bs) // the zeros are meant, even if no one reads them
}
