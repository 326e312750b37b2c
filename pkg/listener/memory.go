package listener

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// smallBytes is a connection's buffer for queries and for answers, while no
// longer message arrives and the client takes what it is sent. A connection that
// waits holds none.
const smallBytes = 2 << 10

// largeBytes is a buffer for the longest answer, which is used again: making one
// for each costs more than writing the answer.
const largeBytes = prefixBytes + MaxMessageBytes

// memory is what TCP connections have for messages. What one holds beyond
// small buffers counts against a limit for all.
type memory struct {
	small   sync.Pool   // of *[smallBytes]byte
	large   sync.Pool   // of *[largeBytes]byte
	replies chan []byte // space for one reply each, nil until it is used
	limit   int64
	used    atomic.Int64
}

// repliesPerCore is how many connections may be answered at a time. More would
// only wait for a processor with a large buffer each.
const repliesPerCore = 2

func (m *memory) init(limit int) {
	m.limit = int64(limit)
	m.small.New = func() any { return new([smallBytes]byte) }
	m.large.New = func() any { return new([largeBytes]byte) }
	m.replies = make(chan []byte, repliesPerCore*runtime.GOMAXPROCS(0))
	for range cap(m.replies) {
		m.replies <- nil
	}
}

// reply returns an empty buffer for one message of any size. It waits while
// too many are in use; their users do not wait for anything.
func (m *memory) reply() []byte {
	if b := <-m.replies; b != nil {
		return b
	}
	return make([]byte, 0, MaxMessageBytes)
}

// replied takes such a buffer back.
func (m *memory) replied(b []byte) { m.replies <- b }

// get returns an empty buffer of smallBytes.
func (m *memory) get() []byte { return m.small.Get().(*[smallBytes]byte)[:0] }

// room returns b, or a larger buffer with its content, to which n octets can be
// appended. b must not be used any more then.
func (m *memory) room(b []byte, n int) []byte {
	need := len(b) + n
	if need <= cap(b) || need <= largeBytes/2 || need > largeBytes {
		return b // append finds the room
	}
	larger := append(m.large.Get().(*[largeBytes]byte)[:0], b...)
	m.put(b)
	return larger
}

// put takes a buffer back. One of another size is left to the garbage collector.
func (m *memory) put(b []byte) {
	switch cap(b) {
	case smallBytes:
		m.small.Put((*[smallBytes]byte)(b[:smallBytes]))
	case largeBytes:
		m.large.Put((*[largeBytes]byte)(b[:largeBytes]))
	}
}

// take counts n octets more that a connection holds, which then holds own. It
// reports false where that is too much: for all, or more than a quarter of it
// for one.
func (m *memory) take(n, own int) bool {
	return m.used.Add(int64(n)) <= m.limit && int64(own) <= m.limit/4
}

// give counts n octets less.
func (m *memory) give(n int) { m.used.Add(int64(-n)) }
