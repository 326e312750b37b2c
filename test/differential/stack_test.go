package differential

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/kube-dns/kube-dns/pkg/backend"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/kubewatch"
	"github.com/kube-dns/kube-dns/pkg/listener"
	"github.com/kube-dns/kube-dns/pkg/skydns"
	"github.com/kube-dns/kube-dns/pkg/treecache"
)

// stack is what kubedns is made of, without its sockets.
type stack struct {
	watcher *kubewatch.Watcher
	nodes   cache.ListerWatcherWithContext
	backend *backend.Backend
	server  *skydns.Server
	literal *skydns.Server // the same with wildcards off
	place   string         // zone.region as last seen, "" before
	reply   []byte
}

// startStack follows the API server at url until the test ends or stop is
// called.
func startStack(t *testing.T, url string) (s *stack, stop func()) {
	t.Helper()
	sources, err := kubewatch.APISources(&rest.Config{Host: url})
	if err != nil {
		t.Fatal(err)
	}
	tree := treecache.New(dnsname.MustParse("cluster.local"))
	s = &stack{nodes: sources.Nodes, reply: make([]byte, 0, 1<<16)}
	s.watcher = kubewatch.New(kubewatch.Config{Sources: sources, Tree: tree, TTL: 30 * time.Second, Logger: slog.New(slog.DiscardHandler)})
	s.backend = backend.New(backend.Config{Tree: tree, TTL: 30 * time.Second, Synced: s.watcher.HasSynced, Wildcards: true})
	s.backend.SetFederations(federations)
	s.server = serve(t, s.backend)
	literal := backend.New(backend.Config{Tree: tree, TTL: 30 * time.Second, Synced: s.watcher.HasSynced})
	literal.SetFederations(federations)
	s.literal = serve(t, literal)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.watcher.Run(ctx) // it never fails
	}()
	stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(stop)
	return s, stop
}

func serve(t *testing.T, b *backend.Backend) *skydns.Server {
	t.Helper()
	server, err := skydns.New(skydns.Config{Domain: dnsname.MustParse("cluster.local"), Backend: b, TTL: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return server
}

// locate finds out where the cluster is. While no node has a location, the last one stays in
// effect.
func (s *stack) locate(t *testing.T) {
	t.Helper()
	for {
		at, found, err := kubewatch.FindLocation(t.Context(), s.nodes, kubewatch.Location{})
		switch {
		case err != nil:
			time.Sleep(20 * time.Millisecond)
			continue
		case found:
			s.backend.SetNode(at.Zone, at.Region)
			s.place = strings.ToLower(at.Zone + "." + at.Region)
		}
		return
	}
}

// exchange asks one question as over TCP.
func (s *stack) exchange(t *testing.T, server *skydns.Server, name string, typ uint16) *dns.Msg {
	t.Helper()
	packet, err := new(dns.Msg).SetQuestion(name, typ).Pack()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	to := listener.NewReplyTo(nil, netip.AddrPortFrom(netip.IPv6Loopback(), 5353), netip.IPv6Loopback(), true)
	m := new(dns.Msg)
	if err := m.Unpack(server.Handle(packet, to, s.reply)); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return m
}

// ask returns the answer in the model's terms.
func (s *stack) ask(t *testing.T, server *skydns.Server, q question) answer {
	t.Helper()
	m := s.exchange(t, server, q.name, q.typ)
	a := answer{Rcode: dns.RcodeToString[m.Rcode], Answer: texts(m.Answer), Extra: texts(m.Extra)}
	if q.typ != dns.TypePTR {
		slices.Sort(a.Answer)
	}
	slices.Sort(a.Extra)
	for _, r := range m.Ns {
		a.SOA = a.SOA || r.Header().Rrtype == dns.TypeSOA
	}
	return a
}

func texts(rrs []dns.RR) []string {
	var out []string
	for _, r := range rrs {
		h := r.Header()
		fields := append([]string{h.Name}, strings.Fields(strings.TrimPrefix(r.String(), h.Name))...)
		out = append(out, strings.Join(slices.Delete(fields, 2, 3), " ")) // without the class
	}
	return out
}
