package mmsg

import (
	"bytes"
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
)

// pair returns two connected datagram sockets.
func pair(tb testing.TB) (a, b int) {
	tb.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = unix.Close(fds[0]); _ = unix.Close(fds[1]) })
	return fds[0], fds[1]
}

// receive returns copies of all packets that wait at fd.
func receive(tb testing.TB, fd int, in *Inbox) (packets []string) {
	tb.Helper()
	for {
		n, errno := Receive(fd, in.Headers)
		if errno == unix.EAGAIN {
			return packets
		}
		if errno != 0 {
			tb.Fatal(errno)
		}
		for i := range n {
			packets = append(packets, string(in.Packet(i)))
		}
	}
}

func TestQueueSendsInOrder(t *testing.T) {
	a, b := pair(t)
	q := NewQueue(4)
	for i := range 4 {
		if q.Full() {
			t.Fatalf("full after %d of 4 messages", i)
		}
		q.Add(fmt.Appendf(nil, "message %d", i))
	}
	if !q.Full() {
		t.Fatal("4 of 4 messages and not full")
	}
	if sent, errno := q.Flush(a); sent != 4 || errno != 0 || q.Len() != 0 {
		t.Fatalf("Flush = %d, %v with %d left; want all 4 sent", sent, errno, q.Len())
	}
	got := receive(t, b, NewInbox(3, 64))
	if want := "[message 0 message 1 message 2 message 3]"; fmt.Sprint(got) != want {
		t.Errorf("received %v, want %v", got, want)
	}
}

// Messages of every size around what is left of the memory are all sent whole.
func TestOutboxNeverOverflows(t *testing.T) {
	a, b := pair(t)
	out, in := NewOutbox(8, 1000), NewInbox(8, 4096)
	for size := 1; size <= 2100; size += 7 {
		var want []string
		for i := range 8 {
			msg := bytes.Repeat([]byte{byte('a' + i)}, size)
			out.Put(append(out.Space(), msg...))
			want = append(want, string(msg))
		}
		if sent, errno := out.Flush(a); sent != 8 || errno != 0 {
			t.Fatalf("messages of %d octets: Flush = %d, %v", size, sent, errno)
		}
		if out.Len() != 0 || out.Room() != 1000 {
			t.Fatalf("after Flush %d messages and room for %d octets", out.Len(), out.Room())
		}
		got := receive(t, b, in)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("messages of %d octets arrived changed", size)
		}
	}
}

func TestFullSendBufferDropsTheRest(t *testing.T) {
	a, _ := pair(t)
	q := NewQueue(64)
	for range 100 { // bounded: the socket's queue is far shorter
		for !q.Full() {
			q.Add([]byte("x"))
		}
		sent, errno := q.Flush(a)
		if q.Len() != 0 {
			t.Fatalf("%d messages left after Flush", q.Len())
		}
		if sent < 64 {
			if errno != unix.EAGAIN {
				t.Fatalf("error is %v, want EAGAIN", errno)
			}
			return
		}
	}
	t.Fatal("the send buffer never filled")
}

func TestTruncated(t *testing.T) {
	a, b := pair(t)
	q := NewQueue(2)
	q.Add([]byte("12345678"))
	q.Add([]byte("123456789"))
	q.Flush(a)
	in := NewInbox(2, 8)
	if n, errno := Receive(b, in.Headers); n != 2 || errno != 0 {
		t.Fatalf("Receive = %d, %v", n, errno)
	}
	if in.Headers[0].Truncated() || !in.Headers[1].Truncated() {
		t.Errorf("truncated: %v, %v; want false, true", in.Headers[0].Truncated(), in.Headers[1].Truncated())
	}
}

func TestNothingAllocates(t *testing.T) {
	a, b := pair(t)
	in, out, msg := NewInbox(8, 512), NewOutbox(8, 8*512), make([]byte, 300)
	got := testing.AllocsPerRun(200, func() {
		for !out.Full() {
			out.Put(append(out.Space(), msg...))
		}
		out.Flush(a)
		Receive(b, in.Headers)
	})
	if got != 0 {
		t.Errorf("%v allocations for a batch, want 0", got)
	}
}
