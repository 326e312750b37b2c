package encrypted

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"github.com/kube-dns/kube-dns/test/addon"
	"github.com/kube-dns/kube-dns/test/dnstest"
	"github.com/kube-dns/kube-dns/test/testkit"
)

// capture inspects all packets of this network namespace.
type capture struct {
	label string         // in every name that is asked
	own   func(int) bool // whether a port is the one on which clients ask
	// ours counts packets from and to clients that contain the label in clear text; leaked
	// counts all other such packets.
	ours, leaked atomic.Int64
}

// startCapture starts the capture, or skips the test if it has no right to capture.
func startCapture(t *testing.T, c *capture) {
	t.Helper()
	const all = unix.ETH_P_ALL>>8 | unix.ETH_P_ALL&0xff<<8 // in network order
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, all)
	if errors.Is(err, unix.EPERM) {
		t.Skip("capturing packets needs CAP_NET_RAW")
	}
	if err != nil {
		t.Fatal(err)
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20)
	wait := unix.NsecToTimeval(int64(100 * time.Millisecond))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait); err != nil {
		t.Fatal(err)
	}
	end := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		buf := make([]byte, 1<<16)
		for {
			select {
			case <-end:
				return
			default:
			}
			if n, _, err := unix.Recvfrom(fd, buf, 0); err == nil {
				c.packet(t, buf[:n])
			}
		}
	})
	t.Cleanup(func() { close(end); wg.Wait(); _ = unix.Close(fd) })
}

// packet inspects one packet, which begins with its IP header.
func (c *capture) packet(t *testing.T, p []byte) {
	t.Helper()
	if len(p) < 40 || !bytes.Contains(bytes.ToLower(p), []byte(c.label)) {
		return
	}
	header, protocol := int(p[0]&15)*4, p[9]
	if p[0]>>4 == 6 {
		header, protocol = 40, p[6]
	}
	if protocol != unix.IPPROTO_UDP && protocol != unix.IPPROTO_TCP || len(p) < header+4 {
		return // an ICMP error repeats a packet that was counted
	}
	from, to := int(binary.BigEndian.Uint16(p[header:])), int(binary.BigEndian.Uint16(p[header+2:]))
	if c.own(from) || c.own(to) {
		c.ours.Add(1)
		return
	}
	if c.leaked.Add(1) <= 3 {
		t.Errorf("protocol %d, port %d to %d, in clear text: %q", protocol, from, to, p[header:])
	}
}

// world is a program's environment: its ConfigMap, the file with the authorities, and the
// server over TLS.
type world struct {
	t      *testing.T
	config *testkit.Volume
	ca     string // a file
	good   *dnstest.CA
	other  *dnstest.CA
	server *hostile
}

// write replaces a file atomically, as the kubelet does.
func (w *world) write(path string, data []byte) {
	w.t.Helper()
	temporary := filepath.Join(filepath.Dir(path), ".new")
	if err := os.WriteFile(temporary, data, 0o600); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Rename(temporary, path); err != nil {
		w.t.Fatal(err)
	}
}

// key writes a key of the ConfigMap, and takes the keys gone out of it, in one step.
func (w *world) key(name, text string, gone ...string) {
	w.t.Helper()
	keys := w.config.Keys()
	if keys == nil {
		keys = map[string]string{}
	}
	for _, name := range gone {
		delete(keys, name)
	}
	keys[name] = text
	w.config.Set(w.t, keys)
}

// repair restores a valid configuration and a working server.
func (w *world) repair() {
	tlsServer := fmt.Sprintf("tls://127.0.0.1%%%s:%d", serverName, w.server.Addr.Port())
	w.config.Set(w.t, map[string]string{
		"upstreamNameservers": `["` + tlsServer + `"]`,
		"stubDomains":         `{"stub.example": ["` + tlsServer + `"]}`,
	})
	w.write(w.ca, w.good.PEM())
	w.server.Config.Store(dnstest.ServerConfig(w.good.Leaf(w.t, named)))
	w.server.set(well)
}

// events returns everything that may happen. None of these configurations allows questions in
// clear text.
func (w *world) events() []func() {
	port := strconv.Itoa(int(w.server.Addr.Port()))
	tlsServer := "tls://127.0.0.1%" + serverName + ":" + port
	return []func(){
		w.repair,
		w.repair,
		func() { w.key("upstreamNameservers", `["tls://127.0.0.1%other.example:`+port+`"]`) },
		func() { w.key("upstreamNameservers", `["`+tlsServer+`", "127.0.0.1:`+port+`"]`) }, // a mixture
		func() { w.key("upstreamNameservers", `["tls://dns.example.net"]`) },
		func() { w.key("upstreamNameservers", `["`+tlsServer+`"`) },
		func() { w.key("upstreamNameservers", `["tls://127.0.0.1:0"]`) },
		func() { w.key("stubDomains", `{"stub.example": ["tls://127.0.0.1:`+port+`", "127.0.0.77"]}`) },
		func() { w.key("stubDomains", `{"stub.example": ["tls:127.0.0.1#`+port+`"]}`) },
		func() { w.key("stubDomains", `{`) },
		func() { w.key("logo", "\xff\xfe") },
		func() { w.key("upstreamNameServers", `["`+tlsServer+`"]`, "upstreamNameservers") },
		func() { w.write(w.ca, w.other.PEM()) },
		func() { w.write(w.ca, append(w.good.PEM(), w.other.PEM()...)) },
		func() { w.write(w.ca, []byte("-----BEGIN CERT")) },
		func() { w.write(w.ca, nil) },
		func() { _ = os.Remove(w.ca) },
		func() { w.server.Config.Store(dnstest.ServerConfig(w.other.Leaf(w.t, named))) },
		func() {
			w.server.Config.Store(dnstest.ServerConfig(w.good.Leaf(w.t, dnstest.Leaf{Names: []string{serverName}, Expiry: -time.Minute})))
		},
		w.server.Drop,
		func() { w.server.set(mode(rand.Uint32N(uint32(modes)))) },
		func() { w.server.set(mode(rand.Uint32N(uint32(modes)))); w.server.Drop() },
	}
}

// start starts a program in the environment w. resolv.conf and kubedns's flags name a server
// in clear text, which must never be asked.
func (w *world) start(name string, port int) *addon.Process {
	w.t.Helper()
	dir, err := built()
	if err != nil {
		w.t.Fatal(err)
	}
	at := strconv.Itoa(port)
	if name == "dnscache" {
		resolv := filepath.Join(filepath.Dir(w.ca), "resolv.conf")
		w.write(resolv, []byte("nameserver 127.0.0.77\n"))
		return addon.Start(w.t, filepath.Join(dir, name), "-configDir="+w.config.Dir, "-restartDnsmasq", "-syncInterval=20ms", "--", "-k", "--user=root",
			"--conf-file=", "--no-hosts", "--pid-file=", "--log-facility=-", "--resolv-file="+resolv, "--listen-address=127.0.0.1", "--port="+at, "--tls-ca-file="+w.ca)
	}
	objects := filepath.Join(filepath.Dir(w.ca), "objects.yaml")
	w.write(objects, []byte("apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: b}\nspec: {clusterIP: 10.0.0.1, ports: [{port: 80}]}\n"))
	return addon.Start(w.t, filepath.Join(dir, name), "--objects="+objects, "--config-dir="+w.config.Dir, "--config-period=20ms", "--nameservers=127.0.0.77",
		"--dns-bind-address=127.0.0.1", "--dns-port="+at, "--healthz-port="+strconv.Itoa(testkit.FreePorts(w.t, 20000, 1000, 1)[0]), "--debug-address=", "--tls-ca-file="+w.ca)
}

// TestNeverInClear: while the ConfigMap names servers over TLS, in a valid form or not, no
// name is sent in clear text, whatever happens to the ConfigMap, the certificates, the server
// and the program, and in whatever order.
func TestNeverInClear(t *testing.T) {
	t.Parallel()
	duration, _ := lasting(t)
	for _, name := range []string{"dnscache", "kubedns"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			w := &world{t: t, config: &testkit.Volume{Dir: filepath.Join(dir, "config")}, ca: filepath.Join(dir, "ca.pem"), good: dnstest.NewCA(t, "CA"), other: dnstest.NewCA(t, "other CA")}
			if err := os.Mkdir(w.config.Dir, 0o700); err != nil {
				t.Fatal(err)
			}
			w.server = newHostile(t, w.good)
			port := takePort(t)
			c := &capture{label: fmt.Sprintf("canary%d", rand.Uint32()), own: func(p int) bool { return p == port }}
			startCapture(t, c)
			w.repair()
			addr := fmt.Sprintf("127.0.0.1:%d", port)
			ask := func(domain string) bool {
				q := new(dns.Msg).SetQuestion(fmt.Sprintf("%s.n%d.%s", c.label, rand.Uint32(), domain), dns.TypeA)
				m, _, err := (&dns.Client{Timeout: time.Second}).Exchange(q, addr)
				return err == nil && m.Rcode == dns.RcodeSuccess && len(m.Answer) == 1
			}
			end := make(chan struct{})
			var wg sync.WaitGroup
			var answered atomic.Int64
			for i := range 4 {
				wg.Go(func() {
					for {
						select {
						case <-end:
							return
						case <-time.After(5 * time.Millisecond):
						}
						if ask([]string{"example.", "stub.example."}[i%2]) {
							answered.Add(1)
						}
					}
				})
			}
			p := w.start(name, port)
			events, order := w.events(), []int(nil)
			for began := time.Now(); time.Since(began) < duration; time.Sleep(time.Duration(rand.IntN(150)) * time.Millisecond) {
				i := rand.IntN(len(events))
				order = append(order, i)
				events[i]()
				switch {
				case name == "dnscache" && rand.IntN(4) == 0:
					_ = p.Signal(syscall.SIGHUP)
				case rand.IntN(8) == 0 || p.Ended():
					p.Kill()
					p = w.start(name, port)
				}
			}
			w.repair()
			p.Kill()
			w.start(name, port)
			testkit.Eventually(t, "an answer", func() bool { return ask("example.") && ask("stub.example.") })
			close(end)
			wg.Wait()
			time.Sleep(200 * time.Millisecond) // for packets that no call waits for
			t.Logf("%d answered, %d packets of clients, %d over TLS, %d in clear text, events %v",
				answered.Load(), c.ours.Load(), w.server.Questions.Load(), c.leaked.Load(), order)
			if answered.Load() == 0 || c.ours.Load() == 0 || w.server.Questions.Load() == 0 {
				t.Error("the test sees nothing")
			}
		})
	}
}
