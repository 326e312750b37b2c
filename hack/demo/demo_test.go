package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"github.com/kube-dns/kube-dns/test/testkit"
)

// fakes returns the environment of a demo with fake programs and free ports.
func fakes(t *testing.T, mode string, extra ...string) func(string) string {
	t.Helper()
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"kubedns", "dnscache", "exechealthz"} {
		if err := os.Symlink(self, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv(fakeEnv, mode)
	env := map[string]string{"DEMO_BIN": dir}
	free := testkit.FreePorts(t, 14500, 500, 6)
	for i, s := range new(ports).table() {
		env[s.variable] = strconv.Itoa(free[i])
	}
	for _, e := range extra {
		name, value, _ := strings.Cut(e, "=")
		env[name] = value
	}
	return func(name string) string { return env[name] }
}

func TestOnce(t *testing.T) {
	tests := []struct {
		mode string
		code int
		want []string
	}{
		{"ok", 0, []string{
			"demo: all 7 answers are right\n", "demo: done\n",
			"$ dig @127.0.0.1 -p ", " web.default.svc.cluster.local A\n", "status: NXDOMAIN", ";; ANSWER SECTION:\n",
		}},
		{"wrong", 1, []string{
			"WRONG: db.data.svc.cluster.local. A: records [\"A 10.244.1.10\"] instead of [\"A 10.244.1.10\" \"A 10.244.2.10\"]\n",
			"demo: wrong answers: ",
		}},
		{"dies", 1, []string{
			"dnscache    | dnscache: something is wrong\n", "kubedns     | kubedns starts\n",
			"demo: dnscache ended: exit status 1\n",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.mode, func(t *testing.T) {
			extra := []string{"ONCE=1"}
			if tt.mode == "dies" {
				extra = append(extra, "ONCE=0") // noticed while the demo stays up, at the latest
			}
			out := new(testkit.Buffer)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if code := run(ctx, fakes(t, tt.mode, extra...), out); code != tt.code {
				t.Errorf("exit %d, want %d", code, tt.code)
			}
			for _, want := range tt.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("output lacks %q:\n%s", want, out)
				}
			}
			assertNoChildren(t)
		})
	}
}

// TestStaysUntilSignal: without ONCE the demo keeps running, shows the logs, and ends with
// success. Programs that do not end after SIGTERM are killed.
func TestStaysUntilSignal(t *testing.T) {
	for _, mode := range []string{"ok", "wrong", "deaf"} {
		t.Run(mode, func(t *testing.T) {
			out := new(testkit.Buffer)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			code := make(chan int, 1)
			getenv := fakes(t, mode)
			go func() { code <- run(ctx, getenv, out) }()
			for !strings.Contains(out.String(), "exechealthz | exechealthz starts\n") {
				if ctx.Err() != nil {
					t.Fatalf("it does not come up:\n%s", out)
				}
				time.Sleep(10 * time.Millisecond)
			}
			cancel()
			if got := <-code; got != 0 {
				t.Errorf("exit %d after a signal, want 0:\n%s", got, out)
			}
			assertNoChildren(t)
		})
	}
}

// TestInterruptedWhileWaiting: a signal before the answers have come is not a success.
func TestInterruptedWhileWaiting(t *testing.T) {
	out := new(testkit.Buffer)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	getenv := fakes(t, "unhealthy", "ONCE=1")
	go cancelAfter(ctx, cancel, out)
	if code := run(ctx, getenv, out); code != 1 || !strings.Contains(out.String(), "demo: interrupted\n") {
		t.Errorf("exit %d, want 1 and why:\n%s", code, out)
	}
	assertNoChildren(t)
}

// cancelAfter calls cancel once out shows that the programs do not answer yet.
func cancelAfter(ctx context.Context, cancel func(), out *testkit.Buffer) {
	for ctx.Err() == nil && !strings.Contains(out.String(), "/readiness: no answer yet\n") {
		time.Sleep(10 * time.Millisecond)
	}
	cancel()
}

func TestNotHealthyInTime(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out := new(testkit.Buffer)
	go cancelAfter(ctx, cancel, out)
	url := fmt.Sprintf("http://127.0.0.1:%d/readiness", testkit.FreePorts(t, 14500, 500, 1)[0])
	err := waitHealthy(ctx, url, nil, out)
	if err == nil || err.Error() != url+" is not healthy in time: no answer yet" {
		t.Errorf("waitHealthy: %v", err)
	}
}

// assertNoChildren fails when this process has a child left.
func assertNoChildren(t *testing.T) {
	t.Helper()
	pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
	if err != unix.ECHILD {
		t.Errorf("a child is left: pid %d, %v", pid, err)
	}
}

func TestPortInUse(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	tcp, udp := ln.Addr().(*net.TCPAddr).Port, pc.LocalAddr().(*net.UDPAddr).Port
	out := new(testkit.Buffer)
	code := run(t.Context(), fakes(t, "ok", fmt.Sprint("DEMO_READINESS_PORT=", tcp), fmt.Sprint("DEMO_DNSCACHE_PORT=", udp)), out)
	if code != 1 {
		t.Errorf("exit %d, want 1", code)
	}
	for _, want := range []string{
		fmt.Sprintf("port %d (kubedns, readiness) cannot be used: ", tcp), "DEMO_READINESS_PORT=PORT chooses another",
		fmt.Sprintf("port %d (dnscache, DNS) cannot be used: ", udp), "address already in use",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("output lacks %q:\n%s", want, out)
		}
	}
}

func TestReadConfig(t *testing.T) {
	tests := []struct {
		name string
		env  map[string]string
		want func(*config)
		err  string
	}{
		{name: "defaults", want: func(*config) {}},
		{name: "once", env: map[string]string{"ONCE": "1"}, want: func(c *config) { c.once = true }},
		{name: "not once", env: map[string]string{"ONCE": "0"}, want: func(*config) {}},
		{name: "cluster", env: map[string]string{"KUBECONFIG": "/k"}, want: func(c *config) { c.kubeconfig = "/k" }},
		{name: "port", env: map[string]string{"DEMO_KUBEDNS_PORT": "20053"}, want: func(c *config) { c.ports.kubedns = 20053 }},
		{name: "two clusters", env: map[string]string{"KUBECONFIG": "/a:/b"}, err: "KUBECONFIG=/a:/b: name one file"},
		{name: "no port", env: map[string]string{"DEMO_DEBUG_PORT": "0"}, err: "DEMO_DEBUG_PORT=0: not a port from 1 to 65535"},
		{name: "twice", env: map[string]string{"DEMO_HEALTHZ_PORT": "8053"}, err: "DEMO_DNSCACHE_PORT and DEMO_HEALTHZ_PORT are both 8053"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := readConfig(func(name string) string { return tt.env[name] })
			if tt.err != "" {
				if err == nil || err.Error() != tt.err {
					t.Fatalf("readConfig: %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := config{
				bin: "bin", objects: "manifests/examples",
				ports: ports{dnscache: 8053, dnscacheMetrics: 10054, kubedns: 10053, readiness: 10081, debug: 10060, healthz: 10080},
			}
			tt.want(&want)
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(config{}, ports{})); diff != "" {
				t.Errorf("config (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPrograms(t *testing.T) {
	c, err := readConfig(func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	kubedns := c.programs()[0].args
	if !slices.Contains(kubedns, "--objects=manifests/examples") || !slices.Contains(kubedns, "--nameservers=none") {
		t.Errorf("without a cluster: %q", kubedns)
	}
	c.kubeconfig = "/k"
	kubedns = c.programs()[0].args
	if !slices.Contains(kubedns, "--kubecfg-file=/k") || strings.Contains(fmt.Sprint(kubedns), "--objects") {
		t.Errorf("with a cluster: %q", kubedns)
	}
}

func TestCheck(t *testing.T) {
	q := question{name: "x.", qtype: dns.TypeSRV, want: []string{"SRV 10 53 b.", "SRV 10 53 a."}}
	reply := func(rcode int, records ...string) *dns.Msg {
		m := new(dns.Msg)
		m.Rcode = rcode
		for _, text := range records {
			rr, err := dns.NewRR(text)
			if err != nil {
				t.Fatal(err)
			}
			m.Answer = append(m.Answer, rr)
		}
		return m
	}
	tests := []struct {
		name  string
		q     question
		reply *dns.Msg
		want  string
	}{
		{"right, in another order, with any weight", q, reply(0, "x. IN SRV 10 7 53 a.", "x. IN SRV 10 1 53 b."), ""},
		{"one lacking", q, reply(0, "x. IN SRV 10 7 53 a."), `x. SRV: records ["SRV 10 53 a."] instead of ["SRV 10 53 a." "SRV 10 53 b."]`},
		{"status", question{name: "x.", qtype: dns.TypeA, want: []string{}}, reply(dns.RcodeServerFailure), "x. A: status SERVFAIL instead of NOERROR"},
		{"anything", question{name: "x.", qtype: dns.TypeA}, reply(0, "x. IN A 10.0.0.1"), ""},
		{"nothing", question{name: "x.", qtype: dns.TypeA}, reply(0), "x. A: no records"},
		{"denial without SOA", question{name: "x.", qtype: dns.TypeA, rcode: dns.RcodeNameError, want: []string{}}, reply(dns.RcodeNameError), "x. A: no SOA record beside the denial"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			if err := tt.q.check(tt.reply); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("check: %q, want %q", got, tt.want)
			}
		})
	}
}

func TestChildLog(t *testing.T) {
	out := new(testkit.Buffer)
	l := &childLog{name: "kubedns", out: out}
	for i := range keptLines + 5 {
		fmt.Fprintf(l, "line %d\nhal", i)
		fmt.Fprint(l, "f ")
	}
	if out.String() != "" {
		t.Errorf("printed before it was told to: %q", out)
	}
	l.show()
	got := strings.Split(out.String(), "\n")
	if len(got) != keptLines+1 || got[0] != "kubedns     | half line 5" {
		t.Errorf("%d lines from %q on", len(got), got[0])
	}
	fmt.Fprint(l, "a line\n")
	if !strings.HasSuffix(out.String(), "kubedns     | half a line\n") {
		t.Errorf("a new line is not printed: %q", got[len(got)-2:])
	}
}

func TestQuoted(t *testing.T) {
	if got, want := quoted([]string{"--a=b", "c d >e", "it's"}), `--a=b 'c d >e' 'it'\''s'`; got != want {
		t.Errorf("quoted: %s, want %s", got, want)
	}
}
