package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/test/testkit"
)

// The options decide on which addresses the program answers, and whether each has its own
// socket.
func TestListenOptions(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	ip(t, "link add veth0 type veth peer name other0")
	ip(t, "addr add 10.1.2.1/24 dev veth0")
	ip(t, "addr add 10.3.0.1/24 dev other0")
	const lo, veth, other = "127.0.0.1", "10.1.2.1", "10.3.0.1"
	for _, tt := range []struct {
		option   string
		answer   []string
		silent   []string
		wildcard bool
	}{
		{"--cache-size=150", []string{lo, veth, other}, nil, true},
		{"--bind-interfaces", []string{lo, veth, other}, nil, false},
		{"--listen-address=" + veth, []string{veth}, []string{lo, other}, false},
		{"--interface=veth0", []string{lo, veth}, []string{other}, false},
		{"--except-interface=veth0", []string{lo, other}, []string{veth}, false},
	} {
		t.Run(tt.option, func(t *testing.T) {
			startInside(t, tt.option, "--host-record=x.ex,192.0.2.1")
			for _, addr := range tt.answer {
				if got := at(addr, "x.ex.", dns.TypeA); got != "NOERROR 192.0.2.1" {
					t.Errorf("%s answers %q", addr, got)
				}
			}
			for _, addr := range tt.silent {
				if got := at(addr, "x.ex.", dns.TypeA); got != "" {
					t.Errorf("%s answers %q, want silence", addr, got)
				}
			}
			sockets, err := os.ReadFile("/proc/net/udp")
			if wildcard := strings.Contains(string(sockets), " 00000000:14E9 "); err != nil || wildcard != tt.wildcard {
				t.Errorf("a socket for all addresses: %v, want %v; %v\n%s", wildcard, tt.wildcard, err, sockets)
			}
		})
	}
}

// --local-service looks at the address that a query comes from.
func TestLocalServiceOption(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	ip(t, "link add veth0 type veth peer name other0")
	ip(t, "addr add 10.1.2.1/24 dev veth0")
	// Queries can come from these addresses, although no interface has them.
	ip(t, "route add local 10.1.2.128/25 dev lo")
	ip(t, "route add local 10.50.0.0/16 dev lo")
	const own, near, far = "10.1.2.1", "10.1.2.200", "10.50.0.1"
	for option, clients := range map[string]map[string]bool{
		"--cache-size=150":     {own: true, near: true, far: true},
		"--local-service":      {own: true, near: true, far: false},
		"--local-service=net":  {own: true, near: true, far: false},
		"--local-service=host": {own: true, near: false, far: false},
	} {
		t.Run(option, func(t *testing.T) {
			startInside(t, option, "--host-record=x.ex,192.0.2.1")
			for client, want := range clients {
				c := &dns.Client{Timeout: 2 * time.Second, Dialer: &net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(client)}}}
				if want {
					c.Timeout = patience
				}
				q := new(dns.Msg)
				q.SetQuestion("x.ex.", dns.TypeA)
				if _, _, err := c.Exchange(q, "10.1.2.1:5353"); (err == nil) != want {
					t.Errorf("a question from %s: %v, want an answer: %v", client, err, want)
				}
			}
		})
	}
}

// When started as root, the program changes to --user and --group. With --bind-dynamic, it
// keeps the right to bind low ports, and no other. The test builds it without cgo, as it is
// shipped, because only then can capabilities be changed for all threads.
func TestUserAndGroup(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	ip(t, "link add veth0 type veth peer name other0")
	users, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "dnscache")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	onlyRoot := strings.HasSuffix(strings.TrimSpace(string(users)), " 1")
	for i, tt := range []struct{ option, caps string }{
		{"--bind-interfaces", "0000000000000000"},
		{"--bind-dynamic", "0000000000000400"},
	} {
		t.Run(tt.option, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), program, tt.option, "--port=53", "--user=4711", "--group=4712",
				"--conf-file=", "--no-resolv", "--no-hosts", "--host-record=x.ex,192.0.2.1")
			cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
			stderr, err := cmd.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(stderr)
			lines.Scan()
			if onlyRoot { // a user namespace that was not made by root has only one user
				if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 5 || !strings.Contains(lines.Text(), "failed to drop groups") {
					t.Errorf("without other users: %v, %s", err, lines.Text())
				}
				return
			}
			defer func() {
				_ = cmd.Process.Kill()
				_ = cmd.Wait() // killed
			}()
			for !strings.Contains(lines.Text(), "started, version") && lines.Scan() {
			}
			status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{"Uid:\t4711\t4711\t4711\t4711\n", "Gid:\t4712\t4712\t4712\t4712\n", "CapEff:\t" + tt.caps + "\n", "CapPrm:\t" + tt.caps + "\n"} {
				if !strings.Contains(string(status), want) {
					t.Errorf("no %q in\n%s", want, status)
				}
			}
			late := fmt.Sprintf("10.1.%d.1", i)
			ip(t, "addr add "+late+"/24 dev veth0")
			for addr, want := range map[string]bool{"127.0.0.1": true, late: tt.option == "--bind-dynamic"} {
				ask := func() bool {
					q := new(dns.Msg)
					q.SetQuestion("x.ex.", dns.TypeA)
					m, err := dns.Exchange(q, addr+":53")
					return err == nil && short(m) == "NOERROR 192.0.2.1"
				}
				if !want && ask() {
					t.Errorf("%s answers", addr)
				} else if want {
					testkit.Eventually(t, addr+" answers", ask)
				}
			}
		})
	}
}
