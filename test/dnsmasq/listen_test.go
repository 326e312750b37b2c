package dnsmasq

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestListeningFollowsInterfaces starts both programs, each in its own network namespace,
// before an interface exists, and compares the addresses at which they answer once it does.
func TestListeningFollowsInterfaces(t *testing.T) {
	const namespace, programs = "DNSMASQ_TEST_NAMESPACE", "DNSMASQ_TEST_PROGRAM"
	if os.Getenv(namespace) == "" {
		t.Parallel()
		test := "^" + t.Name() + "$"
		for name, path := range map[string]string{"dnsmasq": dnsmasqPath, "dnscache": filepath.Join(bin, "dnscache")} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				cmd := exec.Command("/proc/self/exe", "-test.run="+test, "-test.timeout=5m")
				cmd.Env = append(os.Environ(), namespace+"=1", programs+"="+path)
				cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
				if os.Geteuid() != 0 {
					cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
					cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}}
					cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}}
				}
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("%v\n%s", err, out)
				}
			})
		}
		return
	}
	program := os.Getenv(programs)
	ip(t, "link set lo up")
	for _, row := range []struct {
		options string
		before  string // addresses that answer at once
		after   string // and once there are interfaces
		exit    bool   // the program ends with 2 instead
	}{
		{options: "--interface=veth0", before: "127.0.0.1 ::1", after: "127.0.0.1 ::1 10.1.2.1 fd00:1::1"},
		{options: "--interface=veth*", before: "127.0.0.1 ::1", after: "127.0.0.1 ::1 10.1.2.1 fd00:1::1"},
		{options: "--interface=veth0 --except-interface=lo", after: "10.1.2.1 fd00:1::1"},
		{options: "--listen-address=10.1.2.1", after: "10.1.2.1"},
		{options: "--listen-address=fd00:1::1", after: "fd00:1::1"},
		{options: "--listen-address=127.0.0.1,10.1.2.1", before: "127.0.0.1", after: "127.0.0.1 10.1.2.1"},
		{options: "--interface=veth0 --listen-address=10.3.0.1", before: "127.0.0.1 ::1", after: "127.0.0.1 ::1 10.1.2.1 10.3.0.1 fd00:1::1"},
		{options: "--except-interface=veth0", before: "127.0.0.1 ::1", after: "127.0.0.1 ::1 10.3.0.1"},
		{options: "--interface=lo --except-interface=lo"},
		{options: "--bind-dynamic --interface=veth0", before: "127.0.0.1 ::1", after: "127.0.0.1 ::1 10.1.2.1 fd00:1::1"},
		{options: "--bind-interfaces --interface=veth0", exit: true},
		{options: "--bind-interfaces --listen-address=10.1.2.1", exit: true},
	} {
		p := startListening(t, program, row.options)
		if row.exit {
			<-p.done
			if code := p.cmd.ProcessState.ExitCode(); code != 2 {
				t.Errorf("%s: exit code %d, want 2", row.options, code)
			}
			p.kill()
			continue
		}
		p.expect(t, row.options+" at first", row.before, row.before == "")
		ip(t, "link add veth0 type veth peer name other0")
		ip(t, "addr add 10.1.2.1/24 dev veth0")
		ip(t, "addr add fd00:1::1/64 dev veth0") // tentative for a second
		ip(t, "addr add 10.3.0.1/24 dev other0")
		ip(t, "link set veth0 up")
		ip(t, "link set other0 up")
		p.expect(t, row.options+" with the interface", row.after, true)
		ip(t, "link del veth0")
		p.kill()
	}
	// IPv6 addresses for which duplicate address detection is not finished do not delay
	// anything.
	ip(t, "link add veth0 type veth peer name other0")
	ip(t, "link set other0 up")
	for _, options := range []string{"--bind-interfaces", "--bind-interfaces --listen-address=fd00:1::1", "--listen-address=fd00:1::1"} {
		ip(t, "link set veth0 down")
		ip(t, "link set veth0 up")
		ip(t, "addr add fd00:1::1/64 dev veth0")
		p := startListening(t, program, options)
		p.expect(t, options+" with a tentative address", "fd00:1::1", false)
		p.kill()
		ip(t, "addr del fd00:1::1/64 dev veth0")
	}
}

func ip(t *testing.T, command string) {
	t.Helper()
	if out, err := exec.Command("ip", strings.Fields(command)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v\n%s", command, err, out)
	}
}

func startListening(t *testing.T, program, options string) *process {
	t.Helper()
	args := "-k --conf-file= --no-resolv --no-hosts --user=root --group=root --pid-file= --log-facility=- --host-record=x.ex,192.0.2.1 " + options
	p, err := start(t.TempDir(), program, append(strings.Fields(args), fmt.Sprintf("--port=%d", selfPort)))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// expect waits until the program answers at the given addresses. With only, it must then not
// answer at any other address.
func (p *process) expect(t *testing.T, what, addrs string, only bool) {
	t.Helper()
	answers := func(addr string, wait time.Duration) bool {
		q := new(dns.Msg)
		q.SetQuestion("x.ex.", dns.TypeA)
		m, _, err := (&dns.Client{Timeout: wait}).Exchange(q, "["+addr+"]:5353")
		return err == nil && len(m.Answer) == 1
	}
	wanted := map[string]bool{}
	for addr := range strings.FieldsSeq(addrs) {
		wanted[addr] = true
		for end := time.Now().Add(30 * time.Second); !answers(addr, time.Second); time.Sleep(50 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: no answer at %s; the log is\n%s", what, addr, p.log)
			}
		}
	}
	for _, addr := range []string{"127.0.0.1", "::1", "10.1.2.1", "10.3.0.1", "fd00:1::1"} {
		if only && !wanted[addr] && answers(addr, 200*time.Millisecond) {
			t.Errorf("%s: an answer at %s", what, addr)
		}
	}
}
