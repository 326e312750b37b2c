package main

import (
	"context"
	"net"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/dnsmasq/querylog"
	"github.com/kube-dns/kube-dns/test/testkit"
)

// patience is how long tests wait for an event. It only protects against hanging.
const patience = 30 * time.Second

// instance is a running program.
type instance struct {
	t       *testing.T
	addr    netip.AddrPort
	metrics netip.AddrPort
	log     *testkit.Buffer
	signals chan os.Signal
	exit    chan int
	once    sync.Once
	code    int
}

// start runs the program on a free port of 127.0.0.1 until the test ends. The program keeps the
// user that runs the tests, reads only files that the arguments name, and does not ask a server
// again because a busy machine makes the server slow.
func start(t *testing.T, args ...string) *instance {
	t.Helper()
	in := &instance{t: t, log: &testkit.Buffer{}, signals: make(chan os.Signal, 4), exit: make(chan int, 1)}
	started := make(chan struct{})
	e := env{
		stdin: strings.NewReader(""), stdout: in.log, stderr: in.log, signals: in.signals,
		addrs: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")},
		lookup: func(context.Context, string) ([]netip.Addr, error) {
			return nil, &net.DNSError{Err: "tests have no names", IsNotFound: true}
		},
		started: func(dns []netip.AddrPort, metrics netip.AddrPort) {
			in.addr, in.metrics = dns[0], metrics
			close(started)
		},
	}
	own := []string{"--user=root", "--conf-file=", "--fast-dns-retry=4000"}
	if !strings.Contains(strings.Join(args, " "), "--resolv-file") {
		own = append(own, "--no-resolv")
	}
	if !strings.Contains(strings.Join(args, " "), "-hosts") {
		own = append(own, "--no-hosts")
	}
	for i, arg := range args {
		if arg == "--" {
			own = append(args[:i+1:i+1], own...)
			args = args[i+1:]
			break
		}
	}
	go func() { in.exit <- run(context.Background(), append(own, args...), e) }()
	select {
	case <-started:
	case code := <-in.exit:
		t.Fatalf("the program ended with %d:\n%s", code, in.log)
	case <-time.After(patience):
		t.Fatalf("the program does not start:\n%s", in.log)
	}
	t.Cleanup(func() {
		in.signals <- syscall.SIGINT
		if code := in.wait(); code != 0 {
			t.Errorf("the program ended with %d:\n%s", code, in.log)
		}
		if t.Failed() {
			t.Logf("the program's log:\n%s", in.log)
		}
	})
	return in
}

// wait waits for the end of the program and returns its exit code.
func (in *instance) wait() int {
	in.t.Helper()
	in.once.Do(func() {
		select {
		case in.code = <-in.exit:
		case <-time.After(patience):
			in.t.Fatalf("the program does not end:\n%s", in.log)
		}
	})
	return in.code
}

// logged waits for a line, given without the prefix.
func (in *instance) logged(pattern string) {
	in.t.Helper()
	want := regexp.MustCompile(`(?m)^dnscache\[\d+\]: ` + pattern + `$`)
	testkit.Eventually(in.t, "the log has a line "+pattern, func() bool { return want.MatchString(in.log.String()) })
}

// exchange sends one query over UDP and returns the answer.
func (in *instance) exchange(m *dns.Msg) *dns.Msg {
	in.t.Helper()
	reply, _, err := (&dns.Client{Timeout: patience}).Exchange(m, in.addr.String())
	if err != nil {
		in.t.Fatalf("asking %s: %v\n%s", m.Question[0].String(), err, in.log)
	}
	return reply
}

// ask asks for the records of a name and type.
func (in *instance) ask(name string, qtype uint16) *dns.Msg {
	in.t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(dns.Fqdn(name), qtype)
	return in.exchange(m)
}

// answers returns the rcode and the data of the answers to an A question.
func (in *instance) answers(name string) string {
	in.t.Helper()
	return short(in.ask(name, dns.TypeA))
}

// short returns an answer in one line: the rcode, then the data of the records.
func short(m *dns.Msg) string {
	words := []string{dns.RcodeToString[m.Rcode]}
	for _, rr := range m.Answer {
		words = append(words, strings.TrimPrefix(rr.String(), rr.Header().String()))
	}
	return strings.Join(words, " ")
}

// statistic asks for a counter in class CH.
func (in *instance) statistic(name string) string {
	in.t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(name, dns.TypeTXT)
	m.Question[0].Qclass = dns.ClassCHAOS
	reply := in.exchange(m)
	if len(reply.Answer) != 1 {
		return short(reply)
	}
	return reply.Answer[0].(*dns.TXT).Txt[0]
}

// scripted is an upstream server.
type scripted struct {
	addr netip.AddrPort
	mu   sync.Mutex
	seen map[string]int // questions, by name and type
	down bool
}

// upstreamServer answers over UDP and TCP. reply completes m, which has been set up as the
// reply; if it returns false, the server sends nothing. If reply is nil, the server answers
// every A question with addr and TTL 100.
func upstreamServer(t *testing.T, addr string, reply func(m *dns.Msg) bool) *scripted {
	t.Helper()
	if reply == nil {
		reply = func(m *dns.Msg) bool {
			if m.Question[0].Qtype == dns.TypeA {
				m.Answer = append(m.Answer, record(m.Question[0].Name+" 100 A "+addr))
			}
			return true
		}
	}
	s := &scripted{seen: map[string]int{}}
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		if len(q.Question) != 1 {
			return
		}
		s.mu.Lock()
		s.seen[strings.ToLower(q.Question[0].Name)+" "+dns.TypeToString[q.Question[0].Qtype]]++
		down := s.down
		s.mu.Unlock()
		m := new(dns.Msg)
		m.SetReply(q)
		m.RecursionAvailable = true
		if !down && reply(m) {
			_ = w.WriteMsg(m) // the client may be gone
		}
	})
	packets, streams := listenBoth(t)
	s.addr = netip.MustParseAddrPort(packets.LocalAddr().String())
	for _, server := range []*dns.Server{{PacketConn: packets, Handler: handler}, {Listener: streams, Handler: handler}} {
		running := make(chan struct{})
		server.NotifyStartedFunc = func() { close(running) }
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = server.ActivateAndServe()
		}()
		<-running
		t.Cleanup(func() {
			_ = server.Shutdown()
			<-done
		})
	}
	return s
}

// listenBoth listens on a port that is free for UDP and TCP.
func listenBoth(t *testing.T) (net.PacketConn, net.Listener) {
	t.Helper()
	for range 50 {
		packets, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		streams, err := net.Listen("tcp", packets.LocalAddr().String())
		if err == nil {
			return packets, streams
		}
		packets.Close() // another process has the port for TCP
	}
	t.Fatal("no port is free for UDP and TCP")
	return nil, nil
}

// option returns the server in the spelling of --server.
func (s *scripted) option() string { return querylog.ServerText(s.addr) }

// count returns how often the server was asked a question.
func (s *scripted) count(question string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen[question]
}

func (s *scripted) setDown(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

// record parses a record in zone file form.
func record(text string) dns.RR {
	rr, err := dns.NewRR(text)
	if err != nil {
		panic(err)
	}
	return rr
}
