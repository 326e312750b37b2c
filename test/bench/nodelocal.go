package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/kube-dns/kube-dns/test/bench/load"
)

// The addresses on a node: of cluster DNS, of the Service that the node's cache takes over,
// and of the cache itself.
const (
	clusterDNS  = "10.1.0.53"
	nodeService = "10.96.0.10"
	nodeAddress = "169.254.20.10"
)

// nodeLocal compares dnscache on a node with NodeLocal DNSCache, each on a node of its own. It
// needs root.
func (s *session) nodeLocal(ctx context.Context) error {
	if os.Getuid() != 0 || s.programs.dnscache == "" {
		fmt.Fprintln(s.stderr, "left out, needs root and dnscache: node-local")
		return nil
	}
	root, err := os.MkdirTemp("", "kube-dns-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(root)
	list := []peer{s.programs.oursOnNode(), s.programs.theirsOnNode(), s.programs.echoOnNode()}
	scripts := []string{nodeHost, nodeHost + theirLink + addTheirRules, nodeHost + theirLink + echoRules}
	for i := range list {
		stop, err := s.newNode(ctx, filepath.Join(root, list[i].name), scripts[i], &list[i])
		if err != nil {
			return err
		}
		defer stop()
	}
	all := list
	if list = list[:2]; s.programs.coredns == "" {
		list = list[:1]
	}
	if err := s.nodeMemory(ctx, list); err != nil {
		return err
	}
	for _, sc := range nodeScenarios(all) {
		rows, err := s.measure(ctx, sc)
		if err != nil {
			return err
		}
		s.printTable(sc, rows)
	}
	return s.nodeFaults(ctx, root, list)
}

// newNode makes a node for p: a network namespace, in which script is run, with cluster DNS.
func (s *session) newNode(ctx context.Context, dir, script string, p *peer) (stop func(), err error) {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	names, err := load.NewPattern(nodeNames, 1)
	if err != nil {
		return nil, err
	}
	if p.node, err = newNamespace(); err != nil {
		return nil, err
	}
	at := netip.MustParseAddrPort(clusterDNS + ":53")
	if err = p.node.shell(ctx, script); err == nil {
		var dns *process
		dns, err = launch(ctx, "cluster-dns", dir, []string{s.programs.self, "upstream", at.String(), "3600"},
			load.Config{Server: at, Questions: names, Within: p.node.do})
		if err == nil {
			return func() { dns.stop(); p.node.close() }, nil
		}
	}
	p.node.close()
	return nil, err
}

// shell runs commands there, which must all succeed.
func (n *namespace) shell(ctx context.Context, script string) error {
	return n.do(func() error {
		if out, err := exec.CommandContext(ctx, "sh", "-ec", script).CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
}

// The node: cluster DNS has an address of its own, to which queries for the Service's
// address go as kube-proxy sends them there.
const nodeHost = `
ip link set lo up
ip addr add ` + clusterDNS + `/32 dev lo
ip route add default dev lo
iptables -w -t nat -A OUTPUT -d ` + nodeService + ` -p udp --dport 53 -j DNAT --to-destination ` + clusterDNS + `:53
`

// What NodeLocal DNSCache creates on a host, and removes when it is told to end, the rules
// first. Queries and answers on the loopback interface pass all these chains.
const (
	theirLink = `
ip link add nodelocaldns type dummy 2>/dev/null || ip link add nodelocaldns type bridge
ip link set nodelocaldns up
for a in ` + nodeAddress + ` ` + nodeService + `; do ip addr add $a/32 dev nodelocaldns; done
`
	theirRules = `
for a in ` + nodeAddress + ` ` + nodeService + `; do
	for p in tcp udp; do
		rule -t raw PREROUTING -d $a -p $p --dport 53 -j NOTRACK
		rule -t filter INPUT -d $a -p $p --dport 53 -j ACCEPT
		rule -t raw OUTPUT -s $a -p $p --sport 53 -j NOTRACK
		rule -t filter OUTPUT -s $a -p $p --sport 53 -j ACCEPT
		rule -t raw OUTPUT -d $a -p $p --dport 53 -j NOTRACK
	done
	rule -t raw OUTPUT -d $a -p tcp --dport 8080 -j NOTRACK
	rule -t raw OUTPUT -s $a -p tcp --sport 8080 -j NOTRACK
done
`
	addTheirRules    = "rule() { t=$2; shift 2; iptables -w -t $t -I \"$@\"; }\n" + theirRules
	removeTheirRules = "rule() { t=$2; shift 2; iptables -w -t $t -D \"$@\"; }\n" + theirRules + "ip link del nodelocaldns\n"
	// echoRules are the fewest rules with which queries at the Service's address reach a
	// server on the node and no connection is tracked.
	echoRules = `
iptables -w -t raw -I OUTPUT -d ` + nodeService + ` -p udp --dport 53 -j NOTRACK
iptables -w -t raw -I OUTPUT -s ` + nodeService + ` -p udp --sport 53 -j NOTRACK
`
)

// oursOnNode and theirsOnNode are the two caches with the options of their manifests.
func (p programs) oursOnNode() peer {
	return peer{name: "dnscache", at: netip.MustParseAddrPort(nodeService + ":53"), family: true, argv: func(string, netip.AddrPort) ([]string, error) {
		return []string{
			p.dnscache, "--node-local=" + nodeAddress + "," + nodeService, "--node-local-lameduck=5s", "--",
			"-k", "--no-hosts", "--no-resolv", "--cache-size=10000", "--dns-loop-detect", "--log-facility=-", "--serve-stale=24h",
			"--dns-forward-max=1000", "--server=/cluster.local/in-addr.arpa/ip6.arpa/" + clusterDNS, "--server=" + clusterDNS,
		}, nil
	}}
}

func (p programs) theirsOnNode() peer {
	return peer{name: "NodeLocal", at: netip.MustParseAddrPort(nodeService + ":53"), argv: func(dir string, _ netip.AddrPort) ([]string, error) {
		if p.coredns == "" {
			return nil, nil
		}
		conf, bind := filepath.Join(dir, "Corefile"), nodeAddress+" "+nodeService
		common := "\terrors\n\treload\n\tloop\n\tbind " + bind + "\n\tprometheus " + nodeAddress + ":9253\n"
		reverse := common + "\tcache 30\n\tforward . " + clusterDNS + " {\n\t\tforce_tcp\n\t}\n}\n"
		text := "cluster.local:53 {\n" + common + "\tcache {\n\t\tsuccess 9984 30\n\t\tdenial 9984 5\n\t}\n" +
			"\tforward . " + clusterDNS + " {\n\t\tforce_tcp\n\t}\n\thealth " + nodeAddress + ":8080\n}\n"
		text += "in-addr.arpa:53 {\n" + reverse + "ip6.arpa:53 {\n" + reverse
		text += ".:53 {\n" + common + "\tcache 30\n\tforward . " + clusterDNS + "\n}\n"
		return []string{p.coredns, "-conf", conf}, os.WriteFile(conf, []byte(text), 0o600)
	}}
}

// echoOnNode shows what the sockets and the rules cost, which both caches have to pay.
func (p programs) echoOnNode() peer {
	echo := p.echoPeer()
	echo.at = netip.MustParseAddrPort(nodeService + ":53")
	return echo
}

const nodeNames = "n%d.default.svc.cluster.local"

func nodeScenarios(peers []peer) []scenario {
	return []scenario{
		{
			name: "node-local", title: "on a node: cached answer, 1000 names", peers: peers,
			budgets: []budget{{"dnscache", "echo", 1.05}, {"dnscache", "NodeLocal", 0.25}},
			pattern: nodeNames, distinct: 1000, warm: 2000, count: 40000,
		},
		{
			name: "node-local", title: "on a node: answer of cluster DNS, every name new", peers: peers[:2],
			budgets: []budget{{"dnscache", "NodeLocal", 0.50}},
			pattern: "n%d.distinct.default.svc.cluster.local", warm: 12000, count: 12000,
		},
	}
}

// nodeSettle is how long a cache has to give back the memory that its start took.
const nodeSettle = 20 * time.Second

// nodeMemory compares the resident memory after the start and with 10 000 names. For dnscache
// it is the sum of both processes, although they share most pages of the program's file.
func (s *session) nodeMemory(ctx context.Context, peers []peer) error {
	const names, mostMiB, mostOfTheirs = 10000, 20, 1.0 / 3
	root, err := os.MkdirTemp("", "kube-dns-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(root)
	lines, full := []string{"server\tidle, MiB\t10 000 names, MiB"}, map[string]float64{}
	for _, p := range peers {
		t, err := s.start(ctx, scenario{pattern: nodeNames, distinct: names}, root, p)
		if err != nil {
			return err
		}
		if t == nil {
			continue
		}
		time.Sleep(nodeSettle)
		idle, err := t.process.rss()
		if err == nil {
			_, err = t.run(ctx, 0, 2*names)
		}
		if err != nil {
			t.stop()
			return err
		}
		time.Sleep(nodeSettle)
		all, err := t.process.rss()
		t.stop()
		if err != nil {
			return err
		}
		full[p.name] = mib(all)
		lines = append(lines, fmt.Sprintf("%s\t%.1f\t%.1f", p.name, mib(idle), mib(all)))
	}
	s.table("on a node: resident memory of all processes", lines...)
	s.judge("dnscache with 10 000 names", full["dnscache"], mostMiB, " MiB")
	if theirs, measured := full["NodeLocal"]; measured {
		s.judge("dnscache / NodeLocal with 10 000 names", full["dnscache"]/theirs, mostOfTheirs, "")
	}
	return nil
}
