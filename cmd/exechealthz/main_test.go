package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/kube-dns/kube-dns/test/testkit"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"exechealthz": main, "nslookup": main})
}

// TestScripts runs testdata/*.txtar: the real program, in processes of its own.
// $PORT is a free port, $DNS a server that knows kubernetes.default and
// $DEADDNS a port with nobody behind it.
func TestScripts(t *testing.T) {
	server := dnsServer(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv("PORT", freePort(t))
			env.Setenv("DNS", server)
			env.Setenv("DEADDNS", "127.0.0.1:"+freePort(t))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"get": cmdRequest(http.MethodGet), "post": cmdRequest(http.MethodPost), "terminate": cmdTerminate},
	})
}

// cmdRequest returns the command `get URL STATUS [TEXT]`, or `post`: ask until the answer
// has that status and contains the text; fail when it does not within a minute.
func cmdRequest(method string) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) { request(ts, method, neg, args) }
}

func request(ts *testscript.TestScript, method string, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: get|post URL STATUS [TEXT]")
	}
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	text := strings.Join(args[2:], "")
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	var last string
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		req, err := http.NewRequest(method, args[0], nil)
		ts.Check(err)
		resp, err := client.Do(req)
		if err != nil {
			last = err.Error()
			continue
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		last = fmt.Sprintf("%d %s", resp.StatusCode, body)
		if err == nil && resp.StatusCode == want && strings.Contains(string(body), text) {
			return
		}
	}
	ts.Fatalf("%s: last answer %q, want %d with %q", args[0], last, want, text)
}

// cmdTerminate is `terminate`: SIGTERM to everything in the background.
func cmdTerminate(ts *testscript.TestScript, _ bool, _ []string) {
	for _, cmd := range ts.BackgroundCmds() {
		ts.Check(cmd.Process.Signal(syscall.SIGTERM))
	}
}

// freePort returns a port of this package's that nobody uses, over UDP and TCP.
func freePort(t *testing.T) string {
	t.Helper()
	return strconv.Itoa(testkit.FreePorts(t, 13000, 1000, 1)[0])
}

// dnsServer starts a server that knows one name and returns its address.
func dnsServer(tb testing.TB) string {
	tb.Helper()
	const name = "kubernetes.default.svc.cluster.local."
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	server := &dns.Server{PacketConn: pc, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		m.Authoritative = true
		switch {
		case q.Question[0].Name != name:
			m.Rcode = dns.RcodeNameError
		case q.Question[0].Qtype == dns.TypeA:
			m.Answer = []dns.RR{&dns.A{
				Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 30},
				A:   net.IPv4(10, 96, 0, 1),
			}}
		}
		if err := w.WriteMsg(m); err != nil {
			tb.Errorf("dns server: %v", err)
		}
	})}
	var wg sync.WaitGroup
	ready := make(chan struct{})
	server.NotifyStartedFunc = func() { close(ready) }
	wg.Go(func() { _ = server.ActivateAndServe() })
	<-ready
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = server.ShutdownContext(ctx)
		wg.Wait()
	})
	return pc.LocalAddr().String()
}
