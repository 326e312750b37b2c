package nodelocal

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"
)

// setting changes a setting of the network namespace.
func setting(t *testing.T, name, value string) {
	t.Helper()
	if err := os.WriteFile("/proc/sys/"+name, []byte(value), 0); err != nil {
		t.Fatal(err)
	}
}

// tables lists the tables of dnscache in the kernel; ok is false without the nft program.
func tables(t *testing.T) (list string, ok bool) {
	t.Helper()
	nft, err := exec.LookPath("nft")
	if err != nil {
		return "", false
	}
	out, err := exec.Command(nft, "list", "tables").CombinedOutput()
	if err != nil {
		t.Fatalf("nft: %v\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "dnscache_") {
			list += line
		}
	}
	return list, true
}

const blockedEnv = "NODELOCAL_TEST_BLOCK_NFTABLES"

// TestMain runs the program instead of the tests, with a system call filter that makes the
// kernel look like one without nftables.
func TestMain(m *testing.M) {
	if path := os.Getenv(blockedEnv); path != "" {
		_ = os.Unsetenv(blockedEnv)
		fmt.Fprintln(os.Stderr, blockNetfilter(), syscall.Exec(path, append([]string{path}, os.Args[1:]...), os.Environ()))
		os.Exit(99)
	}
	os.Exit(m.Run())
}

// blockNetfilter makes socket(AF_NETLINK, …, NETLINK_NETFILTER) fail as in such a kernel.
func blockNetfilter() error {
	const ld, jeq, ret = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_RET | unix.BPF_K
	code := []unix.SockFilter{
		{Code: ld, K: 0},
		{Code: jeq, K: unix.SYS_SOCKET, Jf: 5},
		{Code: ld, K: 16},
		{Code: jeq, K: unix.AF_NETLINK, Jf: 3},
		{Code: ld, K: 32},
		{Code: jeq, K: unix.NETLINK_NETFILTER, Jf: 1},
		{Code: ret, K: 0x00050000 | uint32(unix.EPROTONOSUPPORT)},
		{Code: ret, K: 0x7fff0000},
	}
	program := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	return unix.Prctl(unix.PR_SET_SECCOMP, 2, uintptr(unsafe.Pointer(&program)), 0, 0)
}

// TestOldKernel: in a kernel that does not support tables with an owner, no table is created,
// not even one without an owner. One line in the log says so, and clients of the cache's own
// address are served (row A11).
func TestOldKernel(t *testing.T) {
	if !inside(t) {
		return
	}
	real := program
	t.Setenv(blockedEnv, real)
	program = "/proc/self/exe"
	p := node(t, local)
	eventually(t, 10*time.Second, func() bool { return ask(local) == byCache })
	eventually(t, 5*time.Second, func() bool { return strings.Contains(p.text(), "no rules: only clients") })
	if n := strings.Count(p.text(), "no rules"); n != 1 {
		t.Errorf("%d lines", n)
	}
	if list, ok := tables(t); ok && list != "" {
		t.Errorf("tables:\n%s", list)
	}
	_ = p.Process.Signal(syscall.SIGTERM)
	if code := p.wait(10 * time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestCapabilities: without NET_ADMIN the cache serves an address that is there, without rules;
// otherwise, and without others that it needs, there is one clear error and the host stays as it
// was (row A12). With all of them, the supervisor keeps five and the cache none.
func TestCapabilities(t *testing.T) {
	if !inside(t) {
		return
	}
	setpriv, err := exec.LookPath("setpriv")
	if err != nil {
		t.Skip("needs setpriv")
	}
	real := program
	without := func(capability string, args string) *process {
		program = setpriv
		defer func() { program = real }()
		return start(t, "--bounding-set=-"+capability+" --inh-caps=-"+capability+" "+real+" "+args)
	}
	args := "--node-local=" + local + " --node-local-lameduck=0s -- -k -h -R --address=/x.test/" + byCache
	before, _ := exec.Command("ip", "addr").Output()
	for _, capability := range []string{"net_admin", "setuid", "setgid", "kill", "net_bind_service"} {
		p := without(capability, args)
		code := p.wait(10 * time.Second)
		text := p.text()
		if code <= 0 || !strings.Contains(strings.ToLower(text), capability) && capability != "net_bind_service" || strings.Contains(text, "panic") {
			t.Errorf("without %s: exit code %d:\n%s", capability, code, text)
		}
		t.Logf("without %s: %s", capability, strings.TrimSpace(text))
	}
	if after, _ := exec.Command("ip", "addr").Output(); !bytes.Equal(before, after) {
		t.Errorf("the host changed:\n%s\n%s", before, after)
	}
	run(t, "ip addr add "+local+"/32 dev lo")
	p := without("net_admin", args)
	eventually(t, 5*time.Second, func() bool { return ask(local) == byCache && strings.Contains(p.text(), "no rules: only clients") })
	_ = p.Process.Signal(syscall.SIGTERM)
	p.wait(10 * time.Second)

	p = start(t, args)
	eventually(t, 5*time.Second, func() bool { return strings.Contains(p.text(), "queries come to this cache") })
	for pid, want := range map[int]string{p.Process.Pid: "00000000000014e0", p.cache(t): "0000000000000000"} {
		eventually(t, 2*time.Second, func() bool {
			status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
			return strings.Contains(string(status), "CapPrm:\t"+want) && strings.Contains(string(status), "CapEff:\t"+want) &&
				strings.Contains(string(status), "NoNewPrivs:\t1")
		})
	}
}

// TestHostClients: clients on the node itself are answered by the cache, from the address that
// they asked, over both protocols (row A14).
func TestHostClients(t *testing.T) {
	if !inside(t) {
		return
	}
	clusterDNS(t)
	node(t, vip+","+local)
	eventually(t, 5*time.Second, func() bool { return ask(vip) == byCache && ask(local) == byCache })
	for _, server := range []string{vip, local} {
		c, err := net.ListenPacket("udp4", "0.0.0.0:0") // takes a reply from anywhere
		if err != nil {
			t.Fatal(err)
		}
		q := new(dns.Msg)
		q.SetQuestion("x.test.", dns.TypeA)
		packet, _ := q.Pack()
		to := &net.UDPAddr{IP: net.ParseIP(server), Port: 53}
		if _, err := c.WriteTo(packet, to); err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		buf := make([]byte, 512)
		n, from, err := c.ReadFrom(buf)
		if err != nil || from.String() != to.String() || n < 12 {
			t.Errorf("%s: reply from %v, %v", server, from, err)
		}
		c.Close()
		if got := exchange(server, "tcp", time.Second); got != byCache {
			t.Errorf("%s over TCP: %s", server, got)
		}
	}
}

// TestHostPorts: the rules take queries to port 53, also from clients that use port 53
// themselves, of both families; what goes to other ports of a Service is translated as before.
func TestHostPorts(t *testing.T) {
	if !inside(t) {
		return
	}
	const clusterDNS6 = "fd00:1::53"
	clusterDNS(t)
	run(t, "ip addr add "+clusterDNS6+"/128 dev lo")
	run(t, "ip -6 route add default dev lo")
	start(t, "-k -h -R --listen-address="+clusterDNS6+" --address=/x.test/"+byOther)
	for _, protocol := range []string{"udp", "tcp"} {
		run(t, "ip6tables -w -t nat -A OUTPUT -d "+vip6+" -p "+protocol+" --dport 53 -j DNAT --to-destination ["+clusterDNS6+"]:53")
		run(t, "iptables -w -t nat -A OUTPUT -d "+vip+" -p "+protocol+" --dport 5353 -j DNAT --to-destination 10.1.0.53:53")
	}
	eventually(t, 5*time.Second, func() bool { return ask(vip6) == byOther })
	node(t, vip+","+vip6+","+local)
	eventually(t, 5*time.Second, func() bool { return ask(vip) == byCache && ask(vip6) == byCache })
	for _, row := range []struct{ client, to, want string }{
		{"10.4.0.1", net.JoinHostPort(vip, "53"), byCache},
		{"10.4.0.2", net.JoinHostPort(local, "53"), byCache},
		{"fd00:4::3", net.JoinHostPort(vip6, "53"), byCache},
		{"10.4.0.4", net.JoinHostPort(vip, "5353"), byOther},
	} {
		run(t, "ip addr add "+row.client+" dev lo")
		eventually(t, 5*time.Second, func() bool { // the kernel makes an IPv6 address usable later
			out, err := exec.Command("ip", "route", "get", row.client).Output()
			return err == nil && strings.HasPrefix(string(out), "local ")
		})
		for _, protocol := range []string{"udp", "tcp"} {
			if got := exchangeFrom(net.JoinHostPort(row.client, "53"), row.to, protocol); got != row.want {
				t.Errorf("from port 53 of %s to %s over %s: %s", row.client, row.to, protocol, got)
			}
		}
	}
}

// exchangeFrom asks from an address and port.
func exchangeFrom(client, server, network string) string {
	from := netip.MustParseAddrPort(client)
	d := &net.Dialer{LocalAddr: net.UDPAddrFromAddrPort(from), Timeout: 5 * time.Second}
	if network == "tcp" {
		d = &net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(from), Timeout: 5 * time.Second}
	}
	return exchangeWith(&dns.Client{Net: network, Timeout: 5 * time.Second, Dialer: d}, server)
}

// TestTCPFlip: a connection over the Service's address may end when the rules come or go; the
// next one works (row A22).
func TestTCPFlip(t *testing.T) {
	if !inside(t) {
		return
	}
	clusterDNS(t)
	query := func(c *dns.Conn) error {
		q := new(dns.Msg)
		q.SetQuestion("x.test.", dns.TypeA)
		_ = c.SetDeadline(time.Now().Add(time.Second))
		if err := c.WriteMsg(q); err != nil {
			return err
		}
		_, err := c.ReadMsg()
		return err
	}
	dial := func() *dns.Conn {
		c, err := dns.DialTimeout("tcp", vip+":53", time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if err := query(c); err != nil {
			t.Fatal(err)
		}
		return c
	}
	for round := range 3 {
		old := dial()
		p := node(t, vip+","+local)
		eventually(t, 5*time.Second, func() bool { return ask(vip) == byCache })
		first := query(old)
		old.Close()
		eventually(t, 2*time.Second, func() bool { return exchange(vip, "tcp", time.Second) == byCache })
		mine := dial()
		_ = p.Process.Signal(syscall.SIGTERM)
		eventually(t, 2*time.Second, func() bool { return ask(vip) == byOther })
		second := query(mine)
		mine.Close()
		eventually(t, 2*time.Second, func() bool { return exchange(vip, "tcp", time.Second) == byOther })
		t.Logf("round %d: a connection when the rules came: %v, when they went: %v", round, first, second)
		p.wait(10 * time.Second)
	}
}

// TestPreferSameNode: without rules, behind a Service that prefers the Pod of the node: the
// Service leads to the next Pod while the old one still answers (row A23).
func TestPreferSameNode(t *testing.T) {
	if !inside(t) {
		return
	}
	run(t, "ip route add default dev lo")
	// kube-proxy deletes the entries of UDP that lead to a Pod that has gone; here they end.
	setting(t, "net/netfilter/nf_conntrack_udp_timeout", "1")
	setting(t, "net/netfilter/nf_conntrack_udp_timeout_stream", "1")
	lead := func(action, pod string) {
		for _, protocol := range []string{"udp", "tcp"} {
			run(t, "iptables -w -t nat -"+action+" OUTPUT -d "+vip+" -p "+protocol+" --dport 53 -j DNAT --to-destination "+pod+":53")
		}
	}
	pod := func(addr string) *process {
		run(t, "ip addr add "+addr+"/32 dev lo")
		return start(t, "-k -h -R --lameduck=2s --listen-address="+addr+" --address=/x.test/"+byCache)
	}
	old := pod("10.3.0.1")
	lead("A", "10.3.0.1")
	eventually(t, 5*time.Second, func() bool { return ask(vip) == byCache })
	stop := load(vip)
	time.Sleep(300 * time.Millisecond)
	pod("10.3.0.2")
	eventually(t, 5*time.Second, func() bool { return ask("10.3.0.2") == byCache })
	_ = old.Process.Signal(syscall.SIGTERM)
	time.Sleep(500 * time.Millisecond) // until kube-proxy knows
	lead("I", "10.3.0.2")
	lead("D", "10.3.0.1")
	if code := old.wait(10 * time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
	time.Sleep(300 * time.Millisecond)
	asked, lost, _ := stop()
	t.Logf("lost %d of %d", lost, asked)
	if lost > 0 {
		t.Errorf("lost %d of %d", lost, asked)
	}
}

// TestPacketFilter: a host that drops what comes from Pods, though not what comes over lo, gets
// its queries sent to cluster DNS, and a message that names the missing rule (row A17).
func TestPacketFilter(t *testing.T) {
	if !inside(t) {
		return
	}
	clusterDNS(t)
	// A Pod: another namespace, at the other end of a pair of links.
	pod := podName()
	run(t, "ip netns add "+pod)
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", pod).Run() })
	if out, err := exec.Command("ip", "link", "add", "host0", "type", "veth", "peer", "name", "eth0", "netns", pod).CombinedOutput(); err != nil {
		t.Skipf("no veth: %s", out)
	}
	for _, command := range []string{
		"ip addr add 10.4.0.1/24 dev host0", "ip link set host0 up",
		"ip -n " + pod + " addr add 10.4.0.2/24 dev eth0", "ip -n " + pod + " link set eth0 up", "ip -n " + pod + " link set lo up", "ip -n " + pod + " route add default via 10.4.0.1",
		"iptables -w -A INPUT -i lo -j ACCEPT", "iptables -w -A INPUT -p icmp -j ACCEPT", "iptables -w -P INPUT DROP",
	} {
		run(t, command)
	}
	setting(t, "net/ipv4/ip_forward", "1")
	for _, protocol := range []string{"udp", "tcp"} {
		run(t, "iptables -w -t nat -A PREROUTING -d "+vip+" -p "+protocol+" --dport 53 -j DNAT --to-destination 10.1.0.53:53")
	}
	run(t, "iptables -w -A INPUT -m conntrack --ctstate NEW,ESTABLISHED -d 10.1.0.53 -j ACCEPT") // stands for forwarding
	eventually(t, 5*time.Second, func() bool { return podAsk() == byOther })
	p := node(t, vip+","+local)
	eventually(t, 5*time.Second, func() bool { return ask(vip) == byCache })
	flip := eventually(t, 20*time.Second, func() bool {
		return podAsk() == byOther && strings.Contains(p.text(), "it must accept UDP and TCP port 53")
	})
	t.Logf("noticed after %v", flip)
	if list, ok := tables(t); ok && strings.Contains(list, "dnscache_queries") {
		t.Errorf("tables:\n%s", list)
	}
	// With the rule that the message names, another start serves the Pod.
	_ = p.Process.Signal(syscall.SIGTERM)
	p.wait(10 * time.Second)
	run(t, "iptables -w -A INPUT -p udp --dport 53 -d "+vip+" -j ACCEPT")
	p = node(t, vip+","+local)
	eventually(t, 5*time.Second, func() bool { return podAsk() == byCache })
	for range 50 {
		if got := podAsk(); got != byCache {
			t.Errorf("the Pod got %s", got)
		}
	}
	time.Sleep(1500 * time.Millisecond)
	if strings.Contains(p.text(), "queries go to cluster DNS") {
		t.Error("the rules went although queries arrive")
	}
}

// podName is the network namespace of the Pod, of this process only.
func podName() string { return fmt.Sprintf("nodelocal-pod-%d", os.Getpid()) }

// podAsk asks from that namespace.
func podAsk() string {
	self, err := os.Executable()
	if err != nil {
		return err.Error()
	}
	cmd := exec.Command("ip", "netns", "exec", podName(), self, "-test.run=^TestAskHelper$")
	cmd.Env = append(os.Environ(), askEnv+"="+vip)
	out, _ := cmd.Output()
	for line := range strings.Lines(string(out)) {
		if answer, ok := strings.CutPrefix(line, "answer "); ok {
			return strings.TrimSpace(answer)
		}
	}
	return string(out)
}

const askEnv = "NODELOCAL_TEST_ASK"

// TestAskHelper is the client of podAsk.
func TestAskHelper(t *testing.T) {
	server := os.Getenv(askEnv)
	if server == "" {
		t.Skip("a helper of other tests")
	}
	fmt.Println("answer " + ask(server))
}

// TestKilledAtAnyMoment kills supervisor, cache or both at random moments from the start on, and
// after SIGTERM: no table outlives its supervisor, and the Service's address is answered within
// two seconds.
func TestKilledAtAnyMoment(t *testing.T) {
	if !inside(t) {
		return
	}
	clusterDNS(t)
	for round := range 15 {
		p := node(t, vip+","+local)
		time.Sleep(time.Duration(rand.IntN(300)) * time.Millisecond)
		victims, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", p.Process.Pid))
		child := 0
		for _, file := range victims {
			b, _ := os.ReadFile(file)
			if n, _ := fmt.Sscan(string(b), &child); n == 1 {
				break
			}
		}
		if round%2 == 1 {
			_ = p.Process.Signal(syscall.SIGTERM)
			time.Sleep(time.Duration(rand.IntN(300)) * time.Millisecond)
		}
		what := round % 3
		if what != 0 && child != 0 {
			_ = syscall.Kill(child, syscall.SIGKILL)
		}
		if what != 1 {
			_ = p.Process.Kill()
		}
		answered := eventually(t, 2*time.Second, func() bool { got := ask(vip); return got == byCache || got == byOther })
		if what != 1 {
			p.wait(5 * time.Second)
			if list, ok := tables(t); ok && list != "" {
				t.Errorf("round %d left:\n%s", round, list)
			}
			// The cache ends with its supervisor.
			eventually(t, 5*time.Second, func() bool {
				got := ask(local)
				return strings.Contains(got, "refused") || strings.Contains(got, "timeout")
			})
		}
		if answered > time.Second {
			t.Logf("round %d: answered after %v", round, answered)
		}
		_ = p.Process.Kill()
		p.wait(5 * time.Second)
		eventually(t, 5*time.Second, func() bool { return ask(vip) == byOther })
	}
}

// TestStoppedOrphan: a cache that is stopped while its supervisor is killed keeps its share
// of the ports until the next supervisor ends it.
func TestStoppedOrphan(t *testing.T) {
	if !inside(t) {
		return
	}
	clusterDNS(t)
	old := node(t, vip+","+local)
	eventually(t, 5*time.Second, func() bool { return ask(vip) == byCache })
	orphan := old.cache(t)
	_ = syscall.Kill(orphan, syscall.SIGSTOP)
	_ = old.Process.Kill()
	eventually(t, 2*time.Second, func() bool { return ask(vip) == byOther })
	living := node(t, vip+","+local)
	eventually(t, 5*time.Second, func() bool { return ask(vip) == byCache })
	node(t, vip+","+local) // a second instance does not end the cache of the first
	time.Sleep(300 * time.Millisecond)
	if syscall.Kill(orphan, 0) == nil {
		state, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", orphan))
		if !strings.Contains(string(state), ") Z") {
			t.Errorf("it is still there: %s", state)
		}
	}
	for range 50 {
		if got := ask(local); got != byCache {
			t.Errorf("got %s", got)
		}
	}
	if strings.Contains(living.text(), "the cache has ended") {
		t.Error("the second instance ended the cache of the first")
	}
}

// TestBadHost: addresses of other hosts, or of a family that the host does not support, cause
// one clear error and change nothing. A configuration folder that vanishes, or never existed,
// stops nothing.
func TestBadHost(t *testing.T) {
	if !inside(t) {
		return
	}
	run(t, "ip link add net0 type bridge")
	run(t, "ip addr add 10.6.0.1/24 dev net0")
	run(t, "ip addr add fd00:6::1/64 dev net0")
	run(t, "ip link set net0 up")
	before, _ := exec.Command("ip", "-o", "addr").Output()
	refuse := func(addresses, want string) {
		t.Helper()
		p := start(t, "--node-local="+addresses+" -- -k -h -R")
		if code := p.wait(5 * time.Second); code <= 0 || !strings.Contains(p.text(), want) {
			t.Errorf("%s: exit code %d, %s", addresses, code, p.text())
		}
	}
	refuse("10.6.0.7", "in the network of the interface net0")
	refuse(vip+",fd00:6::7", "in the network of the interface net0")
	setting(t, "net/ipv6/conf/all/disable_ipv6", "1")
	refuse(vip+","+vip6, "IPv6 is off on this host")
	setting(t, "net/ipv6/conf/all/disable_ipv6", "0")
	setting(t, "net/ipv6/conf/default/disable_ipv6", "1")
	refuse(vip+","+vip6, "IPv6 is off on new interfaces")
	setting(t, "net/ipv6/conf/lo/disable_ipv6", "1")
	refuse(vip+","+vip6+" --node-local-interface=lo", "IPv6 is off on the interface lo")
	setting(t, "net/ipv6/conf/lo/disable_ipv6", "0")
	if after, _ := exec.Command("ip", "-o", "-4", "addr").Output(); strings.Contains(string(after), vip) || !strings.Contains(string(before), "10.6.0.1") {
		t.Errorf("the host changed:\n%s", after)
	}

	dir := filepath.Join(os.TempDir(), fmt.Sprintf("nodelocal-config-%d", os.Getpid()))
	defer os.RemoveAll(dir)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	run(t, "ip addr add 10.5.0.1/32 dev lo")
	start(t, "-k -h -R --listen-address=10.5.0.1 --address=/stub.test/10.9.0.7")
	if err := os.WriteFile(filepath.Join(dir, "stubDomains"), []byte(`{"stub.test": ["10.5.0.1"]}`), 0o644); err != nil {
		t.Fatal(err)
	}
	p := start(t, "--node-local="+vip+" --node-local-lameduck=0s -- -configDir="+dir+" -syncInterval=100ms -restartDnsmasq=true -- -k -h -R")
	eventually(t, 5*time.Second, func() bool { return resolve("a.stub.test", time.Second) == "10.9.0.7" })
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	if got := resolve("b.stub.test", time.Second); got != "10.9.0.7" {
		t.Errorf("after the folder vanished: %s\n%s", got, p.text())
	}
	_ = p.Process.Signal(syscall.SIGTERM)
	if code := p.wait(10 * time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
	start(t, "--node-local="+vip+" --node-local-lameduck=0s -- -configDir="+dir+" -syncInterval=100ms -restartDnsmasq=true -- -k -h -R --address=/x.test/"+byCache)
	eventually(t, 5*time.Second, func() bool { return ask(vip) == byCache })
}

// TestMetrics: the page shows what the supervisor counts, and two instances share its port
// (row A24).
func TestMetrics(t *testing.T) {
	if !inside(t) {
		return
	}
	clusterDNS(t)
	page := func() string {
		resp, err := (&http.Client{Timeout: time.Second}).Get("http://127.0.0.1:9353/metrics")
		if err != nil {
			return err.Error()
		}
		defer resp.Body.Close()
		var b bytes.Buffer
		_, _ = b.ReadFrom(resp.Body)
		return b.String()
	}
	has := func(line string) {
		t.Helper()
		eventually(t, 10*time.Second, func() bool { return strings.Contains(page(), "\n"+line+"\n") })
	}
	args := "--node-local=" + vip + " --node-local-lameduck=0s -- -k -h -R --address=/x.test/" + byCache + " --metrics-address=127.0.0.1:9353"
	p := start(t, args)
	has("dnscache_node_local_rules_installed 1")
	has("dnscache_node_local_restarts_total 0")
	_ = syscall.Kill(p.cache(t), syscall.SIGKILL)
	has("dnscache_node_local_restarts_total 1")
	has(`dnscache_node_local_flips_total{reason="cache_exited"} 1`)
	has("dnscache_node_local_rules_installed 1")
	pid := p.cache(t)
	_ = syscall.Kill(pid, syscall.SIGSTOP)
	eventually(t, 5*time.Second, func() bool { return ask(vip) == byOther })
	_ = syscall.Kill(pid, syscall.SIGCONT)
	has(`dnscache_node_local_flips_total{reason="cache_stuck"} 1`)
	has("dnscache_node_local_rules_installed 1")
	series := 0
	for line := range strings.Lines(page()) {
		if !strings.HasPrefix(line, "#") {
			series++
		}
	}
	t.Logf("%d series", series)
	if series > 40 || series < 20 {
		t.Errorf("%d series", series)
	}
	other := start(t, args)
	eventually(t, 5*time.Second, func() bool { return strings.Contains(other.text(), "queries come to this cache") })
	if strings.Contains(other.text(), "no metrics") {
		t.Error("the second instance has no metrics")
	}
}
