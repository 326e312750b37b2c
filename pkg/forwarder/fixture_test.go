package forwarder

import (
	"context"
	"strconv"
	"testing"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/answercache"
	"github.com/kube-dns/kube-dns/pkg/upstream"
	"github.com/kube-dns/kube-dns/test/dnstest"
	"github.com/kube-dns/kube-dns/test/testkit"
)

const (
	hang        = dnstest.Hang
	raceEnabled = dnstest.RaceEnabled
)

type (
	fakeServer = dnstest.Server
	script     = dnstest.Script
	client     = dnstest.Client
)

var (
	newFakeServer = dnstest.NewServer
	newSinkhole   = dnstest.NewSinkhole
	zone          = dnstest.Zone
	reply         = dnstest.Reply
	pack          = dnstest.Pack
	question      = dnstest.Question
	summary       = dnstest.Summary
	name          = dnstest.Name
	suffix        = dnstest.Suffix
	itoa          = strconv.Itoa
)

func waitFor(tb testing.TB, ok func() bool) {
	tb.Helper()
	testkit.Eventually(tb, "the state that is waited for", ok)
}

// silence never answers.
func silence(*dns.Msg, bool) [][]byte { return nil }

// newClient returns a client of f with the address 127.0.0.<host>.
func newClient(tb testing.TB, f *Forwarder, host byte, stream bool) *client {
	tb.Helper()
	return dnstest.NewClient(tb, f, host, stream)
}

// run makes a forwarder and runs it until the test ends.
func run(tb testing.TB, cfg Config) *Forwarder {
	tb.Helper()
	f, err := New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	dnstest.Run(tb, f)
	return f
}

// to returns a configuration with a cache that asks the given servers about all names. It waits
// long for replies: on a busy machine, a reply may be late, and a single server must not be
// asked twice because of that.
func to(servers ...*fakeServer) Config {
	var specs []upstream.Server
	for _, s := range servers {
		specs = append(specs, upstream.Server{Addr: s.Addr})
	}
	up := upstream.Config{Routes: []upstream.Route{{Servers: specs}}, Timeout: hang * 3 / 4}
	if len(servers) == 1 {
		up.FirstRetry = hang / 4
	}
	return Config{
		Upstream: up,
		Cache:    answercache.Config{Entries: 1000, FailureTTL: 1},
	}
}

// start runs f until the returned function is called.
func start(f *Forwarder) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = f.Run(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}
