// Package nodelocal runs dnscache --node-local in network namespaces, beside rules like
// those of kube-proxy and a stand-in for cluster DNS, and counts lost queries.
package nodelocal

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
)

const (
	vip     = "10.96.0.10"
	local   = "169.254.20.10"
	vip6    = "fd00:96::10"
	byCache = "1.1.1.1" // what the node's cache answers
	byOther = "9.9.9.9" // what cluster DNS answers
)

// inside builds the program and runs the calling test again in its own network namespace. It
// returns true in that second process.
func inside(t *testing.T) bool {
	t.Helper()
	const marker = "NODELOCAL_TEST_PROGRAM"
	if os.Getenv(marker) != "" {
		program = os.Getenv(marker)
		run(t, "ip link set lo up")
		return true
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root for network namespaces and nftables")
	}
	path := filepath.Join(t.TempDir(), "dnscache")
	build := exec.Command("go", "build", "-o", path, "github.com/kube-dns/kube-dns/cmd/dnscache")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=2m")
	cmd.Env = append(os.Environ(), marker+"="+path)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("in a namespace: %v\n%s", err, out)
	}
	t.Logf("%s", out)
	return false
}

var program string

func run(t *testing.T, command string) {
	t.Helper()
	words := strings.Fields(command)
	if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
}

// clusterDNS sends queries for the Service's address to a stand-in, as kube-proxy does.
func clusterDNS(t *testing.T) {
	t.Helper()
	run(t, "ip addr add 10.1.0.53/32 dev lo")
	run(t, "ip route add default dev lo")
	for _, protocol := range []string{"udp", "tcp"} {
		run(t, "iptables -w -t nat -A OUTPUT -d "+vip+" -p "+protocol+" --dport 53 -j DNAT --to-destination 10.1.0.53:53")
	}
	start(t, "-k -h -R --listen-address=10.1.0.53 --address=/x.test/"+byOther)
	eventually(t, 5*time.Second, func() bool { return ask(vip) == byOther })
}

// process is a running program.
type process struct {
	*exec.Cmd
	mu   sync.Mutex
	log  bytes.Buffer
	done chan struct{}
}

func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(b)
}

func (p *process) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// wait returns the exit code, or -1 if the process has not ended after limit.
func (p *process) wait(limit time.Duration) int {
	select {
	case <-p.done:
		return p.ProcessState.ExitCode()
	case <-time.After(limit):
		return -1
	}
}

func start(t *testing.T, args string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(program, strings.Fields(args)...), done: make(chan struct{})}
	p.Stdout, p.Stderr = p, p
	p.WaitDelay = time.Second
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		_ = p.Process.Kill()
		<-p.done
		if t.Failed() {
			t.Logf("%s:\n%s", args, p.text())
		}
	})
	return p
}

// node starts the node's cache.
func node(t *testing.T, addresses string) *process {
	t.Helper()
	return start(t, "--node-local="+addresses+" --node-local-lameduck=1s -- -k -h -R --address=/x.test/"+byCache)
}

// cache returns the process of the cache, the only child of the supervisor.
func (p *process) cache(t *testing.T) int {
	t.Helper()
	pid := 0
	eventually(t, 5*time.Second, func() bool {
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", p.Process.Pid))
		for _, task := range tasks {
			b, _ := os.ReadFile(task)
			if n, _ := fmt.Sscan(string(b), &pid); n == 1 {
				return true
			}
		}
		return false
	})
	return pid
}

// ask returns the address that a server gives for x.test, or the error.
func ask(server string) string { return exchange(server, "udp", 300*time.Millisecond) }

func exchange(server, network string, patience time.Duration) string {
	return exchangeWith(&dns.Client{Net: network, Timeout: patience}, net.JoinHostPort(server, "53"))
}

func exchangeWith(c *dns.Client, server string) string {
	m, _, err := c.Exchange(new(dns.Msg).SetQuestion("x.test.", dns.TypeA), server)
	if err != nil {
		return err.Error()
	}
	if len(m.Answer) == 1 {
		if a, ok := m.Answer[0].(*dns.A); ok {
			return a.A.String()
		}
	}
	return dns.RcodeToString[m.Rcode]
}

func eventually(t *testing.T, limit time.Duration, ok func() bool) time.Duration {
	t.Helper()
	begin := time.Now()
	for !ok() {
		if time.Since(begin) > limit {
			t.Fatalf("not within %v", limit)
		}
		time.Sleep(2 * time.Millisecond)
	}
	return time.Since(begin)
}

// load sends servers a query every millisecond until stop is called. stop returns how many
// queries were sent, lost, and answered by cluster DNS. A lost query is repeated; if that is
// lost as well, it counts as a thousand.
func load(servers ...string) (stop func() (asked, lost, others int)) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	var mu sync.Mutex
	asked, lost, others := 0, 0, 0
	wg.Go(func() {
		ticks := time.NewTicker(time.Millisecond)
		defer ticks.Stop()
		for asked < 20000 {
			select {
			case <-ctx.Done():
				return
			case <-ticks.C:
			}
			server := servers[asked%len(servers)]
			asked++
			wg.Go(func() {
				got := exchange(server, "udp", 2*time.Second)
				first := got == byCache || got == byOther
				if !first {
					time.Sleep(50 * time.Millisecond)
					got = exchange(server, "udp", 2*time.Second)
				}
				mu.Lock()
				defer mu.Unlock()
				if !first {
					lost++
				}
				switch got {
				case byCache:
				case byOther:
					others++
				default:
					lost += 1000 // also with a retry: never allowed
				}
			})
		}
	})
	return func() (int, int, int) {
		cancel()
		wg.Wait()
		return asked, lost, others
	}
}

// TestFaults kills, stops and restarts parts under load (rows A5, A6, A7).
func TestFaults(t *testing.T) {
	if !inside(t) {
		return
	}
	clusterDNS(t)
	for _, c := range []struct {
		name string
		do   func(p *process)
		// returns is whether queries come back to the cache.
		returns bool
	}{
		{"kill the cache", func(p *process) { syscall.Kill(p.cache(t), syscall.SIGKILL) }, true},
		{"kill the supervisor", func(p *process) { p.Process.Kill() }, false},
		{"kill both", func(p *process) { pid := p.cache(t); p.Process.Kill(); syscall.Kill(pid, syscall.SIGKILL) }, false},
		{"stop the supervisor", func(p *process) { p.Process.Signal(syscall.SIGTERM) }, false},
	} {
		// Queries that a killed process has not read are lost. On a busy machine these are
		// more, so only one round of six has to stay within the bound.
		lost := 0
		for range 6 {
			if lost = faultRound(t, c.name, c.do, c.returns); lost <= 2 || lost >= 1000 {
				break
			}
		}
		if lost > 2 {
			t.Errorf("%s: lost %d queries", c.name, lost)
		}
	}
}

// faultRound runs one fault under load and returns how many queries were lost.
func faultRound(t *testing.T, name string, do func(*process), returns bool) int {
	t.Helper()
	p := node(t, vip+","+local)
	eventually(t, 5*time.Second, func() bool { return ask(vip) == byCache })
	stop := load(vip)
	time.Sleep(300 * time.Millisecond)
	do(p)
	begin := time.Now()
	if returns {
		eventually(t, 5*time.Second, func() bool { return strings.Count(p.text(), "queries come to this cache") == 2 })
		t.Logf("%s: back after %v", name, time.Since(begin).Round(time.Millisecond))
	} else {
		eventually(t, 2*time.Second, func() bool { return ask(vip) == byOther })
	}
	time.Sleep(300 * time.Millisecond)
	asked, lost, others := stop()
	t.Logf("%s: of %d queries lost %d, answered by cluster DNS %d", name, asked, lost, others)
	if others == 0 {
		t.Errorf("%s: none of %d queries was answered by cluster DNS", name, asked)
	}
	_ = p.Process.Signal(syscall.SIGTERM)
	p.wait(10 * time.Second)
	eventually(t, 2*time.Second, func() bool { return strings.Contains(ask(local), "refused") })
	return lost
}

// TestStuck stops and continues the cache (row A7).
func TestStuck(t *testing.T) {
	if !inside(t) {
		return
	}
	clusterDNS(t)
	p := node(t, vip)
	eventually(t, 5*time.Second, func() bool { return ask(vip) == byCache })
	pid := p.cache(t)
	syscall.Kill(pid, syscall.SIGSTOP)
	flip := eventually(t, 2500*time.Millisecond, func() bool { return ask(vip) == byOther })
	syscall.Kill(pid, syscall.SIGCONT)
	back := eventually(t, 3*time.Second, func() bool { return ask(vip) == byCache })
	t.Logf("flipped after %v, back after %v", flip, back)
}

// TestRollout overlaps two instances and ends the first under load, at both addresses
// (rows A8, A9).
func TestRollout(t *testing.T) {
	if !inside(t) {
		return
	}
	clusterDNS(t)
	old := node(t, vip+","+local)
	eventually(t, 5*time.Second, func() bool { return ask(vip) == byCache && ask(local) == byCache })
	stop := load(vip, local)
	fresh := node(t, vip+","+local)
	eventually(t, 5*time.Second, func() bool { return strings.Contains(fresh.text(), "queries come to this cache") })
	_ = old.Process.Signal(syscall.SIGTERM)
	if code := old.wait(10 * time.Second); code != 0 {
		t.Errorf("the old instance ended with %d", code)
	}
	time.Sleep(300 * time.Millisecond)
	asked, lost, _ := stop()
	t.Logf("lost %d of %d", lost, asked)
	if lost > 0 {
		t.Errorf("lost %d of %d queries", lost, asked)
	}
	if got := ask(vip); got != byCache {
		t.Errorf("after the rollout the Service's address answers %s", got)
	}
}

// TestAddresses: a link's addresses come back (row A4), both families are served over both
// protocols (row A15), the cache has no rights, and --node-local-cleanup removes the
// addresses (row A24).
func TestAddresses(t *testing.T) {
	if !inside(t) {
		return
	}
	run(t, "ip route add default dev lo")
	p := node(t, vip+","+local+","+vip6)
	for _, server := range []string{vip, local, vip6} {
		eventually(t, 5*time.Second, func() bool { return ask(server) == byCache })
		if got := exchange(server, "tcp", time.Second); got != byCache {
			t.Errorf("%s over TCP: %s", server, got)
		}
	}
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cache(t)))
	for _, want := range []string{"CapPrm:\t0000000000000000", "CapEff:\t0000000000000000", "Uid:\t65534", "Name:\tdnscache\n"} {
		if !strings.Contains(string(status), want) {
			t.Errorf("the cache's status lacks %q", want)
		}
	}
	run(t, "ip addr del "+local+"/32 dev lo")
	eventually(t, time.Second, func() bool { return ask(local) == byCache })
	_ = p.Process.Signal(syscall.SIGTERM)
	if code := p.wait(10 * time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
	addresses := func() string {
		out, _ := exec.Command("ip", "-o", "addr").Output()
		return string(out)
	}
	if !strings.Contains(addresses(), local) {
		t.Error("the addresses went with the process")
	}
	run(t, program+" --node-local="+vip+","+local+","+vip6+" --node-local-cleanup")
	for _, addr := range []string{vip, local, vip6} {
		if strings.Contains(addresses(), addr) {
			t.Errorf("--node-local-cleanup left %s", addr)
		}
	}
}

// TestRefused: a configuration that cannot work ends with one clear error and changes nothing
// (row A1).
func TestRefused(t *testing.T) {
	if !inside(t) {
		return
	}
	taken, err := net.ListenPacket("udp4", "0.0.0.0:53")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	takenTCP, err := net.Listen("tcp4", "0.0.0.0:53")
	if err != nil {
		t.Fatal(err)
	}
	defer takenTCP.Close()
	before, _ := exec.Command("ip", "addr").Output()
	for _, c := range []struct{ args, want string }{
		{"--node-local=" + local + " -- -k", fmt.Sprintf("udp 0.0.0.0:53 belongs to process %d (", os.Getpid())},
		{"--node-local=" + local + " -- -k", fmt.Sprintf("tcp 0.0.0.0:53 belongs to process %d (", os.Getpid())},
		{"--node-local=" + local + " -- -k --no-such-option", "try --help"},
		{"--node-local=127.0.0.1 -- -k", "cannot be the address of a node's cache"},
		{"--node-local=224.0.0.1 -- -k", "cannot be the address of a node's cache"},
		{"--node-local=fe80::1 -- -k", "without a zone"},
		{"--node-local=::ffff:10.0.0.1 -- -k", "written as an IPv6 address"},
		{"--node-local= -- -k", "an address is missing"},
		{"--node-local=" + local + ", -- -k", "an address is missing"},
		{"--node-local=fd00::10%lo -- -k", "write fd00::10"},
		{"--node-local=10.0.0.300 -- -k", "invalid address"},
		{"--node-local=" + local + " -k", "follow an argument --"},
		{"--node-local-interface=nodelocaldns -- -k", "an address is missing"},
		{"--node-local=" + local + " --node-local-interface=a/b -- -k", "invalid interface name"},
		{"--node-local=" + local + " --node-local-interface=a%d -- -k", "invalid interface name"},
		{"--node-local=" + local + " --node-local-interface=.. -- -k", "invalid interface name"},
		{"--node-local=" + local + " --node-local-lameduck=-1s -- -k", "lame-duck time"},
		{"--node-local=" + local + " --node-local-no-such=1 -- -k", "not defined"},
	} {
		p := start(t, c.args)
		if code := p.wait(5 * time.Second); code <= 0 {
			t.Errorf("%s: exit code %d", c.args, code)
		}
		if !strings.Contains(p.text(), c.want) {
			t.Errorf("%s: the error lacks %q:\n%s", c.args, c.want, p.text())
		}
	}
	if after, _ := exec.Command("ip", "addr").Output(); !bytes.Equal(before, after) {
		t.Errorf("the host changed:\n%s\n%s", before, after)
	}
}

// TestHost: a link of NodeLocal DNSCache's name is used as it is (row A3), an address that
// kube-proxy has in IPVS mode is left alone (row A13), another program's flush of all
// nftables changes nothing (row A10), and queries leave no connection tracking entries
// (row A16).
func TestHost(t *testing.T) {
	if !inside(t) {
		return
	}
	clusterDNS(t)
	run(t, "ip link add nodelocaldns type bridge")
	run(t, "ip addr add "+local+"/32 dev nodelocaldns")
	run(t, "ip link add kube-ipvs0 type bridge")
	run(t, "ip addr add 10.97.0.10/32 dev kube-ipvs0")
	before, _ := os.ReadFile("/sys/class/net/nodelocaldns/ifindex")
	p := node(t, local+","+vip+",10.97.0.10")
	eventually(t, 5*time.Second, func() bool { return ask(vip) == byCache && ask(local) == byCache })
	if after, _ := os.ReadFile("/sys/class/net/nodelocaldns/ifindex"); !bytes.Equal(before, after) {
		t.Error("the link was made again")
	}
	out, _ := exec.Command("ip", "-o", "addr", "show", "nodelocaldns").Output()
	if got := string(out); !strings.Contains(got, local+"/32") || !strings.Contains(got, vip+"/32") || strings.Contains(got, "10.97.0.10") {
		t.Errorf("addresses of the link:\n%s", got)
	}
	if !strings.Contains(p.text(), "left_out=[10.97.0.10]") {
		t.Error("nothing says that an address was left out")
	}
	if nft, err := exec.LookPath("nft"); err == nil {
		run(t, nft+" add table inet other")
		run(t, nft+" flush ruleset")
		if got := ask(vip); got != byCache {
			t.Errorf("after a flush the Service's address answers %s", got)
		}
	}
	tracked := func() (n int) {
		b, err := os.ReadFile("/proc/sys/net/netfilter/nf_conntrack_count")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Sscan(string(b), &n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	count := tracked()
	stop := load(vip, local)
	time.Sleep(500 * time.Millisecond)
	asked, lost, others := stop()
	if asked < 100 || lost+others > 0 {
		t.Errorf("of %d queries lost %d, answered by others %d", asked, lost, others)
	}
	if now := tracked(); now > count {
		t.Errorf("connection tracking entries: %d before %d queries, %d after", count, asked, now)
	}
}
