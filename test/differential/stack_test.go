package differential

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"k8s.io/client-go/rest"

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
	server  *skydns.Server
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
	s = &stack{reply: make([]byte, 0, 1<<16)}
	s.watcher = kubewatch.New(kubewatch.Config{Sources: sources, Tree: tree, Logger: slog.New(slog.DiscardHandler)})
	s.server, err = skydns.New(skydns.Config{
		Domain:  dnsname.MustParse("cluster.local"),
		Backend: backend.New(backend.Config{Tree: tree, Synced: s.watcher.HasSynced, Wildcards: true}),
	})
	if err != nil {
		t.Fatal(err)
	}
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

// exchange asks one question as over TCP.
func (s *stack) exchange(t *testing.T, name string, typ uint16) *dns.Msg {
	t.Helper()
	packet, err := new(dns.Msg).SetQuestion(name, typ).Pack()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	to := listener.NewReplyTo(nil, netip.AddrPortFrom(netip.IPv6Loopback(), 5353), netip.IPv6Loopback(), true)
	m := new(dns.Msg)
	if err := m.Unpack(s.server.Handle(packet, to, s.reply)); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return m
}

// ask returns the answer in the model's terms.
func (s *stack) ask(t *testing.T, name string, typ uint16) answer {
	t.Helper()
	m := s.exchange(t, name, typ)
	a := answer{Rcode: dns.RcodeToString[m.Rcode], Answer: texts(m.Answer), Extra: texts(m.Extra)}
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
	slices.Sort(out)
	return out
}
