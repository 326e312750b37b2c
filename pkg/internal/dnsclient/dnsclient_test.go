package dnsclient

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/wire"
	"github.com/kube-dns/kube-dns/test/dnstest"
)

var question = wire.Query{Name: []byte(dnsname.MustParse("www.example")), Type: wire.TypeA, Class: wire.ClassIN, Flags: wire.FlagRD}

// Only the reply that repeats the id and the question counts; what does not answer is skipped,
// and a malformed reply ends the exchange.
func TestExchange(t *testing.T) {
	stray := func(q *dns.Msg) []byte {
		m := dnstest.Reply(q, dns.RcodeSuccess, "www.example. 5 IN A 192.0.2.66")
		m.Id++
		return dnstest.Pack(m)
	}
	right := func(q *dns.Msg) []byte {
		return dnstest.Pack(dnstest.Reply(q, dns.RcodeSuccess, "www.example. 5 IN A 192.0.2.1"))
	}
	for _, tt := range []struct {
		name   string
		script dnstest.Script
		want   error
	}{
		{"at once", func(q *dns.Msg, _ bool) [][]byte { return [][]byte{right(q)} }, nil},
		{"after others", func(q *dns.Msg, _ bool) [][]byte {
			another := q.Copy()
			another.Question[0].Name = "other.example."
			return [][]byte{stray(q), dnstest.Pack(q.Copy()), right(another), right(q)} // Pack changes its message
		}, nil},
		{"malformed", func(q *dns.Msg, _ bool) [][]byte {
			msg := right(q)
			return [][]byte{msg[:len(msg)-1]}
		}, errMalformed},
		{"only others", func(q *dns.Msg, _ bool) [][]byte {
			var list [][]byte
			for range maxStray {
				list = append(list, stray(q))
			}
			return append(list, right(q))
		}, errStray},
	} {
		for _, network := range []string{"udp", "tcp"} {
			t.Run(tt.name+" over "+network, func(t *testing.T) {
				server := dnstest.NewServer(t, tt.script)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				r, err := Exchange(ctx, network, server.Addr, &question)
				if !errors.Is(err, tt.want) {
					t.Fatalf("error %v, want %v", err, tt.want)
				}
				if err == nil && (len(r.Msg) == 0 || wire.Count(r.Msg, wire.Answer) != 1 || !r.Answers(&question)) {
					t.Errorf("got %x", r.Msg)
				}
				if sent := server.Last(); sent.Question[0].Name != "www.example." || !sent.RecursionDesired || sent.IsEdns0() == nil {
					t.Errorf("sent %v", sent)
				}
			})
		}
	}
}

// The end of the context ends an exchange with a server that does not answer.
func TestExchangeEnds(t *testing.T) {
	server := dnstest.NewServer(t, dnstest.Silence)
	for _, network := range []string{"udp", "tcp"} {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(10*time.Millisecond, cancel)
		if _, err := Exchange(ctx, network, server.Addr, &question); err == nil {
			t.Errorf("%s: no error", network)
		}
	}
}
