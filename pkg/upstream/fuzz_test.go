package upstream

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/wire"
)

// verdicts is an owner that notes how its exchange ended.
type verdicts struct {
	calls int
	reply []byte
}

func (v *verdicts) Slow(Sink) {}

func (v *verdicts) Done(_ Sink, r *Result) {
	v.calls++
	if r.Reply != nil {
		v.reply = bytes.Clone(r.Reply.Msg)
	}
}

// lonely is a set that sends nothing: the pools of its one server are closed.
func lonely(f *testing.F) (*Set, *server) {
	f.Helper()
	s, err := New(Config{Routes: all(at(53)), NewSink: func() Sink { return noSink{} }})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(s.Close)
	s.order[0].close()
	return s, s.order[0]
}

const fuzzName = "\x03wWw\x07eXample\x00"

// pending makes an exchange that has sent one question under id and waits.
func (s *Set) pending(srv *server, owner Owner, id uint16, put func(a *attempt)) *exchange {
	ex := s.exchanges.Get().(*exchange)
	ex.group, ex.owner = s.Table().all.group, owner
	ex.nlen = copy(ex.name[:], fuzzName)
	ex.typ, ex.class = wire.TypeA, wire.ClassIN
	ex.started = s.now()
	ex.deadline = ex.started + int64(hang)
	ex.refs.Store(3) // the registry's, ours and the table's
	ex.shard = &s.registries[0]
	ex.shard.add(ex)
	s.inFlight.Add(1)
	ex.n, ex.open = 1, 1
	ex.attempts[0] = attempt{ex: ex, srv: srv, sent: ex.started, id: id, edns: true, open: true}
	put(&ex.attempts[0])
	return ex
}

// packets are what servers might send.
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

// FuzzReply gives one packet to a question that waits. It may end it only if
// miekg/dns reads the question in it as the one asked, letter by letter when
// their case was drawn; and nothing may be held afterwards.
func FuzzReply(f *testing.F) {
	const id = 0x1234
	s, srv := lonely(f)
	w := s.newWorker()
	for _, name := range []string{"wWw.eXample.", "WwW.ExAMPLE.", "www.example.", "wWx.eXample."} {
		for _, p := range packets(id, name) {
			f.Add(p, false, uint64(0))
			f.Add(p, true, uint64(0))
			f.Add(p, true, ^uint64(0))
		}
	}
	f.Fuzz(func(t *testing.T, packet []byte, mixed bool, mix uint64) {
		sock := &socket{srv: srv}
		sock.refs.Store(1)
		owner := new(verdicts)
		ex := s.pending(srv, owner, id, func(a *attempt) {
			a.mixed, a.mix = mixed, mix
			if !sock.add(a, id) {
				t.Fatal("no id")
			}
		})
		given := bytes.Clone(packet)
		s.received(sock, given, false, s.now(), w)
		want := []byte(fuzzName)
		if mixed {
			mixCase(want, mix)
		}
		if owner.reply != nil {
			m := new(dns.Msg)
			end := wire.HeaderLen + len(want)
			if binary.BigEndian.Uint16(packet) != id || packet[2]&0xf8 != 0x80 || packet[5] != 1 || len(packet) < end+4 ||
				!wire.EqualNames(packet[wire.HeaderLen:end], want) || mixed && !bytes.Equal(packet[wire.HeaderLen:end], want) {
				t.Errorf("%x was taken for an answer to %q", packet, want)
			}
			if m.Unpack(owner.reply) == nil && (m.Question[0].Qtype != dns.TypeA || m.Question[0].Qclass != dns.ClassINET) {
				t.Errorf("%x was taken, which asks %v", packet, m.Question[0])
			}
			if got := owner.reply[wire.HeaderLen:end]; mixed && string(got) != fuzzName {
				t.Errorf("the owner hears of %q, asked for %q", got, fuzzName)
			}
		}
		s.conclude(ex, w)
		if owner.calls != 1 {
			t.Errorf("the owner was told %d times", owner.calls)
		}
		ex.release()
		if n := ex.refs.Load(); n != 0 {
			t.Errorf("%d references to the exchange are left", n)
		}
		if n := sock.refs.Load(); n != 1 || sock.table.count != 0 {
			t.Errorf("%d references to the socket, %d attempts are left", n, sock.table.count)
		}
	})
}

// FuzzStream gives octets to a TCP connection on which two questions wait, whole
// and cut in two: the same ones are answered, by messages that hold them.
func FuzzStream(f *testing.F) {
	s, srv := lonely(f)
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
		whole := s.feed(t, srv, octets)
		parts := s.feed(t, srv, octets[:at], octets[at:])
		for i := range whole {
			if !bytes.Equal(whole[i].reply, parts[i].reply) {
				t.Errorf("question %d: %x whole, %x in parts", i, whole[i].reply, parts[i].reply)
			}
			if r := whole[i].reply; r != nil && (wire.ID(r) != uint16(i) || !bytes.Contains(octets, r[:wire.HeaderLen])) {
				t.Errorf("question %d is answered by %x", i, r)
			}
		}
	})
}

// feed gives parts to a connection, one after another.
func (s *Set) feed(t *testing.T, srv *server, parts ...[]byte) []*verdicts {
	t.Helper()
	st := &stream{set: s, srv: srv, wake: make(chan struct{}, 1)}
	var owners []*verdicts
	var list []*exchange
	for id := range uint16(2) {
		owner := new(verdicts)
		owners = append(owners, owner)
		s.tcpOpen.Add(1)
		list = append(list, s.pending(srv, owner, id, func(a *attempt) {
			if !st.add(a, uint64(id)|0x99<<16, s.now()) || a.id != id {
				t.Fatal("no id")
			}
		}))
	}
	buf, stray := make([]byte, 0, streamBytes), 0
	for _, part := range parts {
		for len(part) > 0 {
			n := copy(buf[len(buf):cap(buf)], part)
			part = part[n:]
			buf = buf[:len(buf)+n]
			rest := st.takeAll(buf, &stray)
			buf = st.makeRoom(buf, rest)
		}
	}
	w := s.newWorker()
	for i, ex := range list {
		s.conclude(ex, w)
		ex.release()
		if n := ex.refs.Load(); n != 0 || owners[i].calls != 1 {
			t.Errorf("%d references are left, the owner was told %d times", n, owners[i].calls)
		}
	}
	if n := s.tcpOpen.Load(); n != 0 || st.table.count != 0 {
		t.Errorf("%d attempts are counted, %d are left", n, st.table.count)
	}
	return owners
}
