package skydns

import (
	"slices"
	"testing"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/failures"
	"github.com/kube-dns/kube-dns/pkg/listener"
)

// failing plays the forwarder: every name fails, those that begin with "late" later.
type failing struct {
	t      *testing.T
	server *Server
}

func (f *failing) Handle(packet []byte, to listener.ReplyTo, reply []byte) []byte {
	q := new(dns.Msg)
	if err := q.Unpack(packet); err != nil {
		f.t.Fatal(err)
	}
	m := new(dns.Msg).SetRcode(q, dns.RcodeServerFailure)
	m.SetEdns0(1232, false)
	m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_EDE{InfoCode: 22, ExtraText: "no server answers"})
	msg, err := m.Pack()
	if err != nil {
		f.t.Fatal(err)
	}
	if q.Question[0].Name == "late.example." {
		go func() {
			f.server.Answered(0, msg)
			to.Send(msg)
		}()
		return nil
	}
	return append(reply, msg...)
}

// Failed answers of every origin are recorded with what is known about them. Other answers
// are not recorded.
func TestFailures(t *testing.T) {
	log, outside := failures.New(), &failing{t: t}
	backend := newFixture(t)
	c := newClient(t, Config{Backend: backend, Failures: log, Outside: outside})
	outside.server = c.server
	class := question(t, "web.default A")
	class.Question[0].Qclass = dns.ClassHESIOD
	ask := func(query string) { c.ask(question(t, query).SetEdns0(1232, false)) }
	ask("web.default A")
	ask("nosuch.default A")
	ask("a.example. AAAA")
	ask("late.example. A")
	c.ask(class)
	backend.unsynced = true
	ask("WEB.default TXT")
	c.ask(class)
	var got []string
	entries, omitted := log.Answers()
	for _, e := range entries {
		a := e.What
		got = append(got, a.Rcode+" "+a.Name+" "+a.Type+" "+a.Source+" "+a.Reason+" "+a.Client)
	}
	slices.Sort(got)
	client := c.replyTo().Peer().Addr().String()
	want := []string{
		"REFUSED web.default.svc.cluster.local. A cluster  " + client,
		"SERVFAIL a.example. AAAA upstream no server answers ",
		"SERVFAIL late.example. A upstream no server answers ",
		"SERVFAIL web.default.svc.cluster.local. TXT cluster records are being loaded " + client,
	}
	if !slices.Equal(got, want) || omitted != 0 {
		t.Errorf("%q, want %q; %d omitted", got, want, omitted)
	}
}
