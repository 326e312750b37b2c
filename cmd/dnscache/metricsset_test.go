package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/kube-dns/kube-dns/pkg/dnscache/metrics"
	"github.com/kube-dns/kube-dns/pkg/nodelocal"
	"github.com/kube-dns/kube-dns/test/dnstest"
	"github.com/kube-dns/kube-dns/test/testkit"
)

// TestMetricsOfOneAddress: the page of metrics also shows servers that differ only in how they
// are asked, and in the name of the certificate.
func TestMetricsOfOneAddress(t *testing.T) {
	in := start(t, "--metrics-address=127.0.0.1:0", "--server=/a.test/tls:192.0.2.1,name=a.example", "--server=/b.test/tls:192.0.2.1,name=b.example",
		"--server=/c.test/192.0.2.1", "--server=/d.test/192.0.2.1@lo", "--server=/e.test/192.0.2.1@127.0.0.1")
	resp, err := http.Get("http://" + in.metrics.String() + "/metrics") //nolint:noctx // a test's own server
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if n := strings.Count(string(body), "\ndnscache_upstream_down{"); err != nil || resp.StatusCode != http.StatusOK || n != 5 {
		t.Errorf("%v, %s, %d servers:\n%s", err, resp.Status, n, body)
	}
}

// TestMetricsSet: --metrics-set=essential, the set for the cache of a node, has at most
// metrics.MaxEssential series when everything that a node may have is in use, for any number of
// servers. docs/metrics.md describes each of them.
func TestMetricsSet(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "upstreamNameservers"), []byte(`["192.0.2.1"]`), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"-configDir=" + dir, "--", "--metrics-address=127.0.0.1:0", "--rate-limit=1000"}
	for i := range 20 {
		server := dnstest.NewServer(t, dnstest.Zone(dns.RcodeServerFailure))
		args = append(args, fmt.Sprintf("--server=/d%d.test/127.0.0.1#%d", i, server.Addr.Port()))
	}
	in := start(t, append(args, "--metrics-set=essential")...)
	for i := range 20 {
		_, _ = dns.Exchange(dnstest.Question(fmt.Sprintf("x.d%d.test.", i), dns.TypeA), in.addr.String())
	}
	page := func() []string {
		resp, err := http.Get("http://" + in.metrics.String() + "/metrics") //nolint:noctx // a test's own server
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return slices.DeleteFunc(strings.Split(string(body), "\n"), func(line string) bool { return line == "" || line[0] == '#' })
	}
	series := page()
	ofNode := testutil.CollectAndCount(new(nodelocal.Node))
	t.Logf("%d series, and %d of the node", len(series), ofNode)
	if n := len(series) + ofNode; n > metrics.MaxEssential {
		t.Errorf("%d series:\n%s", n, strings.Join(series, "\n"))
	}
	documented, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile(`^[a-z_]+`)
	for _, line := range series {
		base := strings.TrimSuffix(strings.TrimSuffix(name.FindString(line), "_sum"), "_count")
		if !strings.Contains(string(documented), base) && !strings.HasPrefix(base, "process_") && !strings.HasPrefix(base, "promhttp_") {
			t.Errorf("docs/metrics.md does not have %s", base)
		}
	}
	has := func(want string) bool {
		return slices.ContainsFunc(page(), func(line string) bool { return strings.HasPrefix(line, want) })
	}
	for _, want := range []string{`dnscache_upstream_queries_total{server="any"} 20`, `dnscache_queries_total{transport="udp"} 20`, `dnscache_failed_total `} {
		testkit.Eventually(t, "the condition holds", func() bool { return has(want) })
	}
}
