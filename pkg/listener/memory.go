package listener

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// smallBytes is the size of a connection's buffer for queries, and of that for
// answers, as long as messages are short and the client receives its answers in time.
// An idle connection has no buffer.
const smallBytes = 2 << 10

// largeBytes is the size of a buffer for the longest answer. These buffers are
// reused: to allocate one would cost more than to write the answer.
const largeBytes = prefixBytes + MaxMessageBytes

// memory provides the buffers of TCP connections. Buffers larger than smallBytes count
// against a limit for all connections.
type memory struct {
	small   sync.Pool    // of *[smallBytes]byte
	large   sync.Pool    // of *[largeBytes]byte
	replies chan []byte  // buffers for one reply each; nil elements are allocated when used
	limit   int64        // octets; Config.maxBufferBytes
	used    atomic.Int64 // octets that count against limit
}

// repliesPerCore is how many queries are handled at the same time for each core. More
// would only wait for a processor, each with a large buffer.
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

// replyBuffer returns an empty buffer for one message of any size. It waits while too
// many are in use; goroutines that use one do not block. The caller must return it
// with returnReplyBuffer.
func (m *memory) replyBuffer() []byte {
	if b := <-m.replies; b != nil {
		return b
	}
	return make([]byte, 0, MaxMessageBytes)
}

// returnReplyBuffer returns a buffer of replyBuffer.
func (m *memory) returnReplyBuffer(b []byte) { m.replies <- b }

// smallBuffer returns an empty buffer with a capacity of smallBytes. The caller may
// return it with returnBuffer.
func (m *memory) smallBuffer() []byte { return m.small.Get().(*[smallBytes]byte)[:0] }

// room returns b, or a larger buffer with the same content, to which n octets can be
// appended. The caller must no longer use b.
func (m *memory) room(b []byte, n int) []byte {
	need := len(b) + n
	if need <= cap(b) || need <= largeBytes/2 || need > largeBytes {
		return b // it is large enough, or append allocates
	}
	larger := append(m.large.Get().(*[largeBytes]byte)[:0], b...)
	m.returnBuffer(b)
	return larger
}

// returnBuffer makes a buffer of smallBytes or largeBytes available for reuse. It
// ignores others, which the garbage collector frees.
func (m *memory) returnBuffer(b []byte) {
	switch cap(b) {
	case smallBytes:
		m.small.Put((*[smallBytes]byte)(b[:smallBytes]))
	case largeBytes:
		m.large.Put((*[largeBytes]byte)(b[:largeBytes]))
	}
}

// charge counts n more octets for a connection, which then uses own octets. It returns
// false if all connections together now exceed the limit, or this one a quarter of it.
func (m *memory) charge(n, own int) bool {
	return m.used.Add(int64(n)) <= m.limit && int64(own) <= m.limit/4
}

// uncharge counts n octets less.
func (m *memory) uncharge(n int) { m.used.Add(int64(-n)) }
