package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// config holds the settings from the environment.
type config struct {
	bin        string // folder of the three binaries
	objects    string // folder of the example objects
	kubeconfig string // empty: serve the objects
	once       bool
	ports      ports
}

// ports are the programs' ports, all on 127.0.0.1.
type ports struct {
	dnscache, dnscacheMetrics, kubedns, readiness, debug, healthz int
}

// portSetting is one port with the variable that overrides it.
type portSetting struct {
	variable string
	purpose  string
	dns      bool // UDP as well as TCP
	value    *int
}

// table lists the ports; their values are the defaults when p is new.
func (p *ports) table() []portSetting {
	return []portSetting{
		{"DEMO_DNSCACHE_PORT", "dnscache, DNS", true, &p.dnscache},
		{"DEMO_DNSCACHE_METRICS_PORT", "dnscache, metrics", false, &p.dnscacheMetrics},
		{"DEMO_KUBEDNS_PORT", "kubedns, DNS", true, &p.kubedns},
		{"DEMO_READINESS_PORT", "kubedns, readiness", false, &p.readiness},
		{"DEMO_DEBUG_PORT", "kubedns, debugging", false, &p.debug},
		{"DEMO_HEALTHZ_PORT", "exechealthz", false, &p.healthz},
	}
}

// readConfig reads the environment. The error names every variable with an invalid value.
func readConfig(getenv func(string) string) (config, error) {
	c := config{
		bin:        "bin",
		objects:    filepath.Join("manifests", "examples"),
		kubeconfig: getenv("KUBECONFIG"),
		ports: ports{
			dnscache: 8053, dnscacheMetrics: 10054, kubedns: 10053,
			readiness: 10081, debug: 10060, healthz: 10080,
		},
	}
	var errs []error
	if dir := getenv("DEMO_BIN"); dir != "" {
		c.bin = dir
	}
	if path := getenv("DEMO_OBJECTS"); path != "" {
		c.objects = path
	}
	switch once := getenv("ONCE"); once {
	case "", "0", "false", "no":
	default:
		c.once = true
	}
	if strings.ContainsRune(c.kubeconfig, filepath.ListSeparator) {
		errs = append(errs, fmt.Errorf("KUBECONFIG=%s: name one file", c.kubeconfig))
	}
	taken := make(map[int]string)
	for _, s := range c.ports.table() {
		if text := getenv(s.variable); text != "" {
			n, err := strconv.Atoi(text)
			if err != nil || n < 1 || n > 65535 {
				errs = append(errs, fmt.Errorf("%s=%s: not a port from 1 to 65535", s.variable, text))
				continue
			}
			*s.value = n
		}
		if other, ok := taken[*s.value]; ok {
			errs = append(errs, fmt.Errorf("%s and %s are both %d", other, s.variable, *s.value))
		}
		taken[*s.value] = s.variable
	}
	return c, errors.Join(errs...)
}

// checkPorts returns an error that names all ports that another program uses, if there are
// any.
func (p *ports) checkPorts(ctx context.Context) error {
	var errs []error
	var lc net.ListenConfig
	for _, s := range p.table() {
		address := loopback(*s.value)
		ln, err := lc.Listen(ctx, "tcp", address)
		if err == nil {
			ln.Close()
			if s.dns {
				var pc net.PacketConn
				if pc, err = lc.ListenPacket(ctx, "udp", address); err == nil {
					pc.Close()
				}
			}
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("port %d (%s) cannot be used: %w; %s=PORT chooses another", *s.value, s.purpose, err, s.variable))
		}
	}
	return errors.Join(errs...)
}

// loopback is the address of a port on 127.0.0.1.
func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// program is one of the three with its arguments.
type program struct {
	name string
	args []string
}

// The names of exechealthz's checks, as in the Pod.
const (
	urlDnscache = "/healthz-dnsmasq"
	urlKubedns  = "/healthz-kubedns"
)

// programs returns the programs to start, in order.
func (c config) programs() []program {
	kubedns := []string{
		"--domain=cluster.local.",
		"--dns-bind-address=127.0.0.1",
		"--dns-port=" + strconv.Itoa(c.ports.kubedns),
		"--healthz-port=" + strconv.Itoa(c.ports.readiness),
		"--debug-address=" + loopback(c.ports.debug),
	}
	if c.kubeconfig != "" {
		kubedns = append(kubedns, "--kubecfg-file="+c.kubeconfig)
	} else {
		kubedns = append(kubedns, "--objects="+c.objects, "--nameservers=none")
	}
	server := "127.0.0.1#" + strconv.Itoa(c.ports.kubedns)
	dnscache := []string{
		"--server=/cluster.local/" + server, "--server=/in-addr.arpa/" + server, "--server=/ip6.arpa/" + server,
		"--server=" + server,
		"--no-resolv",
		"--no-hosts",
		"--cache-size=1000",
		"--listen-address=127.0.0.1",
		"--port=" + strconv.Itoa(c.ports.dnscache),
		"--log-facility=-",
		"--metrics-address=" + loopback(c.ports.dnscacheMetrics),
	}
	if os.Geteuid() == 0 {
		// A process that changes its user is no longer killed by the kernel
		// when its parent dies.
		dnscache = append(dnscache, "--user=root")
	}
	check := func(port int) string {
		return "--cmd=nslookup kubernetes.default.svc.cluster.local " + loopback(port) + " >/dev/null"
	}
	return []program{
		{"kubedns", kubedns},
		{"dnscache", dnscache},
		{"exechealthz", []string{
			check(c.ports.dnscache), "--url=" + urlDnscache,
			check(c.ports.kubedns), "--url=" + urlKubedns,
			"--listen-address=127.0.0.1",
			"--port=" + strconv.Itoa(c.ports.healthz),
			"--period=1s",
			"--quiet",
		}},
	}
}
