package main

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// peer is one server under comparison.
type peer struct {
	name string
	// argv returns the command line that serves addr; files it needs go to dir.
	argv func(dir string, addr netip.AddrPort) ([]string, error)
	// echo says that answers have no records.
	echo bool
	// distinct, unless 0, is the number of names to ask for instead of the scenario's.
	distinct int
	// at is the address to serve, if it is not a free port of loopback.
	at netip.AddrPort
	// family says that the processes that it starts are measured with it.
	family bool
	// node is the network namespace of it and its clients; nil: the bench's.
	node *namespace
}

// asked returns p with its own number of distinct names.
func (p peer) asked(distinct int) peer {
	p.distinct = distinct
	return p
}

// programs are the paths of the programs to compare; one with an empty path is left out.
type programs struct {
	self, dnscache, kubedns, dnsmasq, unbound, coredns string
}

func (p programs) echoPeer() peer {
	return peer{name: "echo", echo: true, argv: func(_ string, addr netip.AddrPort) ([]string, error) {
		return []string{p.self, "echo", addr.String()}, nil
	}}
}

func (p programs) dnscachePeer(name string, upstream netip.AddrPort, cache int) peer {
	return peer{name: name, argv: func(_ string, addr netip.AddrPort) ([]string, error) {
		if p.dnscache == "" {
			return nil, nil
		}
		return append([]string{p.dnscache}, dnsmasqOptions(addr, upstream, cache)...), nil
	}}
}

func (p programs) dnsmasqPeer(name string, upstream netip.AddrPort, cache int) peer {
	return peer{name: name, argv: func(_ string, addr netip.AddrPort) ([]string, error) {
		if p.dnsmasq == "" {
			return nil, nil
		}
		argv := append([]string{p.dnsmasq}, dnsmasqOptions(addr, upstream, cache)...)
		return append(argv, "--conf-file=/dev/null", "--pid-file", "--group=root", "--bind-interfaces"), nil
	}}
}

// dnsmasqOptions returns the options with which both dnsmasq and dnscache are started.
func dnsmasqOptions(addr, upstream netip.AddrPort, cache int) []string {
	user := "nobody"
	if os.Getuid() == 0 {
		user = "root"
	}
	return []string{
		"-k", "--no-hosts", "--no-resolv", "--user=" + user,
		"--listen-address=" + addr.Addr().String(), "--port=" + strconv.Itoa(int(addr.Port())),
		"--cache-size=" + strconv.Itoa(cache), "--dns-forward-max=1000",
		fmt.Sprintf("--server=%v#%d", upstream.Addr(), upstream.Port()),
	}
}

func (p programs) unboundPeer(upstream netip.AddrPort) peer {
	return peer{name: "unbound", argv: func(dir string, addr netip.AddrPort) ([]string, error) {
		if p.unbound == "" {
			return nil, nil
		}
		conf := filepath.Join(dir, "unbound.conf")
		text := fmt.Sprintf(`server:
  interface: %v@%d
  do-daemonize: no
  chroot: ""
  username: ""
  directory: %q
  pidfile: ""
  use-syslog: no
  access-control: 127.0.0.0/8 allow
  do-not-query-localhost: no
  module-config: "iterator"
forward-zone:
  name: "."
  forward-addr: %v@%d
remote-control:
  control-enable: no
`, addr.Addr(), addr.Port(), dir, upstream.Addr(), upstream.Port())
		return []string{p.unbound, "-d", "-p", "-c", conf}, os.WriteFile(conf, []byte(text), 0o600)
	}}
}

func (p programs) corednsPeer(upstream netip.AddrPort, cache int) peer {
	return peer{name: "CoreDNS", argv: func(dir string, addr netip.AddrPort) ([]string, error) {
		if p.coredns == "" {
			return nil, nil
		}
		conf := filepath.Join(dir, "Corefile")
		text := fmt.Sprintf(".:%d {\n\tbind %v\n\tcache {\n\t\tsuccess %d\n\t}\n\tforward . %v\n}\n",
			addr.Port(), addr.Addr(), cache, upstream)
		return []string{p.coredns, "-conf", conf}, os.WriteFile(conf, []byte(text), 0o600)
	}}
}

// kubednsPeer serves count Services named web0, web1, ... in namespace default.
func (p programs) kubednsPeer(name string, count int) peer {
	return peer{name: name, distinct: count, argv: func(dir string, addr netip.AddrPort) ([]string, error) {
		if p.kubedns == "" {
			return nil, nil
		}
		objects := filepath.Join(dir, "objects.json")
		health, err := freePort()
		if err != nil {
			return nil, err
		}
		return []string{
			p.kubedns, "--objects", objects, "--nameservers=none", "--debug-address=",
			"--dns-bind-address", addr.Addr().String(), "--dns-port", strconv.Itoa(int(addr.Port())),
			"--healthz-port", strconv.Itoa(int(health.Port())),
		}, os.WriteFile(objects, services(count), 0o600)
	}}
}

// services returns count ClusterIP Services as one JSON list.
func services(count int) []byte {
	var b strings.Builder
	b.WriteString(`{"apiVersion": "v1", "kind": "List", "items": [`)
	for i := range count {
		if i > 0 {
			b.WriteByte(',')
		}
		ip := fmt.Sprintf("10.%d.%d.%d", 96+i>>16, i>>8&0xff, i&0xff)
		fmt.Fprintf(&b, `
{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web%d", "namespace": "default"},
 "spec": {"clusterIP": %q, "clusterIPs": [%q], "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]}}`, i, ip, ip)
	}
	b.WriteString("]}\n")
	return []byte(b.String())
}
