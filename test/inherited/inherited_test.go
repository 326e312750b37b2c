// Package inherited starts the programs with the command lines, ConfigMaps and
// dnsmasq configuration files that clusters and hosts already have: those of
// earlier versions of kube-dns as installers deployed them, and the DNS part of
// the files that distributions ship. Each file of testdata says what must come
// out.
package inherited

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"
	"sigs.k8s.io/yaml"

	"github.com/kube-dns/kube-dns/test/addon"
	"github.com/kube-dns/kube-dns/test/outside"
)

// The node's resolver. It and all other upstream servers run in a separate network namespace,
// because dnscache binds port 53 of every address.
const (
	nodeServer  = "10.250.9.1:53"
	nodeServer6 = "[fd00:250:9::1]:53"
)

func TestMain(m *testing.M) {
	os.Exit(addon.RunIsolated(m, func(dir string) error {
		if err := os.WriteFile(dir+"/resolv.conf", []byte("nameserver 10.250.9.1\n"), 0o644); err != nil {
			return err
		}
		return addon.Build(dir, nil, "kubedns", "dnscache", "exechealthz")
	}, `
touch "$DIR/outside"
unshare --net="$DIR/outside" true
outside() { nsenter --net="$DIR/outside" "$@"; }
outside ip link add node type veth peer name pod netns $$
ip addr add 10.250.9.2/24 dev pod
ip addr add fd00:250:9::2/64 dev pod nodad
ip link set pod up
for i in 1 3 4 5 6 7; do outside ip addr add 10.250.9.$i/24 dev node; done
outside ip addr add fd00:250:9::1/64 dev node nodad
outside ip link set node up
mount --bind "$DIR/resolv.conf" /etc/resolv.conf`))
}

// elsewhere runs f in the upstream servers' network namespace. Sockets that f
// opens stay there.
func elsewhere(f func() error) error {
	runtime.LockOSThread() // not unlocked after a failure: the thread is then in the wrong namespace
	here, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	defer here.Close()
	there, err := os.Open(filepath.Join(addon.Isolated(), "outside"))
	if err != nil {
		return err
	}
	defer there.Close()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		return err
	}
	fault := f()
	if err := unix.Setns(int(here.Fd()), unix.CLONE_NEWNET); err != nil {
		return err
	}
	runtime.UnlockOSThread()
	return fault
}

// deployment is one file of testdata.
type deployment struct {
	// Description says where such a deployment comes from.
	Description string
	// Config is the data of the ConfigMap kube-dns, mounted at $CONFIG.
	Config map[string]string
	// Files are other files in $FILES.
	Files map[string]string
	// Servers are the upstream servers on port 53. For each server's address, they give the
	// IPv4 address of each name that it knows.
	Servers map[string]map[string]string
	// KubeDNS, DNSCache and ExecHealthz are the arguments of the programs. A
	// program without any is not started.
	KubeDNS, DNSCache, ExecHealthz []string
	// Refused are the messages of programs that must not start, by program.
	Refused map[string]string
	// Answers are the expected answers of dnscache, ClusterAnswers those of kubedns: "RCODE
	// data..." by "name TYPE".
	Answers, ClusterAnswers map[string]string
	// URLs are the URLs of exechealthz whose status must be 200.
	URLs []string
}

func TestInherited(t *testing.T) {
	dir := addon.Isolated()
	if dir == "" {
		t.Skip("needs root, for a network namespace in which port 53 is free")
	}
	for _, addr := range []string{nodeServer, nodeServer6} {
		err := elsewhere(func() error {
			_, stop, err := outside.Serve(addr)
			if err == nil {
				t.Cleanup(stop)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	paths, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(paths) < 10 {
		t.Fatalf("only %d files (%v)", len(paths), err)
	}
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".yaml")
		if name == "objects" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var d deployment
			if err := yaml.UnmarshalStrict(data, &d); err != nil {
				t.Fatal(err)
			}
			testDeployment(t, dir, &d)
		})
	}
}

func testDeployment(t *testing.T, dir string, d *deployment) {
	t.Helper()
	config, files := t.TempDir(), t.TempDir()
	expand := strings.NewReplacer("$CONFIG", config, "$FILES", files)
	for folder, content := range map[string]map[string]string{config: d.Config, files: d.Files} {
		for name, text := range content {
			if err := os.WriteFile(filepath.Join(folder, name), []byte(expand.Replace(text)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		// dnscache reads them as nobody.
		for _, path := range []string{folder, filepath.Dir(folder)} {
			if err := os.Chmod(path, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	for addr, names := range d.Servers {
		serve(t, addr, names)
	}
	start := func(program string, args []string, more ...string) *addon.Process {
		if len(args) == 0 && d.Refused[program] == "" {
			return nil
		}
		line := slices.Clone(more)
		for _, arg := range args {
			line = append(line, expand.Replace(arg))
		}
		p := addon.StartEnv(t, []string{"PROMETHEUS_PORT=10055"}, filepath.Join(dir, program), line...)
		want, refused := d.Refused[program]
		if !refused {
			return p
		}
		if code, err := p.Wait(10 * time.Second); err != nil || code == 0 || !strings.Contains(p.Log(), want) {
			t.Errorf("%s ends with code %d (%v), want an error with %q:\n%s", program, code, err, want, p.Log())
		}
		return nil
	}
	if p := start("kubedns", d.KubeDNS, "--objects=testdata/objects.yaml"); p != nil {
		p.WaitURL(t, "http://127.0.0.1:8081/readiness", 20*time.Second)
		ask(t, p, "127.0.0.1:10053", d.ClusterAnswers)
	}
	if p := start("dnscache", d.DNSCache); p != nil {
		p.WaitFor(t, 20*time.Second, "dnscache", func(ctx context.Context) bool {
			conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", "127.0.0.1:53")
			if err == nil {
				conn.Close()
			}
			return err == nil
		})
		ask(t, p, "127.0.0.1:53", d.Answers)
	}
	if p := start("exechealthz", d.ExecHealthz); p != nil {
		for _, url := range d.URLs {
			p.WaitURL(t, "http://127.0.0.1:8080"+url, 20*time.Second)
		}
		resp, err := http.Get("http://127.0.0.1:8080/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if body, err := io.ReadAll(resp.Body); err != nil || len(body) == 0 {
			t.Errorf("metrics of exechealthz: %d octets, %v", len(body), err)
		}
	}
}

// ask compares a server's answers with the expected ones. It waits some seconds for them,
// because stub servers that are given by name need that long.
func ask(t *testing.T, p *addon.Process, server string, want map[string]string) {
	t.Helper()
	for _, question := range slices.Sorted(maps.Keys(want)) {
		name, typ, _ := strings.Cut(question, " ")
		var got string
		for range 50 {
			q := new(dns.Msg)
			q.SetQuestion(dns.Fqdn(name), dns.StringToType[typ])
			m, err := dns.Exchange(q, server)
			if err != nil {
				got = err.Error()
			} else {
				got = render(m)
			}
			if got == want[question] {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		if got != want[question] {
			t.Errorf("%s: %q, want %q", question, got, want[question])
		}
	}
	p.Running(t)
}

func render(m *dns.Msg) string {
	var data []string
	for _, rr := range m.Answer {
		data = append(data, strings.TrimPrefix(rr.String(), rr.Header().String()))
	}
	slices.Sort(data)
	return strings.Join(append([]string{dns.RcodeToString[m.Rcode]}, data...), " ")
}

// serve answers for a few names on port 53 of addr until the test ends.
func serve(t *testing.T, addr string, names map[string]string) {
	t.Helper()
	var conn net.PacketConn
	err := elsewhere(func() (err error) {
		conn, err = net.ListenPacket("udp", net.JoinHostPort(addr, "53"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		name := strings.ToLower(q.Question[0].Name)
		addr, ok := names[strings.TrimSuffix(name, ".")]
		switch {
		case !ok:
			m.Rcode = dns.RcodeNameError
		case q.Question[0].Qtype == dns.TypeA:
			rr, _ := dns.NewRR(fmt.Sprintf("%s 60 IN A %s", name, addr))
			m.Answer = append(m.Answer, rr)
		case q.Question[0].Qtype == dns.TypePTR:
			rr, _ := dns.NewRR(fmt.Sprintf("%s 60 IN PTR %s", name, addr))
			m.Answer = append(m.Answer, rr)
		}
		_ = w.WriteMsg(m)
	})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.ActivateAndServe()
	}()
	t.Cleanup(func() {
		conn.Close()
		<-done
	})
}
