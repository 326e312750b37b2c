package monitoring

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/test/addon"
	"github.com/kube-dns/kube-dns/test/dnstest"
	"github.com/kube-dns/kube-dns/test/testkit"
)

// fires reports whether an alert's expression is true at any second between from and to. It
// ignores the alert's "for".
func (p *prometheus) fires(t *testing.T, expr string, from, to time.Time) bool {
	t.Helper()
	var answer struct{ Result []sample }
	p.get(t, "/api/v1/query_range", url.Values{
		"query": {expr}, "step": {"1"}, "start": {fmt.Sprint(from.Unix())}, "end": {fmt.Sprint(to.Unix())},
	}, &answer)
	return len(answer.Result) > 0
}

// alerts returns the names of the alerts whose expressions are true at any second between
// from and to.
func (p *prometheus) alerts(t *testing.T, from, to time.Time) (names []string) {
	t.Helper()
	for _, r := range rules(t) {
		if r.Alert != "" && p.fires(t, r.Expr, from, to) {
			names = append(names, r.Alert)
		}
	}
	return names
}

// broken is a stack with every fault that a test can cause.
type broken struct {
	bin, dir string
	ports    []int
	slow     string // an upstream server that does not answer
	bad      string // one that answers SERVFAIL
}

func (b *broken) at(i int) string { return fmt.Sprintf("127.0.0.1:%d", b.ports[i]) }

// cache starts dnscache, which asks the unsynced kubedns about the cluster.
func (b *broken) cache(t *testing.T) *addon.Process {
	t.Helper()
	p := addon.Start(t, filepath.Join(b.bin, "dnscache"), "--cache-size=150", "--no-resolv", "--no-hosts", "--listen-address=127.0.0.1", "--bind-interfaces",
		fmt.Sprintf("--port=%d", b.ports[0]), "--log-facility=-", "--serve-stale=1h", "--pid-file=", "--metrics-address="+b.at(1), "--user=root",
		"--dns-forward-max=5", "--server=/cluster.local/"+option(b.at(2)), "--server=/bad.example/"+option(b.bad), "--server="+option(b.slow))
	p.WaitURL(t, "http://"+b.at(1)+"/metrics", 20*time.Second)
	return p
}

// option writes an address as --server wants it.
func option(address string) string {
	return regexp.MustCompile(`:(\d+)$`).ReplaceAllString(address, "#$1")
}

// server starts kubedns on port number i for DNS, i+1 for metrics and i+2 for readiness.
func (b *broken) server(t *testing.T, i int, args ...string) *addon.Process {
	t.Helper()
	p := addon.StartEnv(t, []string{fmt.Sprintf("PROMETHEUS_PORT=%d", b.ports[i+1])}, filepath.Join(b.bin, "kubedns"), append([]string{
		"--dns-bind-address=127.0.0.1", fmt.Sprintf("--dns-port=%d", b.ports[i]), fmt.Sprintf("--healthz-port=%d", b.ports[i+2]),
		"--debug-address=", "--config-period=200ms",
	}, args...)...)
	p.WaitURL(t, "http://"+b.at(i+1)+"/metrics", 20*time.Second)
	return p
}

// ask sends questions until ctx ends, atATime of them at once. If mixed, some are answered
// quickly.
func (b *broken) ask(ctx context.Context, t *testing.T, atATime int, mixed bool) {
	t.Helper()
	var wg sync.WaitGroup
	for worker := range atATime {
		wg.Go(func() {
			client := dns.Client{Timeout: 5 * time.Second}
			for i := 0; ctx.Err() == nil; i++ {
				name := fmt.Sprintf("n%d-%d.slow.example.", worker, i)
				switch {
				case mixed && (worker+i)%3 == 1:
					name = fmt.Sprintf("n%d-%d.bad.example.", worker, i)
				case mixed && (worker+i)%3 == 2:
					name = "web.default.svc.cluster.local."
				}
				_, _, _ = client.ExchangeContext(ctx, new(dns.Msg).SetQuestion(name, dns.TypeA), b.at(0)) // failures are what it is for
				time.Sleep(50 * time.Millisecond)
			}
		})
	}
	wg.Wait()
}

// impossible are the alerts that no test can cause, with the reason.
var impossible = map[string]string{
	"KubeDNSCrash":              "a crash would be a bug that we know of",
	"KubeDNSStaleAnswers":       "TestExpressions causes it",
	"KubeDNSCacheEvictions":     "TestExpressions causes it",
	"KubeDNSCertificateExpires": "TestExpressions causes it",
}

// TestAlertsFire breaks the real programs in each way for which there is an alert. Each
// expression must become true, except those listed in impossible. Two limits are lowered,
// because no test takes five minutes.
func TestAlertsFire(t *testing.T) {
	need(t, "prometheus")
	b := &broken{bin: addon.Isolated(), dir: t.TempDir(), ports: testkit.FreePorts(t, 27000, 1000, 10)}
	if b.bin == "" {
		t.Skip("needs root, for a memory limit of its own")
	}
	quiet, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer quiet.Close()
	b.slow = quiet.LocalAddr().String()
	b.bad = dnstest.NewServer(t, func(q *dns.Msg, _ bool) [][]byte {
		return [][]byte{dnstest.Pack(dnstest.Reply(q, dns.RcodeServerFailure))}
	}).Addr.String()
	// A kubedns whose API server is away, and one whose files change only once.
	unsynced := b.server(t, 2, "--kube-master-url=http://127.0.0.1:1", "--nameservers="+b.slow)
	file, config := filepath.Join(b.dir, "objects.yaml"), filepath.Join(b.dir, "config")
	write(t, file, changed(0, time.Now().Add(-time.Hour)))
	if err := os.Mkdir(config, 0o700); err != nil {
		t.Fatal(err)
	}
	b.server(t, 5, "--objects="+file, "--nameservers=none", "--config-dir="+config)
	cache := b.cache(t)
	addon.Start(t, filepath.Join(b.bin, "exechealthz"), "--cmd=nslookup kubernetes.default.svc.cluster.local "+b.at(0)+" >/dev/null",
		"--url=/healthz-dnsmasq", fmt.Sprintf("--port=%d", b.ports[8]), "--quiet", "--period=500ms").
		WaitURL(t, "http://"+b.at(8)+"/metrics", 20*time.Second)
	p := startPrometheus(t, &stack{kubedns: b.at(3), dnscache: b.at(1), exechealth: b.at(8), more: []string{b.at(6)}})
	begin := time.Now()
	// Slightly more memory than the programs use, from the first scrape on.
	limit(t, 20<<20)
	defer limit(t, 256<<20)

	write(t, filepath.Join(config, "stubDomains"), "{")
	write(t, file, changed(1, time.Now().Add(-time.Minute)))
	for _, phase := range []struct {
		atATime int
		mixed   bool
	}{{4, false}, {20, true}} {
		ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
		b.ask(ctx, t, phase.atATime, phase.mixed)
		cancel()
	}
	for range 3 { // each run is scraped
		cache.Kill()
		cache = b.cache(t)
		time.Sleep(1500 * time.Millisecond)
	}
	cache.Kill()
	unsynced.Kill()
	time.Sleep(3 * time.Second)
	end := time.Now()
	for _, r := range rules(t) {
		if r.Alert == "" || impossible[r.Alert] != "" {
			continue
		}
		expr := r.Expr
		switch r.Alert {
		case "KubeDNSAPISilent":
			expr = regexp.MustCompile(`> 300$`).ReplaceAllString(expr, "> 8")
		case "KubeDNSAbsent":
			expr = `absent(kubedns_build_info{instance="` + b.at(3) + `"})` // the other one still runs
		}
		if !p.fires(t, expr, begin, end) {
			t.Errorf("%s is not caused", r.Alert)
		}
	}
}

// changed returns the small cluster, with endpoints that changed at the time at.
func changed(round int, at time.Time) string {
	return regexp.MustCompile(`trigger-time: "[^"]*"`).ReplaceAllString(objects(round), `trigger-time: "`+at.UTC().Format(time.RFC3339)+`"`)
}

// limit sets the memory limit that the programs of this namespace see.
func limit(t *testing.T, bytes int) {
	t.Helper()
	if err := os.WriteFile("/sys/fs/cgroup/memory.max", fmt.Appendf(nil, "%d\n", bytes), 0o644); err != nil {
		t.Error(err)
	}
}

// checkQuiet checks that the running stack causes only the expected alerts: its certificates
// expire within a day, and its cache is too small. Later its ConfigMap is invalid for a
// while, and then a server is silent.
func checkQuiet(t *testing.T, p *prometheus, begin, end time.Time) {
	t.Helper()
	for _, phase := range []struct {
		what        string
		from, to    time.Time
		must, mayBe []string
	}{
		{"all is well", begin.Add(3 * time.Second), begin.Add(4 * time.Second), []string{"KubeDNSCertificateExpires"}, []string{"KubeDNSCacheEvictions"}},
		{
			"the ConfigMap is broken", begin.Add(6 * time.Second), begin.Add(11 * time.Second),
			[]string{"KubeDNSCertificateExpires", "KubeDNSConfigRejected"},
			[]string{"KubeDNSCacheEvictions"},
		},
		{
			"a server is silent", begin.Add(16 * time.Second), end,
			[]string{"KubeDNSCertificateExpires", "KubeDNSCacheEvictions", "KubeDNSStaleAnswers"},
			[]string{"KubeDNSUpstreamDown", "KubeDNSServfailRatio", "KubeDNSSlowAnswers"},
		},
	} {
		got := p.alerts(t, phase.from, phase.to)
		for _, name := range phase.must {
			if !slices.Contains(got, name) {
				t.Errorf("while %s: no %s", phase.what, name)
			}
		}
		for _, name := range got {
			if !slices.Contains(phase.must, name) && !slices.Contains(phase.mayBe, name) {
				t.Errorf("while %s: %s", phase.what, name)
			}
		}
	}
}
