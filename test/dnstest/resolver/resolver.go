// Package resolver runs a forwarder over scripted servers, for tests of its stages.
//
// Use [Ask] for the configuration and [Run] for the forwarder.
package resolver

import (
	"testing"

	"github.com/kube-dns/kube-dns/pkg/answercache"
	"github.com/kube-dns/kube-dns/pkg/forwarder"
	"github.com/kube-dns/kube-dns/pkg/upstream"
	"github.com/kube-dns/kube-dns/test/dnstest"
)

// Run returns a forwarder that runs until the test ends.
func Run(tb testing.TB, cfg forwarder.Config) *forwarder.Forwarder {
	tb.Helper()
	f, err := forwarder.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	dnstest.Run(tb, f)
	return f
}

// Ask returns a configuration that sends all questions to s, with long timeouts.
func Ask(s *dnstest.Server, stages ...forwarder.Stage) forwarder.Config {
	return forwarder.Config{
		Upstream: upstream.Config{
			Routes:  []upstream.Route{{Servers: []upstream.Server{{Addr: s.Addr}}}},
			Timeout: dnstest.Hang * 3 / 4, FirstRetry: dnstest.Hang / 4,
		},
		Cache:  answercache.Config{Entries: 1000, FailureTTL: 1},
		Stages: stages,
	}
}
