// Package attack attacks the three programs as they are deployed, within the memory limits of
// the manifest, and checks that they go on working.
package attack

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/test/addon"
)

var binaries string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "attack")
	if err == nil {
		err = addon.Build(dir, nil, "kubedns", "dnscache", "exechealthz")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binaries = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// limitOf returns the memory limit of a container of the manifest, in octets.
func limitOf(t *testing.T, container string) int64 {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(addon.Root(), "manifests/base/deployment.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "- name: "+container+"\n")
	after, _, _ = strings.Cut(after, "\n        - name: ")
	m := regexp.MustCompile(`limits: \{memory: (\d+)Mi\}`).FindStringSubmatch(after)
	if m == nil {
		t.Fatalf("the container %s has no memory limit in manifests/base/deployment.yaml", container)
	}
	n, _ := strconv.ParseInt(m[1], 10, 64)
	return n << 20
}

// attackTime is how long each flood lasts.
const attackTime = 2 * time.Second

// flooders is the number of connections of a flood.
const flooders = 1200

// httpFloods are the kinds of misuse of a connection to an HTTP port. If a function returns
// before the end of the flood, it is called again with a new connection.
var httpFloods = map[string]func(ctx context.Context, c net.Conn, path string){
	"requests": func(_ context.Context, c net.Conn, path string) {
		_, _ = fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path)
		_, _ = io.Copy(io.Discard, c)
	},
	"half headers": func(ctx context.Context, c net.Conn, path string) {
		_, _ = fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\nX-Long: %s", path, strings.Repeat("x", 4000))
		<-ctx.Done()
	},
	"slow bodies": func(ctx context.Context, c net.Conn, path string) {
		_, _ = fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n%s", path, strings.Repeat("x", 4000))
		<-ctx.Done()
	},
	"pipelined, never read": func(ctx context.Context, c net.Conn, path string) {
		_ = c.(*net.TCPConn).SetReadBuffer(1)
		_, _ = io.WriteString(c, strings.Repeat("GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n", 20))
		<-ctx.Done()
	},
}

// flood keeps count connections to addr busy with act until ctx ends.
func flood(ctx context.Context, wg *sync.WaitGroup, addr string, count int, act func(ctx context.Context, c net.Conn)) {
	for range count {
		wg.Go(func() {
			for ctx.Err() == nil {
				var d net.Dialer
				c, err := d.DialContext(ctx, "tcp", addr)
				if err != nil {
					time.Sleep(10 * time.Millisecond)
					continue
				}
				stop := context.AfterFunc(ctx, func() { _ = c.Close() })
				act(ctx, c)
				stop()
				_ = c.Close()
			}
		})
	}
}

// probes requests url every 100 ms until ctx ends, each time on a new connection, as the
// kubelet does. Each request must get status 200 within the manifest's timeout. One may fail,
// because the machine is busy with the attack itself, but not two in a row; the kubelet
// restarts a container after three or five failures.
func probes(ctx context.Context, t *testing.T, wg *sync.WaitGroup, url string) {
	t.Helper()
	wg.Go(func() {
		slowest, failed := time.Duration(0), 0
		for n := 0; ctx.Err() == nil; n++ {
			start := time.Now()
			err := probe(url)
			slowest = max(slowest, time.Since(start))
			if err == nil {
				failed = 0
			} else if failed++; failed > 1 {
				t.Errorf("probe %d of %s: %v", n, url, err)
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
		t.Logf("the slowest probe of %s took %v", url, slowest.Round(time.Millisecond))
	})
}

// prober is an HTTP client that uses a new connection for each request.
var prober = http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

func probe(url string) error {
	resp, err := prober.Get(url)
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}

// target is a running program under attack.
type target struct {
	process *addon.Process
	group   *memoryGroup
	metrics string // address
	path    string
	probe   string // URL
	dns     string // address; "" for none
}

// targets start each program as the manifest does.
var targets = map[string]func(t *testing.T) *target{
	"healthz": func(t *testing.T) *target {
		t.Helper()
		port := addon.FreePorts(t, 1)[0]
		g := newMemoryGroup(t, limitOf(t, "healthz"))
		p := g.start(t, nil, filepath.Join(binaries, "exechealthz"), "--cmd=echo well", "--url=/healthz-dnsmasq",
			"--cmd=true", "--url=/healthz-kubedns", "--quiet", "--port="+strconv.Itoa(port))
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		return &target{process: p, group: g, metrics: addr, path: "/metrics", probe: "http://" + addr + "/healthz-dnsmasq"}
	},
	"kubedns": func(t *testing.T) *target {
		t.Helper()
		ports := addon.FreePorts(t, 3)
		g := newMemoryGroup(t, limitOf(t, "kubedns"))
		objects := writeObjects(t)
		p := g.start(t, []string{"PROMETHEUS_PORT=" + strconv.Itoa(ports[0])}, filepath.Join(binaries, "kubedns"),
			"--objects="+objects, "--domain=cluster.local.", "--dns-bind-address=127.0.0.1",
			"--healthz-port="+strconv.Itoa(ports[1]), "--dns-port="+strconv.Itoa(ports[2]))
		return &target{
			process: p, group: g, metrics: fmt.Sprintf("127.0.0.1:%d", ports[0]), path: "/metrics",
			probe: fmt.Sprintf("http://127.0.0.1:%d/readiness", ports[1]), dns: fmt.Sprintf("127.0.0.1:%d", ports[2]),
		}
	},
	"dnscache": func(t *testing.T) *target {
		t.Helper()
		ports := addon.FreePorts(t, 2)
		g := newMemoryGroup(t, limitOf(t, "dnscache"))
		addr := fmt.Sprintf("127.0.0.1:%d", ports[0])
		p := g.start(t, nil, filepath.Join(binaries, "dnscache"), "--user=root", "--conf-file=", "--no-resolv", "--no-hosts",
			"--cache-size=1000", "--log-facility=-", "--serve-stale=1h", "--metrics-address="+addr, "--listen-address=127.0.0.1",
			"--port="+strconv.Itoa(ports[1]), "--address=/kubernetes.default.svc.cluster.local/10.96.0.1", "--local=//")
		return &target{
			process: p, group: g, metrics: addr, path: "/metrics", probe: "http://" + addr + "/metrics",
			dns: fmt.Sprintf("127.0.0.1:%d", ports[1]),
		}
	},
}

// writeObjects writes the objects of a cluster of some size to a file, and returns its path.
func writeObjects(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	service := func(namespace, name, address string) {
		fmt.Fprintf(&b, "---\napiVersion: v1\nkind: Service\nmetadata: {name: %s, namespace: %s}\nspec: {clusterIP: %s, clusterIPs: [%s], ports: [{name: https, port: 443}]}\n",
			name, namespace, address, address)
	}
	service("default", "kubernetes", "10.96.0.1")
	for i := range 2000 {
		service(fmt.Sprintf("ns%d", i%50), fmt.Sprintf("s%d", i), fmt.Sprintf("10.97.%d.%d", i/250, i%250+1))
	}
	path := filepath.Join(t.TempDir(), "objects.yaml")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestHTTPFloods floods the HTTP ports. The program must survive, and answer its probes and
// DNS queries all the time.
func TestHTTPFloods(t *testing.T) {
	for name, start := range targets {
		for kind, act := range httpFloods {
			t.Run(name+"/"+kind, func(t *testing.T) {
				p := start(t)
				p.process.WaitURL(t, p.probe, 10*time.Second)
				ctx, cancel := context.WithTimeout(context.Background(), attackTime)
				defer cancel()
				var wg sync.WaitGroup
				flood(ctx, &wg, p.metrics, flooders, func(ctx context.Context, c net.Conn) { act(ctx, c, p.path) })
				if host := strings.TrimPrefix(p.probe, "http://"); !strings.HasPrefix(host, p.metrics) {
					addr, _, _ := strings.Cut(host, "/")
					flood(ctx, &wg, addr, flooders/4, func(ctx context.Context, c net.Conn) { act(ctx, c, "/readiness") })
				}
				probes(ctx, t, &wg, p.probe)
				if p.dns != "" {
					questions(ctx, t, &wg, p.dns, "udp")
				}
				wg.Wait()
				p.survived(t)
			})
		}
	}
}

// survived fails the test if the program has ended, and prints the memory that it used.
func (p *target) survived(t *testing.T) {
	t.Helper()
	if p.process.Ended() {
		t.Error("the program ended")
	}
	t.Logf("used at most %d of %d MiB", p.group.used(), p.group.limit>>20)
}

// questions asks for a cluster name every 50 ms until ctx ends, and fails the test if a
// question is not answered after three tries.
func questions(ctx context.Context, t *testing.T, wg *sync.WaitGroup, addr, network string) {
	t.Helper()
	wg.Go(func() {
		client := dns.Client{Net: network, Timeout: 2 * time.Second}
		for n := 0; ctx.Err() == nil; n++ {
			q := new(dns.Msg)
			q.SetQuestion("kubernetes.default.svc.cluster.local.", dns.TypeA)
			var (
				m   *dns.Msg
				err error
			)
			for range 3 {
				if m, _, err = client.Exchange(q, addr); err == nil {
					break
				}
			}
			if err != nil || len(m.Answer) == 0 {
				t.Errorf("question %d over %s: %v, %v", n, network, err, m)
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
	})
}

// frame returns a DNS message with its length prefix.
func frame(msg []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...)
}

// tcpFloods are the kinds of misuse of a TCP connection to the DNS port.
var tcpFloods = map[string]func(ctx context.Context, c net.Conn){
	"responses": func(ctx context.Context, c net.Conn) {
		m := new(dns.Msg)
		m.SetQuestion("kubernetes.default.svc.cluster.local.", dns.TypeA)
		m.Response = true
		packet, _ := m.Pack()
		_, _ = c.Write(frame(packet))
		<-ctx.Done()
	},
	"half a message": func(ctx context.Context, c net.Conn) {
		_, _ = c.Write(append([]byte{255, 255}, make([]byte, 30<<10)...))
		<-ctx.Done()
	},
	"idle": func(ctx context.Context, _ net.Conn) { <-ctx.Done() },
	"never read": func(ctx context.Context, c net.Conn) {
		_ = c.(*net.TCPConn).SetReadBuffer(1)
		m := new(dns.Msg)
		m.SetQuestion("kubernetes.default.svc.cluster.local.", dns.TypeA)
		packet, _ := m.Pack()
		many := strings.Repeat(string(frame(packet)), 500)
		for ctx.Err() == nil {
			if _, err := io.WriteString(c, many); err != nil {
				break
			}
		}
		<-ctx.Done()
	},
	"questions": func(_ context.Context, c net.Conn) {
		m := new(dns.Msg)
		m.SetQuestion("kubernetes.default.svc.cluster.local.", dns.TypeA)
		packet, _ := m.Pack()
		_, _ = c.Write(frame(packet))
		_, _ = c.Read(make([]byte, 512))
	},
}

// TestTCPFloods floods the DNS port over TCP from four addresses. A client at another address
// must be answered.
func TestTCPFloods(t *testing.T) {
	for _, name := range []string{"kubedns", "dnscache"} {
		for kind, act := range tcpFloods {
			t.Run(name+"/"+kind, func(t *testing.T) {
				p := targets[name](t)
				p.process.WaitURL(t, p.probe, 10*time.Second)
				ctx, cancel := context.WithTimeout(context.Background(), attackTime)
				defer cancel()
				var wg sync.WaitGroup
				for i := range 4 {
					wg.Go(func() { floodFrom(ctx, fmt.Sprintf("127.0.0.%d", i+2), p.dns, flooders/4, act) })
				}
				time.Sleep(attackTime / 6)
				questions(ctx, t, &wg, p.dns, "tcp")
				questions(ctx, t, &wg, p.dns, "udp")
				probes(ctx, t, &wg, p.probe)
				wg.Wait()
				p.survived(t)
			})
		}
	}
}

// floodFrom keeps count connections from one local address busy until ctx ends.
func floodFrom(ctx context.Context, from, to string, count int, act func(context.Context, net.Conn)) {
	var wg sync.WaitGroup
	for range count {
		wg.Go(func() {
			for ctx.Err() == nil {
				d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
				c, err := d.DialContext(ctx, "tcp", to)
				if err != nil {
					time.Sleep(10 * time.Millisecond)
					continue
				}
				stop := context.AfterFunc(ctx, func() { _ = c.Close() })
				act(ctx, c)
				stop()
				_ = c.Close()
			}
		})
	}
	wg.Wait()
}
