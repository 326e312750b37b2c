package main

import (
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/test/testkit"
)

// inNamespace runs the calling test again, as a process in a network namespace of its own, in
// which lo is up. It returns true in that process.
func inNamespace(t *testing.T) bool {
	t.Helper()
	const marker = "DNSCACHE_TEST_NAMESPACE"
	if os.Getenv(marker) != "" {
		ip(t, "link set lo up")
		return true
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.timeout=5m")
	cmd.Env = append(os.Environ(), marker+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}}
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("in a namespace: %v\n%s", err, out)
	}
	return false
}

// ip runs iproute2.
func ip(t *testing.T, command string) {
	t.Helper()
	if out, err := exec.Command("ip", strings.Fields(command)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v\n%s", command, err, out)
	}
}

// at asks the program at one of its other addresses. It returns "" if there is no answer.
func at(addr, name string, qtype uint16) string {
	q := new(dns.Msg)
	q.SetQuestion(name, qtype)
	m, _, err := (&dns.Client{Timeout: 10 * time.Second}).Exchange(q, net.JoinHostPort(addr, "5353"))
	if err != nil {
		return ""
	}
	return short(m)
}

// startInside runs the program in the namespace, on port 5353.
func startInside(t *testing.T, args ...string) *testkit.Buffer {
	t.Helper()
	log, signals, exit, started := &testkit.Buffer{}, make(chan os.Signal, 1), make(chan int, 1), make(chan struct{})
	e := env{
		stdin: strings.NewReader(""), stdout: log, stderr: log, signals: signals,
		started: func([]netip.AddrPort, netip.AddrPort) { close(started) },
	}
	args = append([]string{"--user=root", "--conf-file=", "--no-resolv", "--no-hosts", "--port=5353", "--fast-dns-retry=4000"}, args...)
	go func() { exit <- run(t.Context(), args, e) }()
	select {
	case <-started:
	case code := <-exit:
		t.Fatalf("the program ended with %d:\n%s", code, log)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the program's log:\n%s", log)
		}
		signals <- syscall.SIGINT
		<-exit
	})
	return log
}

// --bind-dynamic follows addresses that come and go.
func TestBindDynamic(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	log := startInside(t, "--bind-dynamic", "--interface=veth*", "--host-record=x.ex,192.0.2.1")
	testkit.Eventually(t, "lo is served", func() bool { return strings.Contains(at("127.0.0.1", "x.ex.", dns.TypeA), "192.0.2.1") })
	if !strings.Contains(log.String(), "warning: interface veth* does not currently exist") {
		t.Error("nothing is said of an interface that is not there")
	}
	ip(t, "link add veth0 type veth peer name other0")
	ip(t, "addr add 10.1.2.1/24 dev veth0")
	ip(t, "link set veth0 up")
	ip(t, "addr add 10.3.0.1/24 dev other0")
	testkit.Eventually(t, "the new address is served", func() bool { return strings.Contains(at("10.1.2.1", "x.ex.", dns.TypeA), "192.0.2.1") })
	if got := at("10.3.0.1", "x.ex.", dns.TypeA); got != "" {
		t.Errorf("an address of another interface answers %s", got)
	}
	ip(t, "addr del 10.1.2.1/24 dev veth0")
	testkit.Eventually(t, "the address is given up", func() bool { return strings.Contains(log.String(), "stopped listening on 10.1.2.1 port 5353") })
}

// The names of interfaces, and answers that depend on networks, follow the current addresses.
func TestInterfaceAddresses(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	ip(t, "link add veth0 type veth peer name other0")
	ip(t, "addr add 10.1.2.1/24 dev veth0")
	ip(t, "addr add 10.9.0.1/24 dev veth0")
	hosts := filepath.Join(t.TempDir(), "hosts")
	text := "10.1.2.50 h\n10.9.0.50 h\n192.0.2.7 h\n10.1.2.88 if.ex\n"
	if err := os.WriteFile(hosts, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	startInside(t, "--interface-name=if.ex,veth0", "--interface-name=six.ex,veth0/6", "--dynamic-host=dyn.ex,0.0.0.8,veth0", "--local-ttl=33",
		"--localise-queries", "--addn-hosts="+hosts, "--expand-hosts", "--domain=near.ex,veth0", "--domain=far.ex", "--selfmx", "--local=/ex/")
	for _, tt := range []struct {
		at, name string
		qtype    uint16
		want     []string
		not      string
	}{
		{"127.0.0.1", "if.ex.", dns.TypeA, []string{"10.1.2.1", "10.9.0.1"}, "10.1.2.88"},
		{"127.0.0.1", "if.ex.", dns.TypeMX, []string{"NOERROR"}, "MX"},
		{"127.0.0.1", "six.ex.", dns.TypeA, []string{"NOERROR"}, "10."},
		{"127.0.0.1", "dyn.ex.", dns.TypeA, []string{"10.1.2.8", "10.9.0.8"}, ""},
		{"127.0.0.1", "1.2.1.10.in-addr.arpa.", dns.TypePTR, []string{"if.ex."}, ""},
		{"127.0.0.1", "8.0.9.10.in-addr.arpa.", dns.TypePTR, []string{"dyn.ex."}, ""},
		{"127.0.0.1", "88.2.1.10.in-addr.arpa.", dns.TypePTR, []string{"if.ex."}, ""},
		{"10.1.2.1", "if.ex.", dns.TypeA, []string{"10.1.2.1"}, "10.9.0.1"},
		{"10.1.2.1", "h.", dns.TypeA, []string{"10.1.2.50"}, "10.9.0.50"},
		{"10.9.0.1", "h.", dns.TypeA, []string{"10.9.0.50"}, "192.0.2.7"},
		{"127.0.0.1", "h.", dns.TypeA, []string{"10.1.2.50", "10.9.0.50", "192.0.2.7"}, ""},
		{"127.0.0.1", "h.near.ex.", dns.TypeA, []string{"10.1.2.50", "10.9.0.50"}, "192.0.2.7"},
		{"127.0.0.1", "h.far.ex.", dns.TypeA, []string{"192.0.2.7"}, "10."},
		{"127.0.0.1", "h.far.ex.", dns.TypeMX, []string{"h.far.ex."}, ""},
	} {
		got := at(tt.at, tt.name, tt.qtype)
		for _, want := range tt.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s at %s: %s, want %s", tt.name, tt.at, got, want)
			}
		}
		if tt.not != "" && strings.Contains(strings.TrimPrefix(got, "NOERROR"), tt.not) {
			t.Errorf("%s at %s: %s, want no %s", tt.name, tt.at, got, tt.not)
		}
	}
	ip(t, "addr add 10.77.0.1/16 dev veth0")
	testkit.Eventually(t, "a new address has the names", func() bool {
		return strings.Contains(at("127.0.0.1", "if.ex.", dns.TypeA), "10.77.0.1") && strings.Contains(at("10.77.0.1", "dyn.ex.", dns.TypeA), "10.77.0.8")
	})
}

// Two programs with --share-port answer on one address and port, which no interface has when
// they start. A program without the option cannot get the port.
func TestSharePort(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	ip(t, "link set lo up")
	shared := []string{"--share-port", "--bind-interfaces", "--listen-address=10.9.9.9", "--host-record=a.b,1.2.3.4"}
	startInside(t, shared...)
	startInside(t, shared...)
	ip(t, "address add 10.9.9.9/32 dev lo")
	for range 20 { // the kernel chooses one of the two for each query
		if got := at("10.9.9.9", "a.b.", dns.TypeA); got != "NOERROR 1.2.3.4" {
			t.Fatalf("answer %q", got)
		}
	}
	var log testkit.Buffer
	alone := append([]string{"--user=root", "--conf-file=", "--no-resolv", "--no-hosts", "--port=5353"}, shared[1:]...)
	if code := run(t.Context(), alone, env{stdin: strings.NewReader(""), stdout: &log, stderr: &log}); code != options.ExitNetwork {
		t.Errorf("without --share-port the exit code is %d, want %d:\n%s", code, options.ExitNetwork, &log)
	}
}
