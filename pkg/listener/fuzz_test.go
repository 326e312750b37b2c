package listener

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// FuzzLocalOf compares localOf with x/sys's parser. That parser refuses the whole buffer
// where localOf only stops, so the two must agree only if x/sys succeeds.
func FuzzLocalOf(f *testing.F) {
	var c control
	for _, ip := range []string{"127.0.0.2", "::1", "fe80::1"} {
		n := c.setLocal(netip.MustParseAddr(ip))
		f.Add(bytes.Clone(c[:n]))
		f.Add(append(bytes.Repeat([]byte{0}, 16), c[:n]...))
		f.Add(c[:n-5])
	}
	other := make([]byte, 24) // a timestamp option before the packet info
	binary.NativeEndian.PutUint64(other, 24)
	binary.NativeEndian.PutUint32(other[8:], unix.SOL_SOCKET)
	n := c.setLocal(netip.MustParseAddr("127.0.0.2"))
	f.Add(slices.Concat(other, c[:n]))
	f.Fuzz(func(t *testing.T, b []byte) {
		got := localOf(b)
		msgs, err := syscall.ParseSocketControlMessage(b)
		if err != nil {
			return
		}
		if want := slowLocalOf(msgs); got != want {
			t.Errorf("%x: got %v, want %v", b, got, want)
		}
	})
}

func slowLocalOf(msgs []syscall.SocketControlMessage) netip.Addr {
	for _, m := range msgs {
		switch {
		case m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_PKTINFO && len(m.Data) >= 12:
			return netip.AddrFrom4([4]byte(m.Data[4:8]))
		case m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_PKTINFO && len(m.Data) >= 20:
			return netip.AddrFrom16([16]byte(m.Data[:16]))
		}
	}
	return netip.Addr{}
}

func TestControlRoundTrip(t *testing.T) {
	for _, ip := range []string{"127.0.0.2", "255.1.2.3", "::1", "2001:db8::5"} {
		var c control
		for i := range c {
			c[i] = 0xff // what an earlier packet left
		}
		addr := netip.MustParseAddr(ip)
		b := c[:c.setLocal(addr)]
		msgs, err := syscall.ParseSocketControlMessage(b)
		if err != nil || len(msgs) != 1 {
			t.Fatalf("%s: %d messages, %v", ip, len(msgs), err)
		}
		index := msgs[0].Data[:4]
		if addr.Is6() {
			index = msgs[0].Data[16:20]
		} else if want := addr.As4(); !bytes.Equal(msgs[0].Data[4:8], want[:]) {
			t.Errorf("%s: source is %x", ip, msgs[0].Data[4:8])
		}
		if !bytes.Equal(index, make([]byte, 4)) {
			t.Errorf("%s: names interface %x, want any", ip, index)
		}
		if got := localOf(b); got != addr {
			t.Errorf("%s: read back as %v", ip, got)
		}
	}
}

func TestSockaddrRoundTrip(t *testing.T) {
	for _, tt := range []struct {
		peer  string
		scope uint32
	}{{"127.0.0.1:53", 0}, {"[::1]:65535", 0}, {"[fe80::1]:1", 3}} {
		var a sockaddr
		for i := range a {
			a[i] = 0xff
		}
		want := netip.MustParseAddrPort(tt.peer)
		a.set(want, tt.scope)
		if got, scope := a.peer(); got != want || scope != tt.scope {
			t.Errorf("%s scope %d: got %v scope %d", tt.peer, tt.scope, got, scope)
		}
	}
	if got, _ := new(sockaddr).peer(); got.IsValid() {
		t.Errorf("unknown family gives %v", got)
	}
}

// FuzzFrames cuts a stream at an arbitrary place, and checks that the messages are the same
// as those of the whole stream.
func FuzzFrames(f *testing.F) {
	f.Add(appendFrame(appendFrame(nil, []byte("one")), nil), uint(3))
	f.Add([]byte{0xff, 0xff, 1}, uint(1))
	f.Add([]byte{0}, uint(0))
	f.Fuzz(func(t *testing.T, stream []byte, cut uint) {
		whole, rest := frames(stream)
		var again []byte
		for _, m := range whole {
			again = appendFrame(again, m)
		}
		if again = append(again, rest...); !bytes.Equal(again, stream) {
			t.Errorf("%x came back as %x", stream, again)
		}
		at := int(cut % uint(len(stream)+1))
		first, left := frames(stream[:at])
		then, left := frames(append(bytes.Clone(left), stream[at:]...))
		if got := append(first, then...); !equal(got, whole) || !bytes.Equal(left, rest) {
			t.Errorf("%x cut at %d: got %x and %x, want %x and %x", stream, at, got, left, whole, rest)
		}
		if len(rest) >= prefixBytes && len(rest) >= prefixBytes+int(binary.BigEndian.Uint16(rest)) {
			t.Errorf("rest %x holds a whole message", rest)
		}
	})
}

func frames(b []byte) (msgs [][]byte, rest []byte) {
	for {
		msg, next, whole := nextFrame(b)
		if !whole {
			return msgs, b
		}
		msgs = append(msgs, msg)
		b = next
	}
}

func equal(a, b [][]byte) bool {
	return bytes.Equal(bytes.Join(a, []byte("|")), bytes.Join(b, []byte("|"))) && len(a) == len(b)
}

// TestKeep: the octets stay, there is always room for more, and what is
// counted is what is held.
func TestKeep(t *testing.T) {
	for _, tt := range []struct{ length, capacity, from int }{
		{0, smallBytes, 0},
		{smallBytes, smallBytes, 0},
		{smallBytes, smallBytes, 100},
		{4 * smallBytes, 4 * smallBytes, 0},
		{4 * smallBytes, 4 * smallBytes, 4*smallBytes - 5},
		{4 * smallBytes, 4 * smallBytes, 4 * smallBytes},
	} {
		c := &conn{srv: &Server{}}
		c.srv.memory.init(1 << 20)
		c.in.buf = append(make([]byte, 0, tt.capacity), query(1, max(tt.length, 12))[:tt.length]...)
		if tt.capacity > smallBytes {
			c.srv.memory.charge(tt.capacity, tt.capacity)
		}
		want := bytes.Clone(c.in.buf[tt.from:])
		if !c.keep(c.in.buf[tt.from:]) {
			t.Errorf("%+v: no memory", tt)
		}
		got := c.in.buf
		if !bytes.Equal(got, want) || len(got) > 0 && cap(got) == len(got) {
			t.Errorf("%+v: %d octets, capacity %d", tt, len(got), cap(got))
		}
		switch {
		case len(want) == 0 && got != nil:
			t.Errorf("%+v: nothing left, but %d octets of memory", tt, cap(got))
		case len(want) < smallBytes && cap(got) > smallBytes:
			t.Errorf("%+v: a short rest keeps %d octets of memory", tt, cap(got))
		}
		counted := 0
		if cap(got) > smallBytes {
			counted = cap(got)
		}
		if n := int(c.srv.memory.used.Load()); n != counted {
			t.Errorf("%+v: %d octets counted, %d held", tt, n, counted)
		}
	}
}
