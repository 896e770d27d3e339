package transport

import "sync"

// Buffer is where a datagram is sealed.
type Buffer struct{ P []byte }

var buffers = sync.Pool{New: func() any { return &Buffer{make([]byte, 0, 2048)} }}

// GetBuffer returns an empty Buffer, which Release gives back.
func GetBuffer() *Buffer { return buffers.Get().(*Buffer) }

// Release gives the Buffer back.
func (b *Buffer) Release() { buffers.Put(b) }
