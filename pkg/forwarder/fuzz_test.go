package forwarder

import (
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/wire"
)

// FuzzReplies sends arbitrary octets as the reply of an upstream server, with the right id and
// question if flags say so, and a good reply after it. The client always gets a well-formed
// answer, and the next question is answered too.
func FuzzReplies(f *testing.F) {
	q := question("www.example.", dns.TypeA)
	f.Add([]byte{}, byte(0))
	f.Add(pack(reply(q, 0, rec)), byte(3))
	f.Add(pack(reply(q, 2, rec)), byte(1))
	f.Add([]byte("\x00\x00\x81\x80\x00\x01\xff\xff\x00\x00\x00\x00"), byte(3))
	f.Add([]byte("\x00\x00\x82\x80\x00\x00\x00\x00\x00\x00\x00\x00"), byte(1))
	f.Add([]byte("\x00\x00\x80\x01\x00\x00\x00\x00\x00\x00\x00\x00"), byte(1))
	type packets struct {
		raw   []byte
		flags byte
	}
	bad := make(chan packets, 1)
	s := newFakeServer(f, func(q *dns.Msg, tcp bool) [][]byte {
		good := pack(reply(q, 0, "www.example. 0 A 127.1.0.1"))
		select {
		case p := <-bad:
			b := append([]byte(nil), p.raw...)
			if p.flags&2 != 0 && len(b) >= 12 {
				end := 12 + len("\x03www\x07example\x00") + 4
				b = append(append(append([]byte(nil), b[:12]...), good[12:end]...), b[12:]...)
				b[4], b[5] = 0, 1
			}
			if p.flags&1 != 0 && len(b) >= 3 {
				b[0], b[1] = good[0], good[1]
				b[2] |= 0x80
			}
			return [][]byte{b, good}
		default:
			return [][]byte{good}
		}
	})
	cfg := to(s)
	cfg.Cache.FailureTTL = 0
	cfg.Upstream.Timeout = time.Second
	fw := run(f, cfg)
	f.Fuzz(func(t *testing.T, raw []byte, flags byte) {
		if len(raw) > 8000 {
			return
		}
		c := newClient(t, fw, 2, false)
		fw.Clear()
		bad <- packets{raw, flags}
		q := question("www.example.", dns.TypeA, "edns")
		c.Start(q)
		answer := c.WaitRaw(q.Id)
		// miekg/dns refuses some valid RDATA. Tests of pkg/wire compare the two.
		var r wire.Reply
		if !wire.ParseReply(answer, &r) || !r.EDNS.Present || len(r.Msg) != len(answer) || len(answer) > 1232 {
			t.Errorf("answer %x", answer)
		}
		fw.Clear()
		if m := c.Ask(question("www.example.", dns.TypeA)); m.Rcode != 0 || len(m.Answer) != 1 {
			t.Errorf("the next question: %v", m)
		}
		if st := fw.Stats(); st.Panics != 0 {
			t.Errorf("%d panics", st.Panics)
		}
		select {
		case <-bad:
		default:
		}
	})
}
