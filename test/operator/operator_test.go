// Package operator tests, with the real programs, that the tools answer an operator's
// questions as docs/operations.md says.
package operator

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"sigs.k8s.io/yaml"

	"github.com/kube-dns/kube-dns/test/addon"
	"github.com/kube-dns/kube-dns/test/apiserver"
	"github.com/kube-dns/kube-dns/test/dnstest"
	"github.com/kube-dns/kube-dns/test/testkit"
)

// bin is where the binaries are.
var bin string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "operator")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		if err := addon.Build(dir, nil, "kubedns", "dnscache"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		bin = dir
		return m.Run()
	}())
}

// limit is how long an answer may take: the operator has a minute.
const limit = time.Minute

const webService = `apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {clusterIP: 10.96.0.10, clusterIPs: [10.96.0.10], ports: [{name: http, port: 80}]}
`

const dbService = `apiVersion: v1
kind: Service
metadata: {name: db, namespace: data}
spec: {clusterIP: None}
`

const dbSlice = `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: db-abc, namespace: data, labels: {kubernetes.io/service-name: db}}
addressType: IPv4
endpoints:
- {addresses: [10.1.0.1], hostname: db-0, conditions: {ready: true}}
- {addresses: [10.1.0.2], hostname: db-2, conditions: {ready: false}}
`

const configMap = `apiVersion: v1
kind: ConfigMap
metadata: {name: kube-dns, namespace: kube-system}
data:
  stubDomains: |
    {"corp.example": ["10.0.0.53"]}
  upstreamNameservers: '["192.0.2.53"]'
`

// row is a row of the table in docs/operations.md.
type row struct {
	command string   // as it is to be typed
	shows   []string // texts in its output
}

// table reads the rows by question.
func table(t *testing.T) map[string]row {
	t.Helper()
	doc, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(doc), "\n## Seven questions\n")
	if !ok {
		t.Fatal("docs/operations.md has no section Seven questions")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	quoted := regexp.MustCompile("`([^`]+)`")
	rows := map[string]row{}
	for line := range strings.Lines(section) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 5 || !strings.Contains(cells[1], "?") {
			continue
		}
		r := row{}
		commands := quoted.FindAllStringSubmatch(cells[2], -1)
		for _, m := range quoted.FindAllStringSubmatch(cells[3], -1) {
			r.shows = append(r.shows, m[1])
		}
		if len(commands) != 1 || len(r.shows) == 0 {
			t.Errorf("the row %q has not one command and a text to look for", line)
			continue
		}
		r.command = commands[0][1]
		rows[strings.ReplaceAll(strings.TrimSpace(cells[1]), "`", "")] = r
	}
	return rows
}

// desk is the operator's environment: the running programs, and files.
type desk struct {
	t       *testing.T
	rows    map[string]row
	dir     string // with the files that commands name
	kubedns string // HOST:PORT of --debug-address
	cache   string // HOST:PORT of dnscache's --metrics-address
}

// run runs the command of a question, and returns its output and exit code. It fails the
// test if that takes a minute.
func (d *desk) run(question string) (out string, code int) {
	d.t.Helper()
	r, ok := d.rows[question]
	if !ok {
		d.t.Fatalf("docs/operations.md does not answer %q", question)
	}
	words := strings.Fields(strings.NewReplacer("127.0.0.1:6060", d.kubedns, "127.0.0.1:10054", d.cache).Replace(r.command))
	ctx, cancel := context.WithTimeout(d.t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(bin, words[0]), words[1:]...)
	cmd.Dir = d.dir
	text, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		d.t.Fatalf("%s: %v %v\n%s", r.command, err, ctx.Err(), text)
	}
	return string(text), cmd.ProcessState.ExitCode()
}

// missing returns the texts of a row that do not occur in out.
func (d *desk) missing(question, out string) (list []string) {
	for _, text := range d.rows[question].shows {
		if !strings.Contains(out, text) {
			list = append(list, text)
		}
	}
	return list
}

// ask runs a command, and checks its exit code and that its output has all texts of the row
// and of more.
func (d *desk) ask(question string, code int, more ...string) {
	d.t.Helper()
	out, got := d.run(question)
	missing := d.missing(question, out)
	for _, text := range more {
		if !strings.Contains(out, text) {
			missing = append(missing, text)
		}
	}
	if got != code || len(missing) > 0 {
		d.t.Errorf("%s: exit code %d, want %d; it does not show %q:\n%s", question, got, code, missing, out)
	}
}

// eventually repeats a command until its output has all texts of the row.
func (d *desk) eventually(question string) string {
	d.t.Helper()
	for end := time.Now().Add(limit); ; time.Sleep(300 * time.Millisecond) { // the page limits the rate
		out, _ := d.run(question)
		missing := d.missing(question, out)
		if len(missing) == 0 {
			return out
		}
		if time.Now().After(end) {
			d.t.Fatalf("%s: it does not show %q:\n%s", question, missing, out)
		}
	}
}

// file writes a file that a command names.
func (d *desk) file(name, content string) {
	d.t.Helper()
	if err := os.WriteFile(filepath.Join(d.dir, name), []byte(content), 0o600); err != nil {
		d.t.Fatal(err)
	}
}

// object reads an object of the API.
func object[T any](t *testing.T, text string) *T {
	t.Helper()
	o := new(T)
	if err := yaml.UnmarshalStrict([]byte(text), o); err != nil {
		t.Fatal(err)
	}
	return o
}

// server answers A questions with a TTL of 1 s after a while, or not at all.
type server struct {
	*dnstest.Server
	silent atomic.Bool
}

func newServer(t *testing.T, after time.Duration) *server {
	t.Helper()
	s := &server{}
	s.Server = dnstest.NewServer(t, func(q *dns.Msg, _ bool) [][]byte {
		if s.silent.Load() {
			return nil
		}
		time.Sleep(after)
		return [][]byte{dnstest.Pack(dnstest.Reply(q, 0, q.Question[0].Name+" 1 IN A 192.0.2.1"))}
	})
	return s
}

// cache starts a dnscache before a server, and returns the address of its metrics.
func (d *desk) startCache(s *server) string {
	d.t.Helper()
	ports := testkit.FreePorts(d.t, 30000, 2000, 2)
	metrics := fmt.Sprintf("127.0.0.1:%d", ports[1])
	p := addon.Start(d.t, filepath.Join(bin, "dnscache"), "-k", "--conf-file=", "--user=", "--no-resolv", "--no-hosts", "--log-facility=-",
		"--listen-address=127.0.0.1", "--bind-interfaces", fmt.Sprintf("--port=%d", ports[0]), "--serve-stale=1h",
		fmt.Sprintf("--server=127.0.0.1#%d", s.Addr.Port()), "--metrics-address="+metrics)
	p.WaitURL(d.t, "http://"+metrics+"/metrics", limit)
	return metrics
}

// startKubedns starts a kubedns with an API server and a ConfigMap's directory.
func (d *desk) startKubedns(api *apiserver.Front, corp *server) {
	d.t.Helper()
	config := filepath.Join(d.dir, "config")
	if err := os.Mkdir(config, 0o700); err != nil {
		d.t.Fatal(err)
	}
	d.file("config/stubDomains", fmt.Sprintf(`{"corp.example": [%q]}`, corp.Addr))
	ports := testkit.FreePorts(d.t, 30000, 2000, 3)
	d.kubedns = fmt.Sprintf("127.0.0.1:%d", ports[2])
	p := addon.Start(d.t, filepath.Join(bin, "kubedns"), "--kube-master-url="+api.URL(), "--dns-bind-address=127.0.0.1",
		fmt.Sprintf("--dns-port=%d", ports[0]), fmt.Sprintf("--healthz-port=%d", ports[1]), "--debug-address="+d.kubedns,
		"--nameservers=none", "--config-dir="+config)
	p.WaitURL(d.t, fmt.Sprintf("http://127.0.0.1:%d/readiness", ports[1]), limit)
}

// Each question is answered within a minute, by the command and the text that
// docs/operations.md names.
func TestSevenQuestions(t *testing.T) {
	api := apiserver.New()
	api.Put(object[corev1.Service](t, webService))
	api.Put(object[corev1.Service](t, dbService))
	api.Put(object[discoveryv1.EndpointSlice](t, dbSlice))
	front, err := apiserver.Open(api)
	if err != nil {
		t.Fatal(err)
	}
	stopped := false
	defer func() {
		if !stopped {
			front.Stop()
		}
	}()
	d := &desk{t: t, rows: table(t), dir: t.TempDir()}
	corp, slow := newServer(t, 0), newServer(t, time.Second)
	d.startKubedns(front, corp)

	d.ask("Why is db-2.db.data missing?", 3, "10.1.0.2", "NXDOMAIN")
	d.ask("Which server answers corp.example?", 0, corp.Addr.String()+"  up, 1 answer")

	d.file("kube-dns.yaml", configMap)
	d.ask("What will this ConfigMap change?", 0, "192.0.2.53:53")
	d.file("kube-dns.yaml", strings.Replace(configMap, `"10.0.0.53"`, `"10.0.0.53"x`, 1))
	if out, code := d.run("What will this ConfigMap change?"); code != 1 || !strings.Contains(out, "kube-dns.yaml:6: key stubDomains: ") {
		t.Errorf("a fault: exit code %d: %s", code, out)
	}

	d.file("before.yaml", webService+"---\n"+dbService+"---\n"+dbSlice)
	d.file("after.yaml", strings.ReplaceAll(webService, "10.96.0.10", "10.96.0.11")+"---\n"+dbService+"---\n"+dbSlice)
	d.ask("What did the last deploy change in DNS?", 1, "- web.default.svc.cluster.local. 30 IN A 10.96.0.10\n", "+ web.default.svc.cluster.local. 30 IN A 10.96.0.11\n")

	d.slowPod(corp, slow)
	d.stale(corp)

	front.Stop()
	stopped = true
	out := d.eventually("Is my API server silent?")
	if !regexp.MustCompile(`the API server does not answer for services since \d+s: .+; the records may be out of date`).MatchString(out) {
		t.Errorf("silent: %s", out)
	}
}

// slowPod finds out which of two Pods is slow.
func (d *desk) slowPod(fast, slow *server) {
	roundTrip := func(s *server) time.Duration {
		d.cache = d.startCache(s)
		out := d.eventually("Which Pod is slow?")
		m := regexp.MustCompile(`round trip (\S+?)[;\s]`).FindStringSubmatch(out)
		if m == nil {
			d.t.Fatalf("no round trip in %s", out)
		}
		rtt, err := time.ParseDuration(m[1])
		if err != nil {
			d.t.Fatal(err)
		}
		return rtt
	}
	if f, s := roundTrip(fast), roundTrip(slow); s < time.Second || f >= s {
		d.t.Errorf("round trip of the fast Pod %v, of the slow one %v", f, s)
	}
}

// stale finds out that an answer is stale.
func (d *desk) stale(s *server) {
	d.cache = d.startCache(s)
	if out, code := d.run("Is this answer stale?"); code != 0 || !strings.Contains(out, "This answer is not stale: it was asked for just now.") {
		d.t.Errorf("fresh: %d %s", code, out)
	}
	s.silent.Store(true)
	out := d.eventually("Is this answer stale?")
	s.silent.Store(false)
	if !strings.Contains(out, ", from "+s.Addr.String()) || !strings.Contains(out, "192.0.2.1") {
		d.t.Errorf("stale: %s", out)
	}
}
