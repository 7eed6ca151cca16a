// Package locked has what a test reads while others write to it.
package locked

import (
	"bytes"
	"sync"
)

// Buffer is a bytes.Buffer for many goroutines, such as a log. Its zero value is empty.
type Buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer // by mu
}

// Write appends to what is there.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

// String is what was written so far.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
