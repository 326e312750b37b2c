package monitoring

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/test/addon"
	"github.com/kube-dns/kube-dns/test/dnstest"
	"github.com/kube-dns/kube-dns/test/testkit"
)

// TestMain builds the programs, and sets a memory limit in the place where a container has
// it.
func TestMain(m *testing.M) {
	os.Exit(addon.RunIsolated(m, func(dir string) error {
		return addon.Build(dir, nil, "kubedns", "dnscache", "exechealthz")
	}, "mount -t tmpfs none /sys/fs/cgroup\necho 268435456 > /sys/fs/cgroup/memory.max"))
}

// stack is the three programs and everything that they need.
type stack struct {
	dns                           string   // of dnscache
	kubedns, dnscache, exechealth string   // addresses of the metrics
	more                          []string // further addresses with metrics
	objects, config               string   // a file and a folder
	silent                        *atomic.Bool
}

// page returns a program's metrics.
func page(t *testing.T, address string) string {
	t.Helper()
	resp, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", address, resp.Status, err)
	}
	return string(text)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// objects returns a small cluster whose endpoints have just changed.
func objects(round int) string {
	return fmt.Sprintf(`apiVersion: v1
kind: Service
metadata: {name: kubernetes, namespace: default}
spec: {clusterIP: 10.96.0.1, ports: [{name: https, port: 443, protocol: TCP}]}
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: data}
spec: {clusterIP: None, selector: {app: db}, ports: [{name: pg, port: 5432, protocol: TCP}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: db-1
  namespace: data
  labels: {kubernetes.io/service-name: db}
  annotations: {endpoints.kubernetes.io/last-change-trigger-time: %q}
addressType: IPv4
ports: [{name: pg, port: 5432, protocol: TCP}]
endpoints: [{addresses: [10.1.0.%d], conditions: {ready: true}}]
`, time.Now().UTC().Format(time.RFC3339Nano), round%200+1)
}

// start runs the programs as the manifests do, with an upstream server over TLS, one
// without, and a small cache.
func start(t *testing.T) *stack {
	t.Helper()
	bin, dir := addon.Isolated(), t.TempDir()
	if bin == "" {
		bin = t.TempDir()
		if err := addon.Build(bin, nil, "kubedns", "dnscache", "exechealthz"); err != nil {
			t.Fatal(err)
		}
	}
	ca := dnstest.NewCA(t, "CA")
	secure := dnstest.NewTLSServer(t, dnstest.ServerConfig(ca.Leaf(t, dnstest.Leaf{Names: []string{"dns.example.net"}})),
		dnstest.TLSScript{Answer: answers})
	s := &stack{objects: filepath.Join(dir, "objects.yaml"), config: filepath.Join(dir, "config"), silent: new(atomic.Bool)}
	plain := dnstest.NewServer(t, func(q *dns.Msg, tcp bool) [][]byte {
		if s.silent.Load() {
			return nil
		}
		return answers(q, tcp)
	})
	caFile := filepath.Join(dir, "ca.pem")
	write(t, caFile, string(ca.PEM()))
	write(t, s.objects, objects(0))
	if err := os.Mkdir(s.config, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(s.config, "stubDomains"), fmt.Sprintf(`{"corp.example": [%q]}`, plain.Addr))
	ports := testkit.FreePorts(t, 28000, 1000, 6)
	at := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
	s.dns, s.kubedns, s.dnscache, s.exechealth = at(1), at(2), at(3), at(4)
	kubedns := addon.StartEnv(t, []string{fmt.Sprintf("PROMETHEUS_PORT=%d", ports[2])}, filepath.Join(bin, "kubedns"),
		"--objects="+s.objects, "--dns-bind-address=127.0.0.1", fmt.Sprintf("--dns-port=%d", ports[0]), fmt.Sprintf("--healthz-port=%d", ports[5]),
		"--debug-address=", "--config-dir="+s.config, "--config-period=500ms", "--tls-ca-file="+caFile,
		fmt.Sprintf("--nameservers=tls://127.0.0.1%%dns.example.net:%d", secure.Addr.Port()))
	kubedns.WaitURL(t, "http://"+at(5)+"/readiness", 20*time.Second)
	cache := addon.Start(t, filepath.Join(bin, "dnscache"), "-logtostderr", "-configDir="+s.config, fmt.Sprintf("-kubednsServer=127.0.0.1:%d", ports[0]), "-syncInterval=1s", "--", "--cache-size=150", "--no-resolv", fmt.Sprintf("--server=127.0.0.1#%d", ports[0]),
		fmt.Sprintf("--server=/tls.example/tls:127.0.0.1#%d,name=dns.example.net", secure.Addr.Port()), "--tls-ca-file="+caFile,
		"--no-hosts", "--listen-address=127.0.0.1", "--bind-interfaces", fmt.Sprintf("--port=%d", ports[1]), "--log-facility=-",
		"--serve-stale=1h", "--pid-file=", "--metrics-address="+s.dnscache, "--user=root", "--address=/local.example/192.0.2.7")
	cache.WaitURL(t, "http://"+s.dnscache+"/metrics", 20*time.Second)
	health := addon.Start(t, filepath.Join(bin, "exechealthz"), fmt.Sprintf("--cmd=nslookup kubernetes.default.svc.cluster.local %s >/dev/null", s.dns),
		"--url=/healthz-dnsmasq", fmt.Sprintf("--port=%d", ports[4]), "--quiet", "--period=500ms")
	health.WaitURL(t, "http://"+s.exechealth+"/metrics", 20*time.Second)
	return s
}

// answers returns an address for each name, except for one kind of name.
func answers(q *dns.Msg, _ bool) [][]byte {
	name := q.Question[0].Name
	if strings.HasPrefix(name, "bad") {
		return [][]byte{dnstest.Pack(dnstest.Reply(q, dns.RcodeServerFailure))}
	}
	ttl := 60
	if strings.HasPrefix(name, "short") {
		ttl = 1
	}
	return [][]byte{dnstest.Pack(dnstest.Reply(q, 0, fmt.Sprintf("%s %d IN A 192.0.2.1", name, ttl)))}
}

// load asks until ctx ends, about 400 questions a second.
func (s *stack) load(ctx context.Context, t *testing.T) {
	t.Helper()
	client, stream := dns.Client{Timeout: 4 * time.Second}, dns.Client{Net: "tcp", Timeout: 4 * time.Second}
	ask := func(c *dns.Client, name string, qtype uint16) {
		reply, _, err := c.ExchangeContext(ctx, new(dns.Msg).SetQuestion(name, qtype), s.dns)
		if err != nil && ctx.Err() == nil && !errors.Is(err, context.Canceled) && !s.silent.Load() {
			t.Errorf("%s: %v", name, err)
		}
		_ = reply
	}
	for i := 0; ctx.Err() == nil; i++ {
		for _, name := range []string{"kubernetes.default.svc.cluster.local.", "db.data.svc.cluster.local.", "nosuch.default.svc.cluster.local.", "local.example.", fmt.Sprintf("n%d.example.com.", i), fmt.Sprintf("n%d.corp.example.", i%50)} {
			ask(&client, name, dns.TypeA)
		}
		ask(&stream, "1.0.96.10.in-addr.arpa.", dns.TypePTR)
		ask(&client, fmt.Sprintf("n%d.tls.example.", i%40), dns.TypeA)
		if i%20 == 0 {
			ask(&client, "bad.example.com.", dns.TypeA)
			ask(&client, "kubernetes.default.svc.cluster.local.", dns.TypeAXFR)
		}
		if i%20 == 0 || i%4 == 0 && s.silent.Load() {
			go ask(&client, "short.corp.example.", dns.TypeA)
		}
		time.Sleep(15 * time.Millisecond)
	}
}

// change rewrites objects and configuration until ctx ends, and lets one server fall
// silent towards the end.
func (s *stack) change(ctx context.Context, t *testing.T) {
	t.Helper()
	good, err := os.ReadFile(filepath.Join(s.config, "stubDomains"))
	if err != nil {
		t.Error(err)
		return
	}
	for round := 1; ctx.Err() == nil; round++ {
		write(t, s.objects, objects(round))
		switch round {
		case 6:
			write(t, filepath.Join(s.config, "stubDomains"), "{")
		case 12:
			write(t, filepath.Join(s.config, "stubDomains"), string(good))
		case 14:
			s.silent.Store(true)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

// observed is how long the programs run under load.
const observed = 30 * time.Second

// metricName matches the names in expressions, those in matchers of __name__ too.
var (
	metricName = regexp.MustCompile(`\b(?:kubedns|dnscache|skydns|exechealthz|process|kube_dns)_[a-z0-9_]+\b`)
	matcher    = regexp.MustCompile(`\b(source|rcode|reason|system)(?:=~|!=|=)"([^"]+)"`)
	comparison = regexp.MustCompile(`\s(?:>|<|==)\s+[0-9.]+`)
)

// TestExpressions lets a real Prometheus evaluate each expression of the alerts and the
// dashboard on the metrics of the real programs under load. Each expression must return
// numbers (those of alerts without their comparisons), and each metric and label value in it
// must exist.
func TestExpressions(t *testing.T) {
	need(t, "prometheus")
	need(t, "promtool")
	s := start(t)
	p := startPrometheus(t, s)
	begin := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), observed)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.change(ctx, t)
	}()
	s.load(ctx, t)
	<-done
	end := time.Now()
	t.Run("rules", func(t *testing.T) { p.checkRules(t) })
	names := map[string]bool{}
	check := func(t *testing.T, expr string) {
		t.Helper()
		for _, name := range metricName.FindAllString(expr, -1) {
			names[name] = true
		}
		for _, m := range matcher.FindAllStringSubmatch(expr, -1) {
			for value := range strings.SplitSeq(m[2], "|") {
				if p.numbers(t, fmt.Sprintf(`count({%s=%q})`, m[1], value), end) == 0 {
					t.Errorf("nothing has the label %s=%q", m[1], value)
				}
			}
		}
		if p.numbers(t, expr, end) == 0 {
			t.Errorf("no number from %s", expr)
		}
	}
	for _, r := range rules(t) {
		t.Run(r.Alert+r.Record, func(t *testing.T) {
			expr := comparison.ReplaceAllString(r.Expr, "")
			if inner, ok := strings.CutPrefix(expr, "absent("); ok {
				expr = strings.TrimSuffix(inner, ")")
			}
			if addon.Isolated() == "" && strings.Contains(expr, "kube_dns_memory_limit_bytes") {
				t.Skip("without root there is no memory limit")
			}
			check(t, expr)
		})
	}
	for _, panel := range panels(t) {
		for _, target := range panel.Targets {
			t.Run(panel.Title, func(t *testing.T) { check(t, expand(target.Expr)) })
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if p.numbers(t, "count("+name+")", end) == 0 {
			t.Errorf("there is no metric %s", name)
		}
	}
	t.Run("alerts", func(t *testing.T) { checkQuiet(t, p, begin, end) })
	t.Run("picture", func(t *testing.T) { draw(t, p, begin, end) })
	t.Run("names", func(t *testing.T) { checkNames(t, s) })
}

// expand replaces the dashboard's variables.
func expand(expr string) string {
	return strings.NewReplacer("$namespace", ".*", "$pod", ".*", "$__rate_interval", "10s").Replace(expr)
}

// prometheus is a running Prometheus.
type prometheus struct{ url string }

// startPrometheus scrapes the stack each second, with the labels that it has in a
// cluster.
func startPrometheus(t *testing.T, s *stack) *prometheus {
	t.Helper()
	dir := t.TempDir()
	config := fmt.Sprintf(`global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [%s/rules.yaml]
scrape_configs:
  - job_name: pods
    static_configs:
      - {targets: [%q], labels: {namespace: kube-system, pod: kube-dns-1, container: kubedns}}
      - {targets: [%q], labels: {namespace: kube-system, pod: kube-dns-1, container: dnscache}}
      - {targets: [%q], labels: {namespace: kube-system, pod: kube-dns-1, container: healthz}}
`, folder(), s.kubedns, s.dnscache, s.exechealth)
	for i, address := range s.more {
		config += fmt.Sprintf("      - {targets: [%q], labels: {namespace: kube-system, pod: kube-dns-%d}}\n", address, i+2)
	}
	write(t, filepath.Join(dir, "prometheus.yaml"), config)
	address := fmt.Sprintf("127.0.0.1:%d", testkit.FreePorts(t, 29000, 1000, 1)[0])
	p := addon.Start(t, need(t, "prometheus"), "--config.file="+filepath.Join(dir, "prometheus.yaml"), "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+address, "--log.level=warn")
	p.WaitURL(t, "http://"+address+"/-/ready", 30*time.Second)
	server := &prometheus{"http://" + address}
	p.WaitFor(t, 30*time.Second, "the first scrape of all", func(context.Context) bool {
		return server.numbers(t, fmt.Sprintf("count(up == 1) == %d", 3+len(s.more)), time.Now()) == 1
	})
	return server
}

// sample is one series of an answer.
type sample struct {
	Metric map[string]string `json:"metric"`
	Value  [2]any            `json:"value"`
	Values [][2]any          `json:"values"`
}

// get asks Prometheus' API.
func (p *prometheus) get(t *testing.T, path string, query url.Values, data any) {
	t.Helper()
	resp, err := http.Get(p.url + path + "?" + query.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		Status, Error string
		Data          json.RawMessage
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	if answer.Status != "success" {
		t.Errorf("%v: %s", query, answer.Error)
		return
	}
	if err := json.Unmarshal(answer.Data, data); err != nil {
		t.Fatal(err)
	}
}

// numbers returns how many series of expr have a number at a time.
func (p *prometheus) numbers(t *testing.T, expr string, at time.Time) int {
	t.Helper()
	var answer struct{ Result []sample }
	p.get(t, "/api/v1/query", url.Values{"query": {expr}, "time": {fmt.Sprint(at.Unix())}}, &answer)
	n := 0
	for _, s := range answer.Result {
		if v := fmt.Sprint(s.Value[1]); v != "NaN" && !strings.HasSuffix(v, "Inf") {
			n++
		}
	}
	return n
}

// checkRules looks for rules that Prometheus cannot evaluate.
func (p *prometheus) checkRules(t *testing.T) {
	t.Helper()
	var answer struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		}
	}
	p.get(t, "/api/v1/rules", nil, &answer)
	n := 0
	for _, g := range answer.Groups {
		for _, r := range g.Rules {
			n++
			if r.Health != "ok" {
				t.Errorf("%s: %s %s", r.Name, r.Health, r.LastError)
			}
		}
	}
	if want := len(rules(t)); n != want {
		t.Errorf("Prometheus has %d rules, want %d", n, want)
	}
}

// oldNames are metric names that promtool criticizes, and why they stay.
var oldNames = map[string]string{
	"kubedns_dnsmasq_errors":     "the name that kube-dns's sidecar used",
	"kubedns_dnsmasq_evictions":  "the name that kube-dns's sidecar used",
	"kubedns_dnsmasq_hits":       "the name that kube-dns's sidecar used",
	"kubedns_dnsmasq_insertions": "the name that kube-dns's sidecar used",
	"kubedns_dnsmasq_misses":     "the name that kube-dns's sidecar used",
}

// checkNames lets promtool check all names, help texts and units.
func checkNames(t *testing.T, s *stack) {
	t.Helper()
	found := map[string]bool{}
	for program, address := range map[string]string{"kubedns": s.kubedns, "dnscache": s.dnscache, "exechealthz": s.exechealth} {
		cmd := exec.CommandContext(t.Context(), need(t, "promtool"), "check", "metrics")
		cmd.Stdin = strings.NewReader(page(t, address))
		out, err := cmd.CombinedOutput()
		if err != nil && len(out) == 0 {
			t.Errorf("%s: %v", program, err)
		}
		for line := range strings.Lines(string(out)) {
			name, _, _ := strings.Cut(line, " ")
			if found[name] = true; oldNames[name] == "" {
				t.Errorf("%s: %s", program, line)
			}
		}
	}
	for name := range oldNames {
		if !found[name] {
			t.Errorf("promtool has nothing against %s: take it from the list", name)
		}
	}
}
