// Package testkit has what tests of any package need: waiting, free ports, a buffer
// for the output of programs. Scripted DNS servers and clients are in dnstest.
package testkit

import (
	"bytes"
	"sync"
)

// Buffer is a buffer that several goroutines may use, for the output of programs.
type Buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements [io.Writer].
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

// String returns what was written so far.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
