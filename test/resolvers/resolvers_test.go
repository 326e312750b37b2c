// Package resolvers sends the addon the questions of programs in pods, with the resolvers
// that such programs use: those of C libraries and languages, and the tools of
// administrators. Everything runs in a network namespace of the test, in which port 53 is
// dnscache's and resolv.conf is that of a pod.
package resolvers

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/test/addon"
	"github.com/kube-dns/kube-dns/test/outside"
)

// resolvConf is what the kubelet writes for a pod of the namespace default.
const resolvConf = `search default.svc.cluster.local svc.cluster.local cluster.local
nameserver 127.0.0.1
options ndots:5
`

func TestMain(m *testing.M) {
	// systemd-resolved asks no server while only lo has an address.
	os.Exit(addon.RunIsolated(m, prepare, `
ip link add pod type veth peer name node
ip addr add 10.250.9.2/24 dev pod
ip link set pod up
ip link set node up
for f in resolv.conf hosts nsswitch.conf; do mount --bind "$DIR/$f" /etc/$f; done`))
}

// prepare builds the programs.
func prepare(dir string) error {
	if err := addon.Build(dir, nil, "kubedns", "dnscache"); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"musl-gcc", "-static", "-O1", "-o", dir + "/gai-musl", "testdata/gai.c"},
		{"gcc", "-D_GNU_SOURCE", "-O1", "-o", dir + "/gai-glibc", "testdata/gai.c"},
		{"go", "build", "-o", dir + "/golookup", "./golookup"},
	} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%v: %w\n%s", args, err, out)
		}
	}
	resolved := exec.Command("../../hack/resolved.sh")
	resolved.Stderr = os.Stderr
	out, err := resolved.Output()
	if err != nil {
		return fmt.Errorf("unpacking systemd-resolved: %w", err)
	}
	if err := os.Symlink(strings.TrimSpace(string(out)), dir+"/resolved"); err != nil {
		return err
	}
	for name, content := range map[string]string{"resolv.conf": resolvConf, "hosts": "", "nsswitch.conf": "hosts: dns\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// question is one lookup, and the result that every resolver must get.
type question struct {
	what, name string
	family     int
	want       []string
	// dotted means that the name needs no search list.
	dotted bool
	// overTCP means that the answer does not fit a UDP message.
	overTCP bool
}

// largeAddrs are the addresses of the Service that needs TCP.
func largeAddrs() []string {
	var addrs []string
	for i := range 300 {
		addrs = append(addrs, fmt.Sprintf("10.7.%d.%d", (i+2)/256, (i+2)%256))
	}
	slices.Sort(addrs)
	return addrs
}

func questions() []question {
	const zone = ".svc.cluster.local"
	return []question{
		{"existing", "web.default" + zone, 4, []string{"10.96.0.10"}, true, false},
		{"both families", "web.default" + zone, 0, []string{"10.96.0.10", "fd00:10:96::10"}, true, false},
		{"IPv6", "web.default" + zone, 6, []string{"fd00:10:96::10"}, true, false},
		{"search path, name alone", "web", 4, []string{"10.96.0.10"}, false, false},
		{"search path, name and namespace", "db.data", 4, []string{"10.8.0.1", "10.8.0.2"}, false, false},
		{"pod of a headless Service", "db-0.db.data" + zone, 4, []string{"10.8.0.1"}, true, false},
		{"IPv6 of an IPv4 Service", "four.default" + zone, 6, []string{notFound}, true, false},
		{"missing", "nosuch.default" + zone, 4, []string{notFound}, true, false},
		{"missing, both families", "nosuch.default" + zone, 0, []string{notFound}, true, false},
		{"single label", "nosuch", 0, []string{notFound}, false, false},
		{"single label, absolute", "nosuch.", 0, []string{notFound}, true, false},
		{"outside", "www.example.com", 4, []string{"198.51.100.7"}, true, false},
		{"outside through an alias", "alias.example.com", 4, []string{"198.51.100.7"}, true, false},
		{"missing outside", "nosuch.example.com", 4, []string{notFound}, true, false},
		{"ExternalName", "away.default" + zone, 4, []string{"198.51.100.7"}, true, false},
		{"large answer", "large.default" + zone, 4, largeAddrs(), true, true},
	}
}

// TestResolvers asks every question with every tool, through the two forms in
// which the manifests arrange the programs.
func TestResolvers(t *testing.T) {
	dir := addon.Isolated()
	if dir == "" {
		t.Skip("needs root, for a network namespace with a resolv.conf of its own")
	}
	upstream, stop, err := outside.Serve("127.0.0.2:53")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	for form, args := range map[string][]string{
		"base": {"--no-resolv", "--server=127.0.0.1#10053"},
		"direct": {
			"--no-resolv", "--server=" + strings.TrimSuffix(upstream, ":53"), "--server=/cluster.local/127.0.0.1#10053",
			"--server=/in-addr.arpa/127.0.0.1#10053", "--server=/ip6.arpa/127.0.0.1#10053",
		},
	} {
		t.Run(form, func(t *testing.T) { testForm(t, dir, upstream, args) })
	}
}

func testForm(t *testing.T, dir, upstream string, args []string) {
	t.Helper()
	kubedns := addon.Start(t, filepath.Join(dir, "kubedns"), "--objects=testdata/objects", "--domain=cluster.local.",
		"--nameservers="+upstream, "--dns-bind-address=127.0.0.1", "--dns-port=10053", "--debug-address=")
	kubedns.WaitURL(t, "http://127.0.0.1:8081/readiness", 20*time.Second)
	cache := addon.Start(t, filepath.Join(dir, "dnscache"), append([]string{
		"-k", "--no-hosts", "--conf-file=" + os.DevNull, "--cache-size=1000", "--user=root", "--pid-file=",
		"--listen-address=127.0.0.1", "--log-facility=-", "--log-queries", "--serve-stale=1h",
	}, args...)...)
	cache.WaitFor(t, 20*time.Second, "dnscache", func(ctx context.Context) bool {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", "127.0.0.1:53")
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	stub := addon.Start(t, "unshare", "--mount", "sh", "testdata/resolved.sh", dir+"/resolved/")
	stub.WaitFor(t, 20*time.Second, "systemd-resolved", func(ctx context.Context) bool {
		q := new(dns.Msg)
		q.SetQuestion("www.example.com.", dns.TypeA)
		m, err := dns.ExchangeContext(ctx, q, "127.0.0.53:53")
		return err == nil && m.Rcode == dns.RcodeSuccess
	})
	for _, tl := range tools(dir) {
		t.Run(tl.name, func(t *testing.T) {
			if tl.program != "" {
				if _, err := exec.LookPath(tl.program); err != nil {
					t.Skip(tl.program, " is not installed")
				}
			}
			for _, q := range questions() {
				if !q.dotted && !tl.search || q.family == 0 && !tl.both {
					continue
				}
				before := mark(t, cache)
				got := tl.lookup(t, q.name, q.family)
				after := mark(t, cache)
				switch {
				case q.overTCP && tl.udpOnly:
					const fits = 20 // at least so many addresses fit in 512 octets
					if len(got) < fits || slices.ContainsFunc(got, func(a string) bool { return !slices.Contains(q.want, a) }) {
						t.Errorf("%s: %s gives %v, want at least %d of its addresses", q.what, q.name, got, fits)
					}
				case !slices.Equal(got, q.want):
					t.Errorf("%s: %s (family %d) gives %v, want %v", q.what, q.name, q.family, got, q.want)
				}
				if again := repeated(cache.Log()[before:after]); len(again) > 0 && !q.overTCP && !tl.probes {
					t.Errorf("%s: %s was asked more than once: %v", q.what, q.name, again)
				}
			}
			if tl.record != nil {
				tl.testRecord(t, "10.96.0.10", "PTR", "web.default.svc.cluster.local")
				tl.testRecord(t, "_sql._tcp.db.data.svc.cluster.local", "SRV", "5432 db-0.db.data.svc.cluster.local")
			}
		})
	}
	cache.Running(t)
	kubedns.Running(t)
}

// mark asks dnscache for a unique name, and returns the position of that question in the log.
// All earlier questions are before that position, all later ones behind it.
func mark(t *testing.T, cache *addon.Process) (at int) {
	t.Helper()
	q := new(dns.Msg)
	q.SetQuestion(fmt.Sprintf("mark-%d.example.com.", len(cache.Log())), dns.TypeTXT)
	if _, err := dns.Exchange(q, "127.0.0.1:53"); err != nil {
		t.Fatal(err)
	}
	cache.WaitFor(t, 10*time.Second, "the log", func(context.Context) bool {
		at = strings.Index(cache.Log(), q.Question[0].Name[:len(q.Question[0].Name)-1])
		return at >= 0
	})
	return at
}

// repeated returns the questions that occur more than once in a part of dnscache's log. A
// resolver repeats a question only if it rejected the answer or got none.
func repeated(log string) []string {
	var seen, again []string
	for line := range strings.Lines(log) {
		_, question, ok := strings.Cut(line, ": query[")
		if !ok {
			continue
		}
		question, _, _ = strings.Cut(question, " from ")
		if slices.Contains(seen, question) {
			again = append(again, question)
		}
		seen = append(seen, question)
	}
	return again
}
