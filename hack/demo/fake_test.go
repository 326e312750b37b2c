package main

import (
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// fakeEnv says how the fake programs behave: ok, wrong (answers), dies (dnscache
// does, when kubedns has started), unhealthy, deaf (to SIGTERM).
const fakeEnv = "DEMO_TEST_FAKE"

// TestMain makes the test binary act as one of the three programs, depending on the name by
// which it is called. The real programs have their own tests; these tests are about the demo.
func TestMain(m *testing.M) {
	mode := os.Getenv(fakeEnv)
	if mode == "" {
		os.Exit(m.Run())
	}
	if err := fake(filepath.Base(os.Args[0]), mode, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// fake acts as one of the programs until SIGTERM.
func fake(name, mode string, args []string) error {
	flags := make(map[string]string)
	for _, arg := range args {
		flag, value, _ := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
		flags[flag] = value
	}
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	fmt.Fprintf(os.Stderr, "%s starts\n", name)
	ended := make(chan error, 3)
	serveHTTP := func(port string) {
		if mode == "unhealthy" {
			return
		}
		go func() {
			ended <- http.ListenAndServe("127.0.0.1:"+port, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		}()
	}
	switch name {
	case "kubedns":
		if err := os.WriteFile(started(), nil, 0o600); err != nil {
			return err
		}
		serveHTTP(flags["healthz-port"])
	case "exechealthz":
		awaitDnscache(args)
		serveHTTP(flags["port"])
	case "dnscache":
		if mode == "dies" {
			for _, err := os.Stat(started()); err != nil; _, err = os.Stat(started()) {
				time.Sleep(10 * time.Millisecond)
			}
			return fmt.Errorf("dnscache: something is wrong")
		}
		server := &dns.Server{Addr: "127.0.0.1:" + flags["port"], Net: "udp", Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
			_ = w.WriteMsg(exampleReply(q, mode == "wrong"))
		})}
		go func() { ended <- server.ListenAndServe() }()
	}
	select {
	case err := <-ended:
		return err
	case <-time.After(time.Minute): // in case the demo does not stop us
		return nil
	case <-term:
	}
	if mode == "deaf" {
		time.Sleep(time.Minute)
	}
	return nil
}

// started returns the path of a file that exists once kubedns has reported that it starts.
func started() string { return filepath.Join(filepath.Dir(os.Args[0]), "started") }

// awaitDnscache waits until the server that the checks for dnscache query gives any answer.
// Until then, exechealthz would not report success.
func awaitDnscache(args []string) {
	var server string
	for i, arg := range args {
		if arg == "--url="+urlDnscache && i > 0 {
			server = serverIn.FindString(args[i-1])
		}
	}
	client := dns.Client{Timeout: 100 * time.Millisecond}
	for range 300 {
		if _, _, err := client.Exchange(new(dns.Msg).SetQuestion("any.", dns.TypeA), server); err == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

var serverIn = regexp.MustCompile(`127\.0\.0\.1:\d+`)

// exampleReply answers an example question with the answer that it expects.
func exampleReply(query *dns.Msg, wrong bool) *dns.Msg {
	name := query.Question[0].Name
	for _, q := range exampleQuestions() {
		if q.name != name || q.qtype != query.Question[0].Qtype {
			continue
		}
		m := new(dns.Msg).SetRcode(query, q.rcode)
		owner := name
		for _, text := range q.want {
			text = strings.Replace(text, "SRV 10 ", "SRV 10 50 ", 1)
			rr, err := dns.NewRR(owner + " 30 IN " + text)
			if err != nil {
				panic(err)
			}
			if alias, ok := rr.(*dns.CNAME); ok {
				owner = alias.Target
			}
			m.Answer = append(m.Answer, rr)
		}
		if a, ok := m.Answer, wrong; ok && len(a) > 1 {
			m.Answer = a[:1]
		}
		if q.rcode == dns.RcodeNameError {
			m.Ns = []dns.RR{&dns.SOA{Hdr: dns.RR_Header{Name: "cluster.local.", Rrtype: dns.TypeSOA, Class: dns.ClassINET}, Ns: "ns.", Mbox: "h."}}
		}
		return m
	}
	return new(dns.Msg).SetRcode(query, dns.RcodeRefused)
}
