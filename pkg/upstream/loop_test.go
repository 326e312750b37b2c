package upstream

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// TestLooped: each server for all names is asked once, and only the return of its own
// question marks it as looping.
func TestLooped(t *testing.T) {
	asked := make(chan dns.Question, 8)
	listening := func(q *dns.Msg) [][]byte {
		asked <- q.Question[0]
		return nil
	}
	var others atomic.Int32
	def := scripted(t, listening)
	cluster := scripted(t, func(*dns.Msg) [][]byte {
		others.Add(1)
		return nil
	})
	routes := append(all(def), Route{Domain: dnsname.Domain{Match: dnsname.MatchSuffix, Name: dnsname.MustParse("cluster.local.")}, Servers: []Server{cluster}})
	cfg := Config{Routes: routes, DetectLoops: true, NewSink: func() Sink { return noSink{} }}
	s, _ := running(t, cfg)
	probe := func() dns.Question {
		t.Helper()
		select {
		case q := <-asked:
			return q
		case <-time.After(hang):
			t.Fatal("the server is not asked")
			return dns.Question{}
		}
	}
	looped := func(name string, qtype uint16) bool { return s.Looped([]byte(dnsname.MustParse(name)), qtype) }

	q := probe()
	if q.Qtype != dns.TypeTXT || !strings.HasSuffix(q.Name, ".test.") || len(q.Name) != len("0123456789abcdef0123456789abcdef.test.") {
		t.Fatalf("asked %v", q)
	}
	for _, other := range []struct {
		name  string
		qtype uint16
	}{
		{q.Name, wire.TypeA},
		{"x" + q.Name, wire.TypeTXT},
		{"test.", wire.TypeTXT},
		{strings.Repeat("0", 32) + ".test.", wire.TypeTXT},
		{"00000000.test.", wire.TypeTXT},
		{strings.Repeat("nothexes", 4) + ".test.", wire.TypeTXT},
		{q.Name + "example.", wire.TypeTXT},
	} {
		if looped(other.name, other.qtype) {
			t.Errorf("%s %d is taken for a probe", other.name, other.qtype)
		}
	}
	if s.Stats().Servers[0].Looping {
		t.Error("the server counts as looping before its question came back")
	}
	if !looped(strings.ToUpper(q.Name[:8])+q.Name[8:], wire.TypeTXT) || !s.Stats().Servers[0].Looping {
		t.Error("the probe is not known again")
	}
	if looped(q.Name, wire.TypeTXT) {
		t.Error("a probe counts twice")
	}
	if got, want := s.askA("www.example.", 0).wait(t), ErrUnreachable.Error(); got != want {
		t.Errorf("asking the looping server ends in %q, want %q", got, want)
	}

	// The same servers again: what is known of them stays.
	if err := s.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	if !s.Stats().Servers[0].Looping {
		t.Error("a change of something else gives the looping server another chance")
	}
	second := scripted(t, listening)
	cfg.Routes = append(all(def, second), routes[1:]...)
	if err := s.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	if a, b := probe(), probe(); a.Name == b.Name || a.Name == q.Name || b.Name == q.Name {
		t.Errorf("probes %v and %v after %v are not distinct", a, b, q)
	}
	if looped(q.Name, wire.TypeTXT) {
		t.Error("an old probe counts after new ones")
	}
	cfg.DetectLoops = false
	if err := s.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	if len(asked) != 0 || others.Load() != 0 {
		t.Errorf("%d more questions, %d to the server of one domain", len(asked), others.Load())
	}
}
