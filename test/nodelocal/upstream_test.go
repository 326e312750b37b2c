package nodelocal

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
)

const (
	bootstrap = "10.1.0.11"
	headless  = "kube-dns-replicas.kube-system.svc.cluster.local."
)

// cluster is a stand-in for cluster DNS: servers at addresses of lo, which know each other's
// addresses under the name of a headless Service.
type cluster struct {
	t *testing.T

	mu       sync.Mutex
	replicas []string       // the addresses in answers
	asked    map[string]int // questions but for that name, by server
	lookups  map[string]int // of that name, by server
	missing  bool           // new.default.svc.cluster.local does not exist
	closers  map[string]func()
}

func newCluster(t *testing.T, replicas ...string) *cluster {
	t.Helper()
	return newClusterAt(t, bootstrap, replicas...)
}

func newClusterAt(t *testing.T, bootstrap string, replicas ...string) *cluster {
	t.Helper()
	c := &cluster{t: t, replicas: replicas, asked: map[string]int{}, lookups: map[string]int{}, closers: map[string]func(){}}
	for _, addr := range append([]string{bootstrap}, replicas...) {
		c.serve(addr)
	}
	t.Cleanup(func() {
		for _, stop := range c.closers {
			stop()
		}
	})
	return c
}

// serve begins to answer at an address.
func (c *cluster) serve(addr string) {
	c.t.Helper()
	network := addr + "/32 dev lo"
	if strings.Contains(addr, ":") {
		network = addr + "/128 dev lo nodad"
	}
	run(c.t, "ip addr replace "+network)
	pc, err := net.ListenPacket("udp", net.JoinHostPort(addr, "53"))
	if err != nil {
		c.t.Fatal(err)
	}
	l, err := net.Listen("tcp", net.JoinHostPort(addr, "53"))
	if err != nil {
		c.t.Fatal(err)
	}
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) { _ = w.WriteMsg(c.answer(addr, q)) })
	for _, s := range []*dns.Server{{PacketConn: pc, Handler: handler}, {Listener: l, Handler: handler}} {
		go func() { _ = s.ActivateAndServe() }()
	}
	c.closers[addr] = func() {
		pc.Close()
		l.Close()
	}
}

func (c *cluster) answer(addr string, q *dns.Msg) *dns.Msg {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := new(dns.Msg).SetReply(q)
	m.Authoritative = true
	name := q.Question[0].Name
	record := func(text string) {
		rr, err := dns.NewRR(text)
		if err != nil {
			panic(err)
		}
		m.Answer = append(m.Answer, rr)
	}
	switch {
	case name == headless:
		c.lookups[addr]++
		for _, replica := range c.replicas {
			if strings.Contains(replica, ":") == (q.Question[0].Qtype == dns.TypeAAAA) {
				record(name + " 1 IN " + dns.TypeToString[q.Question[0].Qtype] + " " + replica)
			}
		}
		return m
	case c.missing:
		m.Rcode = dns.RcodeNameError
		soa, err := dns.NewRR("cluster.local. 1 IN SOA ns.dns.cluster.local. hostmaster.cluster.local. 1 2 3 4 1")
		if err != nil {
			panic(err)
		}
		m.Ns = append(m.Ns, soa)
	default:
		record(name + " 5 IN A 10.9.9.9")
	}
	c.asked[addr]++
	return m
}

// counts returns the numbers of questions and lookups, and resets them.
func (c *cluster) counts() (asked, lookups map[string]int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	asked, lookups = c.asked, c.lookups
	c.asked, c.lookups = map[string]int{}, map[string]int{}
	return asked, lookups
}

func (c *cluster) set(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
}

// follower starts the node's cache in front of a cluster.
func follower(t *testing.T, more string) *process {
	t.Helper()
	return followerOf(t, bootstrap, more)
}

func followerOf(t *testing.T, server, more string) *process {
	t.Helper()
	return start(t, "--node-local="+vip+" --node-local-upstream="+strings.TrimSuffix(headless, ".")+
		" --node-local-lameduck=1s -- -k -h -R --serve-stale=1h --server=/cluster.local/"+server+" "+more)
}

// resolve asks the node's cache and returns the first address, or what came instead of one.
func resolve(name string, patience time.Duration) string {
	q := new(dns.Msg)
	q.SetQuestion(dns.Fqdn(name), dns.TypeA)
	m, _, err := (&dns.Client{Timeout: patience}).Exchange(q, net.JoinHostPort(vip, "53"))
	switch {
	case err != nil:
		return err.Error()
	case len(m.Answer) == 0:
		return dns.RcodeToString[m.Rcode]
	}
	return m.Answer[0].(*dns.A).A.String()
}

// many asks for new names. It returns how many got no answer, and the longest wait.
func many(prefix string, count int) (lost int, longest time.Duration) {
	for i := range count {
		begin := time.Now()
		if got := resolve(fmt.Sprintf("%s%d.default.svc.cluster.local", prefix, i), 4*time.Second); got != "10.9.9.9" {
			lost++
		}
		longest = max(longest, time.Since(begin))
	}
	return lost, longest
}

// unfair returns what is wrong with the distribution of 200 questions over the servers.
func unfair(asked map[string]int, want []string) string {
	for _, addr := range want {
		if asked[addr] < 200/len(want)/4 {
			return fmt.Sprintf("%s got %d of 200 questions", addr, asked[addr])
		}
	}
	for addr, n := range asked {
		if n > 12 && !slices.Contains(want, addr) {
			return fmt.Sprintf("%s got %d questions", addr, n)
		}
	}
	return ""
}

// TestReplicas: the replicas share the questions, and the bootstrap Service gets only
// lookups. No query is lost when a replica falls silent, when there are more replicas, other
// ones or none, or when the bootstrap Service is gone (rows A19, A20).
func TestReplicas(t *testing.T) {
	if !inside(t) {
		return
	}
	c := newCluster(t, "10.2.0.1", "10.2.0.2")
	p := follower(t, "")
	eventually(t, 5*time.Second, func() bool {
		return strings.Contains(p.text(), "replicas of the cluster's DNS service") && resolve("x.default.svc.cluster.local", time.Second) == "10.9.9.9"
	})
	shares := func(step string, want ...string) {
		t.Helper()
		problem := ""
		// On a busy machine a replica may be slow for a while, and is then rightly asked less
		// often: one that has not answered yet is tried once a second.
		for round, began := 0, time.Now(); round == 0 || time.Since(began) < 20*time.Second; round++ {
			c.counts()
			lost, longest := many(fmt.Sprintf("%s%d-", step, round), 200)
			asked, _ := c.counts()
			t.Logf("%s: lost %d of 200, longest %v, asked %v", step, lost, longest.Round(time.Millisecond), asked)
			if lost > 0 {
				t.Errorf("%s: lost %d", step, lost)
			}
			if problem = unfair(asked, want); problem == "" {
				return
			}
		}
		t.Errorf("%s: %s", step, problem)
	}
	shares("two", "10.2.0.1", "10.2.0.2")

	run(t, "iptables -w -A INPUT -d 10.2.0.1 -j DROP")
	lost, longest := many("silent", 50)
	t.Logf("a silent replica: lost %d of 50, longest %v", lost, longest.Round(time.Millisecond))
	if lost > 0 || longest > 2*time.Second {
		t.Errorf("a silent replica: lost %d, longest %v", lost, longest)
	}
	many("still", 30)
	shares("one-left", "10.2.0.2")

	// Both replicas are silent: the bootstrap Service, which leads to another server here, is
	// asked.
	run(t, "iptables -w -A INPUT -d 10.2.0.2 -j DROP")
	if lost, longest := many("both", 20); lost > 0 || longest > 3*time.Second {
		t.Errorf("both silent: lost %d, longest %v", lost, longest)
	}
	eventually(t, 10*time.Second, func() bool { many("gone", 5); asked, _ := c.counts(); return asked[bootstrap] >= 5 })
	run(t, "iptables -w -F INPUT")

	// Ten of them.
	var ten []string
	for i := range 10 {
		ten = append(ten, fmt.Sprintf("10.2.1.%d", i+1))
		c.serve(ten[i])
	}
	c.set(func() { c.replicas = ten })
	eventually(t, 10*time.Second, func() bool { return strings.Contains(p.text(), "10.2.1.7") })
	many("learn", 100)
	shares("ten", ten...)

	// The bootstrap Service is gone: the replicas answer lookups of replicas.
	c.closers[bootstrap]()
	run(t, "iptables -w -A INPUT -d "+bootstrap+" -j DROP")
	c.set(func() { c.replicas = []string{"10.2.0.1", "10.2.0.2"} })
	last := func() string { text := p.text(); return text[max(strings.LastIndex(text, "replicas="), 0):] }
	eventually(t, 30*time.Second, func() bool { return strings.Contains(last(), "10.2.0.2") && !strings.Contains(last(), "10.2.1.") })
	shares("without-bootstrap", "10.2.0.1", "10.2.0.2")
}

// TestReplicasOverTCP: with tcp:, everything goes over TCP, including the lookup of the
// replicas. If a replica and its connections fall silent, another one is asked.
func TestReplicasOverTCP(t *testing.T) {
	if !inside(t) {
		return
	}
	c := newCluster(t, "10.2.0.1", "10.2.0.2")
	for _, addr := range []string{bootstrap, "10.2.0.1", "10.2.0.2"} {
		run(t, "iptables -w -A INPUT -p udp --dport 53 -d "+addr+" -j DROP")
	}
	p := followerOf(t, "tcp:"+bootstrap, "")
	eventually(t, 10*time.Second, func() bool {
		return strings.Contains(p.text(), "replicas of the cluster's DNS service") && resolve("x.default.svc.cluster.local", time.Second) == "10.9.9.9"
	})
	eventually(t, 20*time.Second, func() bool {
		if lost, _ := many("tcp", 50); lost > 0 {
			t.Fatalf("lost %d of 50", lost)
		}
		asked, _ := c.counts()
		return asked["10.2.0.1"] > 5 && asked["10.2.0.2"] > 5
	})
	run(t, "iptables -w -A INPUT -d 10.2.0.1 -j DROP")
	lost, longest := many("silent", 50)
	t.Logf("a silent replica: lost %d of 50, longest %v", lost, longest.Round(time.Millisecond))
	if lost > 0 {
		t.Errorf("lost %d of 50", lost)
	}
}

// TestStaleMeanwhile: while cluster DNS does not answer at all, stale answers are given, the
// rules stay, and a new cache can start (rows A2, A19).
func TestStaleMeanwhile(t *testing.T) {
	if !inside(t) {
		return
	}
	c := newCluster(t, "10.2.0.1")
	p := follower(t, "--cache-size=1000")
	eventually(t, 5*time.Second, func() bool { return resolve("kept.default.svc.cluster.local", time.Second) == "10.9.9.9" })
	for _, addr := range []string{bootstrap, "10.2.0.1"} {
		run(t, "iptables -w -A INPUT -d "+addr+" -j DROP")
	}
	time.Sleep(5500 * time.Millisecond) // longer than the TTL
	for range 5 {
		begin := time.Now()
		if got := resolve("kept.default.svc.cluster.local", 4*time.Second); got != "10.9.9.9" {
			t.Errorf("an expired answer: %s after %v", got, time.Since(begin))
		}
	}
	if strings.Contains(p.text(), "queries go to cluster DNS") {
		t.Error("the rules went because of cluster DNS")
	}
	// Another instance starts while cluster DNS is silent.
	begin := time.Now()
	other := follower(t, "")
	eventually(t, 5*time.Second, func() bool { return strings.Contains(other.text(), "queries come to this cache") })
	t.Logf("with a silent cluster DNS the rules are there after %v", time.Since(begin))
	// Cluster DNS comes back at another address, and with another list.
	c.serve("10.2.0.9")
	c.set(func() { c.replicas = []string{"10.2.0.9"} })
	run(t, "iptables -w -F INPUT")
	eventually(t, 30*time.Second, func() bool { return resolve("fresh.default.svc.cluster.local", time.Second) == "10.9.9.9" })
	eventually(t, 30*time.Second, func() bool {
		many("after", 3)
		asked, _ := c.counts()
		return asked["10.2.0.9"] > 0 && asked["10.2.0.1"] == 0
	})
}

// TestNewService: a Service that is made while the node has its NXDOMAIN is found within
// the negative TTL and a second (row A21).
func TestNewService(t *testing.T) {
	if !inside(t) {
		return
	}
	c := newCluster(t, "10.2.0.1")
	c.set(func() { c.missing = true })
	follower(t, "--cache-size=1000")
	eventually(t, 5*time.Second, func() bool { return resolve("new.default.svc.cluster.local", time.Second) == "NXDOMAIN" })
	time.Sleep(1100 * time.Millisecond)
	if got := resolve("new.default.svc.cluster.local", time.Second); got != "NXDOMAIN" {
		t.Fatal(got)
	}
	c.set(func() { c.missing = false })
	found := eventually(t, 2*time.Second, func() bool { return resolve("new.default.svc.cluster.local", time.Second) == "10.9.9.9" })
	t.Logf("found after %v", found)
}

// TestNodeResolvers: of the node's resolv.conf, 127.0.0.53 and another resolver at the node's
// own address are asked; the cache's own address is skipped with a line (row A18).
func TestNodeResolvers(t *testing.T) {
	if !inside(t) {
		return
	}
	run(t, "ip addr add 10.5.0.1/32 dev lo")
	for addr, answer := range map[string]string{"127.0.0.53": "10.9.0.53", "10.5.0.1": "10.9.0.1"} {
		start(t, "-k -h -R --listen-address="+addr+" --address=/out.test/"+answer)
		eventually(t, 5*time.Second, func() bool { return !strings.Contains(exchange(addr, "udp", time.Second), "refused") })
	}
	for _, row := range []struct{ servers, want, line string }{
		{"127.0.0.53", "10.9.0.53", "using nameserver 127.0.0.53#53"},
		{local + " 127.0.0.53", "10.9.0.53", "ignoring nameserver " + local},
		{"10.5.0.1", "10.9.0.1", "using nameserver 10.5.0.1#53"},
	} {
		file := filepath.Join(t.TempDir(), "resolv.conf")
		text := ""
		for server := range strings.FieldsSeq(row.servers) {
			text += "nameserver " + server + "\n"
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		for dir := filepath.Dir(file); dir != "/tmp" && dir != "/"; dir = filepath.Dir(dir) { // the cache is another user
			_ = os.Chmod(dir, 0o755)
		}
		p := start(t, "--node-local="+vip+","+local+" --node-local-lameduck=0s -- -k -h --resolv-file="+file)
		eventually(t, 5*time.Second, func() bool { return resolve("out.test", time.Second) == row.want })
		if !strings.Contains(p.text(), row.line) {
			t.Errorf("%s: no line %q", row.servers, row.line)
		}
		_ = p.Process.Signal(syscall.SIGTERM)
		p.wait(10 * time.Second)
	}
}
