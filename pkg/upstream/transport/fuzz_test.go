package transport

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/wire"
)

const fuzzName = "\x03wWw\x07eXample\x00"

// told records the events of calls.
type told struct {
	replies  map[int][]byte // by Call.Index
	miscased int
	failed   int
	calls    int
}

func newTold() *told { return &told{replies: map[int][]byte{}} }

func (o *told) Replied(c *Call, msg []byte, _ bool, _ int64) {
	o.calls++
	o.replies[c.Index] = bytes.Clone(msg)
}

func (o *told) Miscased(*Call, int64) {
	o.calls++
	o.miscased++
}

func (o *told) Failed(*Call, Failure, int64) {
	o.calls++
	o.failed++
}

func (o *told) Flush() {}

// envOf makes an environment whose events all go to o.
func envOf(o Events) Env {
	return Env{
		Now:     func() int64 { return int64(time.Hour) },
		Acquire: func() Events { return o },
		Recycle: func(Events) {},
		Crashed: func(_ netip.AddrPort, _ []byte, cause any) { panic(cause) },
	}
}

func fuzzQuestion() *Question {
	return &Question{Name: []byte(fuzzName), Type: wire.TypeA, Class: wire.ClassIN, Payload: 1232}
}

func packed(m *dns.Msg) []byte {
	b, err := m.Pack()
	if err != nil {
		panic(err)
	}
	return b
}

// packets returns packets that servers might send.
func packets(id uint16, name string) [][]byte {
	q := new(dns.Msg).SetQuestion(name, dns.TypeA)
	q.Id = id
	good := new(dns.Msg).SetReply(q)
	rr, err := dns.NewRR(name + " 30 A 127.1.0.1")
	if err != nil {
		panic(err)
	}
	good.Answer = []dns.RR{rr}
	good.SetEdns0(1232, false)
	lower := good.Copy()
	lower.Question[0].Name = strings.ToLower(name)
	cut := good.Copy()
	cut.Truncated, cut.Answer = true, nil
	bare := []byte{byte(id >> 8), byte(id), 0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0}
	list := [][]byte{packed(good), packed(lower), packed(cut), packed(q), bare, nil, {1}}
	for _, rcode := range []int{dns.RcodeServerFailure, dns.RcodeNameError, dns.RcodeFormatError, dns.RcodeRefused} {
		list = append(list, packed(new(dns.Msg).SetRcode(q, rcode)))
	}
	for _, n := range []int{len(list[0]) - 1, len(list[0]) - 20, 20, 13} {
		list = append(list, list[0][:n])
	}
	return list
}

// FuzzReply passes one packet to a call that waits. The packet must count only if it repeats
// the question, including the case of each letter if that was random. Nothing may be held
// afterwards, and the call must be able to wait again.
func FuzzReply(f *testing.F) {
	const id = 0x1234
	for _, name := range []string{"wWw.eXample.", "WwW.ExAMPLE.", "www.example.", "wWx.eXample."} {
		for _, p := range packets(id, name) {
			f.Add(p, false, uint64(0))
			f.Add(p, true, uint64(0))
			f.Add(p, true, ^uint64(0))
		}
	}
	f.Fuzz(func(t *testing.T, packet []byte, mixed bool, mix uint64) {
		o := newTold()
		u := &UDP{env: envOf(o)}
		s := &socket{table: calls{}}
		s.refs.Store(1)
		p := &pool{udp: u}
		c := &Call{Question: fuzzQuestion(), EDNS: true, Mixed: mixed, mix: mix}
		if !s.addCall(c, id) {
			t.Fatal("no id")
		}
		u.received(s, bytes.Clone(packet), false, 1, o)
		want := []byte(fuzzName)
		if mixed {
			mixCase(want, mix)
		}
		if reply := o.replies[0]; reply != nil {
			end := wire.HeaderLen + len(want)
			bare := len(packet) == wire.HeaderLen && binary.BigEndian.Uint16(packet[4:]) == 0 && (packet[3]&15 == 1 || packet[3]&15 == 4)
			if binary.BigEndian.Uint16(packet) != id || packet[2]&0xf8 != 0x80 || !bare && (packet[5] != 1 || len(packet) < end+4 ||
				!wire.EqualNames(packet[wire.HeaderLen:end], want) || mixed && !bytes.Equal(packet[wire.HeaderLen:end], want)) {
				t.Errorf("%x was taken for an answer to %q", packet, want)
			}
			if !bare && mixed && string(reply[wire.HeaderLen:end]) != fuzzName {
				t.Errorf("the reply says %q, asked for %q", reply[wire.HeaderLen:end], fuzzName)
			}
		}
		if o.calls == 1 && !p.Rearm(c) || o.calls > 1 {
			t.Errorf("%d events; the call cannot wait again", o.calls)
		}
		if !p.Cancel(c) || p.Cancel(c) {
			t.Error("the call was not waiting, or is cancelled twice")
		}
		if n := s.refs.Load(); n != 1 || len(s.table) != 0 {
			t.Errorf("%d references to the socket, %d calls are left", n, len(s.table))
		}
	})
}

// frame is a message with its length.
func frame(msg []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...)
}

// FuzzStream gives octets to a TCP connection on which two questions wait, whole
// and cut in two: the same ones are answered, by messages that hold them.
func FuzzStream(f *testing.F) {
	for _, name := range []string{"www.example.", "wwx.example."} {
		var both []byte
		for id := range uint16(2) {
			for _, p := range packets(id, name) {
				f.Add(frame(p), uint(10))
				both = append(both, frame(p)...)
			}
		}
		f.Add(both, uint(len(both)/2))
	}
	f.Add([]byte{0xff, 0xff, 1}, uint(2))
	f.Fuzz(func(t *testing.T, octets []byte, cut uint) {
		at := int(cut % uint(len(octets)+1))
		whole := feed(t, octets)
		parts := feed(t, octets[:at], octets[at:])
		for i := range 2 {
			if !bytes.Equal(whole[i], parts[i]) {
				t.Errorf("question %d: %x whole, %x in parts", i, whole[i], parts[i])
			}
			if r := whole[i]; r != nil && (wire.ID(r) != uint16(i) || !bytes.Contains(octets, r[:wire.HeaderLen])) {
				t.Errorf("question %d is answered by %x", i, r)
			}
		}
	})
}

// feed gives parts to a connection, one after another.
func feed(t *testing.T, parts ...[]byte) map[int][]byte {
	t.Helper()
	o := newTold()
	p := &streamPool{tcp: NewTCP(envOf(o), 1, time.Second), random: newRandom()}
	s := &stream{pool: p, table: calls{}, wake: make(chan struct{}, 1)}
	var calls []*Call
	for id := range uint16(2) {
		c := &Call{Question: fuzzQuestion(), Index: int(id), EDNS: true}
		if !s.addCall(c, uint64(id)|0x99<<16, 1) || c.id != id {
			t.Fatal("no id")
		}
		calls = append(calls, c)
	}
	buf, stray := make([]byte, 0, streamBytes), 0
	for _, part := range parts {
		for len(part) > 0 {
			n := copy(buf[len(buf):cap(buf)], part)
			part = part[n:]
			buf = buf[:len(buf)+n]
			rest := s.takeAll(buf, &stray)
			buf = s.makeRoom(buf, rest)
		}
	}
	for i, c := range calls {
		if answered := o.replies[i] != nil; p.Cancel(c) == answered {
			t.Errorf("question %d: answered %v, and still waits or does not", i, answered)
		}
	}
	if len(s.table) != 0 {
		t.Errorf("%d calls are left", len(s.table))
	}
	return o.replies
}
