package pair

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/yaml"

	"github.com/kube-dns/kube-dns/pkg/nslookup"
	"github.com/kube-dns/kube-dns/pkg/shell"
	"github.com/kube-dns/kube-dns/test/addon"
	"github.com/kube-dns/kube-dns/test/dnstest"
)

// check returns the base manifest's command for a URL of exechealthz, to be run
// against servers at these addresses. It fails with what the command wrote.
func check(t *testing.T, url string) func(cache, kubedns string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(addon.Root(), "manifests", "base", "deployment.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var d appsv1.Deployment
	if err := yaml.Unmarshal(data, &d); err != nil {
		t.Fatal(err)
	}
	command := ""
	for _, c := range d.Spec.Template.Spec.Containers {
		for i, arg := range c.Args {
			if arg == "--url="+url {
				command = strings.TrimPrefix(c.Args[i-1], "--cmd=")
			}
		}
	}
	return func(cache, kubedns string) string {
		t.Helper()
		const placeholder = "KUBEDNS"
		text := strings.ReplaceAll(command, "127.0.0.1:10053", placeholder)
		text = strings.ReplaceAll(strings.ReplaceAll(text, "127.0.0.1", cache), placeholder, kubedns)
		program, err := shell.Parse(text)
		if err != nil || !strings.Contains(text, "nslookup") {
			t.Fatalf("%q: %v", command, err)
		}
		var out bytes.Buffer
		// The deadline of exechealthz, --timeout.
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := shell.New(nil, nslookup.Command{}).Run(ctx, program, &out); err != nil {
			return "failed: " + out.String()
		}
		return "well"
	}
}

// TestHealthChecks: the check of dnscache fails if dnscache refuses questions that are not in
// its cache, and does not fail for reasons outside dnscache.
func TestHealthChecks(t *testing.T) {
	dnsmasq, kubedns := check(t, "/healthz-dnsmasq"), check(t, "/healthz-kubedns")
	server := func(cached, fresh int) string {
		return dnstest.NewServer(t, func(q *dns.Msg, _ bool) [][]byte {
			switch name := q.Question[0].Name; {
			case strings.HasPrefix(name, "kubernetes.") && cached == 0 || !strings.HasPrefix(name, "kubernetes.") && fresh == 0:
				return [][]byte{dnstest.Pack(dnstest.Reply(q, 0, name+" 30 A 10.0.0.1"))}
			case strings.HasPrefix(name, "kubernetes."):
				return [][]byte{dnstest.Pack(dnstest.Reply(q, cached))}
			}
			return [][]byte{dnstest.Pack(dnstest.Reply(q, fresh))}
		}).Addr.String()
	}
	const serverFailure, refused = dns.RcodeServerFailure, dns.RcodeRefused
	for name, tt := range map[string]struct {
		cache, kubedns [2]int // rcodes for the name that is cached, and others
		well           bool
	}{
		"all is well":                         {well: true},
		"dnscache refuses what is not cached": {cache: [2]int{0, refused}},
		"dnscache fails what is not cached":   {cache: [2]int{0, serverFailure}},
		"dnscache refuses all":                {cache: [2]int{refused, refused}},
		"kubedns fails, the cache answers":    {cache: [2]int{0, serverFailure}, kubedns: [2]int{serverFailure, serverFailure}, well: true},
		"kubedns waits for the API server":    {cache: [2]int{0, serverFailure}, kubedns: [2]int{0, serverFailure}, well: true},
		"kubedns fails, dnscache is full":     {cache: [2]int{0, refused}, kubedns: [2]int{serverFailure, serverFailure}, well: true},
	} {
		got := dnsmasq(server(tt.cache[0], tt.cache[1]), server(tt.kubedns[0], tt.kubedns[1]))
		if (got == "well") != tt.well {
			t.Errorf("%s: %s", name, got)
		}
	}

	// The programs themselves, through an outage of kubedns.
	outside := dnstest.NewServer(t, dnstest.Silence)
	p := start(t, outside.Addr, func(kubedns, _ string) []string {
		return []string{"--server=/cluster.local/" + kubedns, "--server=" + kubedns, "--serve-stale=1h"}
	})
	want := func(when string, wantCache, wantKubedns bool) {
		t.Helper()
		if got := dnsmasq(p.addr, p.kubednsAddr); (got == "well") != wantCache {
			t.Errorf("%s: dnscache %s", when, got)
		}
		if got := kubedns(p.addr, p.kubednsAddr); (got == "well") != wantKubedns {
			t.Errorf("%s: kubedns %s", when, got)
		}
	}
	want("at first", true, true)
	if err := p.kubedns.Freeze(); err != nil {
		t.Fatal(err)
	}
	want("kubedns hangs", true, false)
	if err := p.kubedns.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	want("kubedns goes on", true, true)
	p.kubedns.Kill()
	want("kubedns is gone", true, false)
	p.startKubedns()
	want("kubedns is back", true, true)
	if err := p.dnscache.Freeze(); err != nil {
		t.Fatal(err)
	}
	want("dnscache hangs", false, true)
	if err := p.dnscache.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
}
