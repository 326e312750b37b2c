package answercache

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/kube-dns/kube-dns/pkg/wire"
)

// raw builds a message octet by octet, up to the largest size.
type raw struct {
	msg    []byte
	counts [4]int
}

const (
	rawRoom     = 60000 // records are added up to this size
	rawQuestion = "\x01q\x04evil\x04test\x00"
)

func newRaw() *raw {
	r := &raw{msg: make([]byte, wire.HeaderLen, wire.MaxMessage)}
	wire.SetFlags(r.msg, wire.FlagQR|wire.FlagRA)
	r.msg = append(r.msg, rawQuestion+"\x00\x01\x00\x01"...)
	r.counts[wire.Question] = 1
	return r
}

// record appends a record and returns its offset.
func (r *raw) record(s wire.Section, owner string, typ uint16, data string) int {
	at := len(r.msg)
	r.msg = append(r.msg, owner...)
	r.msg = binary.BigEndian.AppendUint16(r.msg, typ)
	r.msg = append(r.msg, 0, 1, 0, 0, 1, 0)
	r.msg = binary.BigEndian.AppendUint16(r.msg, uint16(len(data)))
	r.msg = append(r.msg, data...)
	r.counts[s]++
	return at
}

func (r *raw) full() bool { return len(r.msg) > rawRoom }

func (r *raw) bytes() []byte {
	for s, n := range r.counts {
		wire.SetCount(r.msg, wire.Section(s), n)
	}
	return r.msg
}

func pointer(to int) string { return string([]byte{0xc0 | byte(to>>8), byte(to)}) }

const question = "\xc0\x0c"

// deep appends a name of 127 labels, as the target of an alias from the question, and returns
// its offset. A label begins at every second octet.
func (r *raw) deep() int {
	at := r.record(wire.Answer, question, wire.TypeCNAME, string(bytes.Repeat([]byte("\x01a"), 127))+"\x00")
	return at + 12
}

// hostileReplies are replies of 64 KB, one of each kind that takes long to read.
var hostileReplies = map[string]func(*raw){
	"aliases to nowhere": func(r *raw) {
		for i := 0; !r.full(); i++ {
			r.record(wire.Answer, fmt.Sprintf("\x04%04x\x00", i), wire.TypeCNAME, fmt.Sprintf("\x04%04x\x00", i+1))
		}
	},
	"a chain from its end": func(r *raw) {
		for i := 3000; i >= 0 && !r.full(); i-- {
			r.record(wire.Answer, fmt.Sprintf("\x04%04x\x00", i), wire.TypeCNAME, fmt.Sprintf("\x04%04x\x00", i+1))
		}
		r.record(wire.Answer, question, wire.TypeCNAME, "\x040000\x00")
	},
	"different aliases of one name": func(r *raw) {
		for i := 0; !r.full(); i++ {
			r.record(wire.Answer, question, wire.TypeCNAME, fmt.Sprintf("\x04%04x\x00", i))
		}
	},
	"one alias many times": func(r *raw) {
		for !r.full() {
			r.record(wire.Answer, question, wire.TypeCNAME, "\x01x\x00")
		}
	},
	"DNAMEs of one name": func(r *raw) {
		for i := 0; !r.full(); i++ {
			r.record(wire.Answer, "\xc0\x0e", wire.TypeDNAME, fmt.Sprintf("\x04%04x\x00", i))
		}
		r.record(wire.Answer, question, wire.TypeCNAME, "\x01q\x01x\x00")
	},
	"DNAMEs of every size and a long chain": func(r *raw) {
		at := r.deep()
		for range 16 {
			r.record(wire.Answer, pointer(at), wire.TypeCNAME, pointer(at+2))
			at += 2
		}
		for i := 0; !r.full() && i < 800; i++ {
			r.record(wire.Answer, pointer(at+2+2*(i%90)), wire.TypeDNAME, "\x01x\x00")
		}
	},
	"addresses of one deep name": func(r *raw) {
		at := r.deep()
		for !r.full() {
			r.record(wire.Answer, pointer(at), wire.TypeA, "\x01\x02\x03\x04")
		}
	},
	"addresses of many deep names": func(r *raw) {
		at := r.deep()
		for i := 0; !r.full() && i < 720; i++ {
			r.record(wire.Answer, pointer(at+2*(i%80)), wire.TypeA, "\x01\x02\x03\x04")
		}
	},
	"deep names in RDATA": func(r *raw) {
		at := r.deep()
		for i := 0; !r.full() && i < 640; i++ {
			r.record(wire.Answer, pointer(at), wire.TypeNS, pointer(at+2*(i%60)))
		}
		for !r.full() {
			r.record(wire.Answer, pointer(at), wire.TypeMX, "\x00\x01\x00")
		}
	},
	"pointers to pointers": func(r *raw) {
		chain := "\x01z\x00"
		at := len(r.msg) + 2 + 10 + 1
		last := at
		for range 120 {
			next := at + len(chain)
			chain += "\x01a" + pointer(last)
			last = next
		}
		r.record(wire.Answer, question, 10, "\x00"+chain)
		for i := 0; !r.full() && i < 260; i++ {
			r.record(wire.Answer, pointer(last-4*(i%3)), wire.TypeCNAME, question)
		}
	},
	"signatures": func(r *raw) {
		for i := 0; !r.full(); i++ {
			r.record(wire.Answer, question, wire.TypeRRSIG, "\x00\x01"+fmt.Sprintf("%016d", i)+"\x00S")
		}
		r.record(wire.Answer, question, wire.TypeA, "\x01\x02\x03\x04")
	},
	"signatures of everything": func(r *raw) {
		for i := 0; !r.full(); i++ {
			r.record(wire.Answer, question, wire.TypeRRSIG, string([]byte{byte(i >> 8), byte(i)})+"0123456789abcdef\x00S")
		}
		r.record(wire.Answer, question, wire.TypeA, "\x01\x02\x03\x04")
	},
	"signatures between addresses": func(r *raw) {
		for !r.full() {
			r.record(wire.Answer, question, wire.TypeRRSIG, "\x00\x010123456789abcdef\x00S")
			r.record(wire.Answer, question, wire.TypeA, "\x01\x02\x03\x04")
		}
	},
	"SOAs of other names": func(r *raw) {
		at := r.deep()
		for !r.full() {
			r.record(wire.Authority, pointer(at+2), wire.TypeSOA, "\x00\x0000000000000000000000")
		}
	},
	"names that look alike": func(r *raw) {
		r.record(wire.Answer, question, wire.TypeCNAME, "\x01x\x00")
		for i := 0; !r.full(); i++ { // equal in everything that a cheap hash covers
			label := fmt.Sprintf("\x0fsamestuf%04xtai", i)
			r.record(wire.Answer, question, wire.TypeNS, label+label+label+label+label+label+label+label+"\x00")
		}
	},
	"names that differ at their end": func(r *raw) {
		r.record(wire.Answer, question, wire.TypeCNAME, "\x01x\x00")
		for i := 0; !r.full(); i++ {
			r.record(wire.Answer, question, wire.TypeNS, string(bytes.Repeat([]byte("\x01a"), 120))+fmt.Sprintf("\x04%04x\x00", i))
		}
	},
	"options": func(r *raw) {
		r.record(wire.Answer, question, wire.TypeA, "\x01\x02\x03\x04")
		r.record(wire.Additional, "\x00", wire.TypeOPT, string(bytes.Repeat([]byte("\xff\x00\x00\x00"), 14000)))
	},
	"empty records in three sections": func(r *raw) {
		for s := wire.Answer; s <= wire.Additional; s++ {
			for len(r.msg) < rawRoom*int(s)/3 {
				r.record(s, question, 10, "")
			}
		}
	},
}

// fastest returns the shortest time that f takes in several runs, so that interruptions do not
// count.
func fastest(f func()) time.Duration {
	best := time.Hour
	for range 15 {
		before := time.Now()
		f()
		best = min(best, time.Since(before))
	}
	return best
}

// slowness returns how much slower this machine is than a server, at least 1, including race
// detector, instrumentation and other processes. It measures the time to read an ordinary reply
// of 64 KB.
func slowness() int64 {
	const ordinary = 30 * time.Microsecond
	r := newRaw()
	for !r.full() {
		r.record(wire.Answer, question, wire.TypeA, "\x01\x02\x03\x04")
	}
	msg := r.bytes()
	var reply wire.Reply
	return int64(max(1, fastest(func() { wire.ParseReply(msg, &reply) })/ordinary))
}

// Whatever an upstream server sends, it is cheap to read and to store, and cheap to answer a
// query with it.
func TestHostileRepliesAreCheap(t *testing.T) {
	const (
		perReply = 2 * time.Millisecond
		perQuery = 200 * time.Microsecond
	)
	slow := slowness()
	t.Logf("slowness %d", slow)
	for name, build := range hostileReplies {
		t.Run(name, func(t *testing.T) {
			r := newRaw()
			build(r)
			msg := r.bytes()
			q := &wire.Query{ID: 7, Flags: wire.FlagRD, Name: []byte(rawQuestion), Type: wire.TypeA, Class: wire.ClassIN}
			q.EDNS = wire.EDNS{Present: true, Size: 1232, DO: true}
			c := New(Config{Entries: 10, RoundRobin: true, NegativeTTL: 5})
			var reply wire.Reply
			if !wire.ParseReply(msg, &reply) {
				t.Fatal("refused")
			}
			var arranged, out []byte
			check := func(what string, limit time.Duration, f func()) {
				if took := fastest(f); int64(took) > int64(limit)*slow {
					t.Errorf("%s takes %v, want at most %v", what, took, limit)
				} else {
					t.Logf("%s takes %v", what, took)
				}
			}
			stored := false
			check("one reply", perReply, func() {
				if !wire.ParseReply(msg, &reply) {
					t.Error("refused")
				}
				if arranged = wire.Arrange(arranged[:0], &reply); len(arranged) > 0 && !wire.ParseReply(arranged, &reply) {
					t.Error("arranged badly")
				}
				stored = c.Store(q, &reply, nil, c.Epoch(), at(0))
			})
			for _, limit := range []int{512, 1232, 4096} {
				check(fmt.Sprint("relaying with the limit ", limit), perQuery, func() {
					out = wire.AppendReply(out[:0], q, &reply, &wire.Relay{Limit: limit, MaxTTL: 5})
				})
				check(fmt.Sprint("a hit with the limit ", limit), perQuery, func() {
					if out, _ = c.Lookup(out[:0], q, at(1), false); len(out) > 0 {
						out = wire.FinishReply(out, 0, q, limit, nil)
					}
				})
			}
			check("a hit over TCP", perQuery, func() {
				if out, _ = c.Lookup(out[:0], q, at(1), false); len(out) > 0 {
					out = wire.FinishReply(out, 0, q, wire.MaxMessage, nil)
				}
			})
			t.Logf("stored %v, %d octets sent, %d arranged", stored, len(msg), len(arranged))
		})
	}
}

// Names that would take too long to read are refused.
func TestHostileNamesAreRefused(t *testing.T) {
	r := newRaw()
	at := r.deep()
	for i := 0; !r.full(); i++ {
		r.record(wire.Answer, pointer(at+2*(i%2)), wire.TypeRP, pointer(at)+pointer(at))
	}
	msg := r.bytes()
	var reply wire.Reply
	if wire.ParseReply(msg, &reply) {
		t.Error("accepted")
	}
	if took := fastest(func() { wire.ParseReply(msg, &reply) }); int64(took) > int64(time.Millisecond)*slowness() {
		t.Errorf("takes %v", took)
	}
}
