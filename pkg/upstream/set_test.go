package upstream

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/upstream/policy"
	"github.com/kube-dns/kube-dns/pkg/upstream/route"
	"github.com/kube-dns/kube-dns/pkg/wire"
	"github.com/kube-dns/kube-dns/test/testkit"
)

const hang = testkit.Hang

// noSink collects nothing.
type noSink struct{}

func (noSink) Flush() {}

// quiet is an owner that does not mind what happens before the end.
type quiet struct{}

func (quiet) Slow(Sink)                {}
func (quiet) Sent(netip.AddrPort)      {}
func (quiet) Ignores(*wire.Reply) bool { return false }

// waiting is an owner that a test waits for.
type waiting struct {
	quiet
	done  chan string
	slow  atomic.Int32
	calls atomic.Int32
}

func newWaiting() *waiting { return &waiting{done: make(chan string, 4)} }

func (w *waiting) Slow(Sink) { w.slow.Add(1) }

func (w *waiting) Done(_ Sink, r *Result) {
	w.calls.Add(1)
	switch {
	case r.Reply != nil && r.Err != nil:
		w.done <- "both reply and error"
	case r.Reply != nil:
		w.done <- dns.RcodeToString[r.Reply.Rcode] + " from " + r.Server.String()
	default:
		w.done <- r.Err.Error()
	}
}

func (w *waiting) wait(tb testing.TB) string {
	tb.Helper()
	select {
	case text := <-w.done:
		return text
	case <-time.After(hang):
		tb.Fatal("the exchange does not end")
		return ""
	}
}

// scripted is a UDP server. answer makes the packets to send back.
func scripted(tb testing.TB, answer func(q *dns.Msg) [][]byte) Server {
	tb.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		buf := make([]byte, 4096)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			q := new(dns.Msg)
			if q.Unpack(buf[:n]) == nil {
				for _, p := range answer(q) {
					_, _ = pc.WriteTo(p, from)
				}
			}
		}
	})
	tb.Cleanup(func() {
		pc.Close()
		wg.Wait()
	})
	return Server{Addr: netip.MustParseAddrPort(pc.LocalAddr().String())}
}

func packed(m *dns.Msg) []byte {
	b, err := m.Pack()
	if err != nil {
		panic(err)
	}
	return b
}

func rcode(code int) func(*dns.Msg) [][]byte {
	return func(q *dns.Msg) [][]byte { return [][]byte{packed(new(dns.Msg).SetRcode(q, code))} }
}

// running makes a set that runs until the test ends or stop is called. Where cfg
// does not say otherwise it is patient: on a busy machine a server that answers
// must not be asked twice.
func running(tb testing.TB, cfg Config) (s *Set, stop func()) {
	tb.Helper()
	cfg.Timeout = cmp.Or(cfg.Timeout, hang*3/4)
	cfg.FirstRetry = cmp.Or(cfg.FirstRetry, hang/4)
	cfg.NewSink = func() Sink { return noSink{} }
	s, err := New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				tb.Error(err)
			}
		case <-time.After(hang):
			tb.Error("Run does not end")
		}
	})
	tb.Cleanup(stop)
	return s, stop
}

func all(servers ...Server) []Route { return []Route{{Servers: servers}} }

func (s *Set) askA(name string, slow time.Duration) *waiting {
	w := newWaiting()
	packed := make([]byte, 300)
	n, _ := dns.PackDomainName(name, packed, 0, nil, false)
	q := Question{Name: packed[:n], Type: wire.TypeA, Class: wire.ClassIN, Flags: wire.FlagRD}
	s.Send(s.Table().Lookup(q.Name, q.Type).Group, &q, slow, w)
	s.Flush()
	return w
}

func TestExchange(t *testing.T) {
	srv := scripted(t, rcode(0))
	s, _ := running(t, Config{Routes: all(srv)})
	for range 50 {
		if got, want := s.askA("www.example.", 0).wait(t), "NOERROR from "+srv.Addr.String(); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
	st := s.Stats()
	if got := st.Servers[0]; got.Sent != 50 || got.Answered != 50 || got.Failed != 0 || got.SmoothedRTT == 0 || st.InFlight != 0 {
		t.Errorf("stats %+v", st)
	}
}

// TestWrongRepliesAreWaitedPast: wrong replies are counted and change nothing.
func TestWrongRepliesAreWaitedPast(t *testing.T) {
	srv := scripted(t, func(q *dns.Msg) [][]byte {
		good := new(dns.Msg).SetReply(q)
		id, name, qtype, class, opcode, empty := good.Copy(), good.Copy(), good.Copy(), good.Copy(), good.Copy(), good.Copy()
		qtype.Question[0].Qtype = dns.TypeAAAA
		id.Id ^= 0x8000
		name.Question[0].Name = "wwx.example."
		class.Question[0].Qclass = dns.ClassCHAOS
		opcode.Opcode = dns.OpcodeNotify
		empty.Question = nil
		return [][]byte{packed(id), packed(name), packed(qtype), packed(class), packed(opcode), packed(empty), {0}, packed(good), packed(good)}
	})
	s, _ := running(t, Config{Routes: all(srv)})
	if got := s.askA("www.example.", 0).wait(t); got != "NOERROR from "+srv.Addr.String() {
		t.Errorf("got %q", got)
	}
	for end := time.Now().Add(hang); s.Stats().WrongReplies != 8; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d wrong replies counted, want 8", s.Stats().WrongReplies)
		}
	}
}

// TestDoneOnce: if all servers answer at once, the owner is called once.
func TestDoneOnce(t *testing.T) {
	var servers []Server
	for range 4 {
		servers = append(servers, scripted(t, rcode(0)))
	}
	s, _ := running(t, Config{Routes: all(servers...), Strategy: All, FirstRetry: time.Millisecond, UDPConfig: UDPConfig{Sockets: 2, SocketUses: 3}})
	var list []*waiting
	for range 500 {
		list = append(list, s.askA("www.example.", time.Microsecond))
	}
	for _, w := range list {
		w.wait(t)
	}
	for _, w := range list {
		if n := w.calls.Load(); n != 1 {
			t.Fatalf("Done was called %d times", n)
		}
	}
	// Servers that were not fast enough are measured, which nobody waits for.
	for end := time.Now().Add(hang); s.Stats().InFlight != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d stay in flight", s.Stats().InFlight)
		}
	}
}

// TestStop: Run ends what is in flight, and leaves no file open.
func TestStop(t *testing.T) {
	before := openFiles(t)
	s, stop := running(t, Config{Routes: all(scriptedSilent(t)), UDPConfig: UDPConfig{Sockets: 32, SocketUses: 2}})
	var list []*waiting
	for range 200 {
		list = append(list, s.askA("www.example.", 0))
	}
	stop()
	for _, w := range list {
		if got := w.wait(t); got != ErrClosed.Error() {
			t.Fatalf("got %q", got)
		}
	}
	if got := s.askA("www.example.", 0).wait(t); got != ErrClosed.Error() {
		t.Errorf("after the end: %q", got)
	}
	if err := s.Reload(Config{NewSink: func() Sink { return noSink{} }}); !errors.Is(err, ErrClosed) {
		t.Errorf("Reload: %v", err)
	}
	if n := openFiles(t); n > before+1 { // the silent server
		t.Errorf("%d files open, %d before", n, before)
	}
}

// scriptedSilent is a server of which nobody reads the socket.
func scriptedSilent(tb testing.TB) Server {
	tb.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { pc.Close() })
	return Server{Addr: netip.MustParseAddrPort(pc.LocalAddr().String())}
}

// openFiles counts this process's sockets and epoll descriptors.
func openFiles(tb testing.TB) int {
	tb.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		tb.Fatal(err)
	}
	n := 0
	for _, e := range entries {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n
}

// awaitOpenFiles waits until at most n sockets are open. A question is answered
// before the reader that heard the answer gives its socket back.
func awaitOpenFiles(tb testing.TB, n int) {
	tb.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for open := openFiles(tb); open > n; open = openFiles(tb) {
		if time.Now().After(deadline) {
			tb.Fatalf("%d sockets stay open, want at most %d", open, n)
		}
		time.Sleep(time.Millisecond)
	}
}

// TestSocketsRotate: a socket that carried its share is closed and replaced,
// and what waits on it is still heard.
func TestSocketsRotate(t *testing.T) {
	var mu sync.Mutex
	ports := map[string]bool{}
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	go func() {
		buf := make([]byte, 4096)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			mu.Lock()
			ports[from.String()] = true
			mu.Unlock()
			q := new(dns.Msg)
			if q.Unpack(buf[:n]) == nil {
				_, _ = pc.WriteTo(packed(new(dns.Msg).SetReply(q)), from)
			}
		}
	}()
	before := openFiles(t)
	s, _ := running(t, Config{Routes: all(Server{Addr: netip.MustParseAddrPort(pc.LocalAddr().String())}), UDPConfig: UDPConfig{Sockets: 2, SocketUses: 1}})
	for range 40 {
		s.askA("www.example.", 0).wait(t)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(ports) < 20 {
		t.Errorf("%d ports for 40 questions", len(ports))
	}
	awaitOpenFiles(t, before+2)
}

// TestSocketsAge: sockets past their age are closed when nobody uses them.
func TestSocketsAge(t *testing.T) {
	before := openFiles(t)
	srv := scripted(t, rcode(0))
	s, _ := running(t, Config{Routes: all(srv), UDPConfig: UDPConfig{Sockets: 8, SocketAge: time.Minute}})
	start := s.now()
	for range 50 {
		s.askA("www.example.", 0).wait(t)
	}
	link := s.servers[srv].links[policy.Usual]
	link.Retire(start + int64(59*time.Second))
	if n := openFiles(t); n < before+1+4 {
		t.Errorf("%d sockets open, %d before", n, before)
	}
	link.Retire(s.now() + int64(time.Minute))
	awaitOpenFiles(t, before+1) // the server's
	if got := s.askA("www.example.", 0).wait(t); !strings.HasPrefix(got, "NOERROR") {
		t.Errorf("after that: %q", got)
	}
}

// TestPorts: the local port is from the range, or the one that was asked for.
func TestPorts(t *testing.T) {
	var last atomic.Int64
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	go func() {
		buf := make([]byte, 4096)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			last.Store(int64(from.(*net.UDPAddr).Port))
			q := new(dns.Msg)
			if q.Unpack(buf[:n]) == nil {
				_, _ = pc.WriteTo(packed(new(dns.Msg).SetReply(q)), from)
			}
		}
	}()
	srv := Server{Addr: netip.MustParseAddrPort(pc.LocalAddr().String())}
	low := uint16(testkit.FreePortRow(t, 15000, 1000, 3))
	fixed := srv
	fixed.Source = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), low)
	tests := []struct {
		name      string
		cfg       Config
		low, high uint16
	}{
		{"range", Config{Routes: all(srv), UDPConfig: UDPConfig{MinPort: low, MaxPort: low + 2, Sockets: 50, SocketUses: 1}}, low, low + 2},
		{"one", Config{Routes: all(srv), UDPConfig: UDPConfig{Port: low + 1}}, low + 1, low + 1},
		{"source", Config{Routes: all(fixed)}, low, low},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s, stop := running(t, test.cfg)
			for range 5 {
				if got := s.askA("www.example.", 0).wait(t); !strings.HasPrefix(got, "NOERROR") {
					t.Fatalf("got %q", got)
				}
				if p := uint16(last.Load()); p < test.low || p > test.high {
					t.Errorf("port %d, want %d to %d", p, test.low, test.high)
				}
			}
			stop()
		})
	}
}

// TestSourceAddressKeepsRandomPorts: a server asked from an address of our
// choice is asked from ports that nobody chose (lesson of CVE-2021-3448).
func TestSourceAddressKeepsRandomPorts(t *testing.T) {
	ports, ids := map[uint16]bool{}, map[uint16]bool{}
	var mu sync.Mutex
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	go func() {
		buf := make([]byte, 4096)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			q := new(dns.Msg)
			if q.Unpack(buf[:n]) != nil {
				continue
			}
			mu.Lock()
			addr := from.(*net.UDPAddr).AddrPort()
			ports[addr.Port()], ids[q.Id] = true, true
			if addr.Addr().String() != "127.0.0.3" {
				t.Errorf("asked from %v", addr)
			}
			mu.Unlock()
			_, _ = pc.WriteTo(packed(new(dns.Msg).SetReply(q)), from)
		}
	}()
	srv := Server{Addr: netip.MustParseAddrPort(pc.LocalAddr().String()), Source: netip.MustParseAddrPort("127.0.0.3:0")}
	s, _ := running(t, Config{Routes: all(srv), UDPConfig: UDPConfig{Sockets: 50, SocketUses: 1}})
	for range 40 {
		s.askA("www.example.", 0).wait(t)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(ports) < 20 || len(ids) < 35 {
		t.Errorf("%d ports and %d ids for 40 questions", len(ports), len(ids))
	}
}

// TestReloadKeepsHealth: what is known about a server that remains is kept.
func TestReloadKeepsHealth(t *testing.T) {
	a, b := scripted(t, rcode(0)), scripted(t, rcode(0))
	s, _ := running(t, Config{Routes: all(a)})
	s.askA("www.example.", 0).wait(t)
	if err := s.Reload(Config{Routes: all(b, a), NewSink: func() Sink { return noSink{} }}); err != nil {
		t.Fatal(err)
	}
	st := s.Stats().Servers
	if len(st) != 2 || st[0].Addr != b.Addr || st[0].Sent != 0 || st[1].Sent != 1 || st[1].SmoothedRTT == 0 {
		t.Errorf("stats %+v", st)
	}
}

// TestLabels: servers that differ in anything have different labels, short ones where the
// address is enough.
func TestLabels(t *testing.T) {
	plain := Server{Addr: netip.MustParseAddrPort("192.0.2.1:53")}
	servers := []Server{{Addr: netip.MustParseAddrPort("192.0.2.2:53")}, plain}
	vary := func(change func(*Server)) {
		for _, s := range servers[1:] { // also in combination with all changes before
			change(&s)
			servers = append(servers, s)
		}
	}
	vary(func(s *Server) { s.Interface = "lo" })
	vary(func(s *Server) { s.Source = netip.MustParseAddrPort("192.0.2.9:0") })
	vary(func(s *Server) { s.Role = route.Replica })
	plainOnes := len(servers)
	vary(func(s *Server) { s.TLS.On = true })
	servers = append([]Server{{Addr: servers[0].Addr, TLS: TLS{On: true}}}, servers[plainOnes:]...)
	vary(func(s *Server) { s.TLS.Name = "dns.example" })
	vary(func(s *Server) { s.TLS.Pins += strings.Repeat("x", 32) })
	vary(func(s *Server) { s.TLS.Pins += strings.Repeat("y", 32) })
	s, _ := running(t, Config{Routes: all(servers...), Trust: func() *Trust { return new(Trust) }})
	seen := map[string]bool{}
	for _, st := range s.Stats().Servers {
		if seen[st.Label] {
			t.Errorf("%s twice", st.Label)
		}
		seen[st.Label] = true
	}
	if len(seen) != len(servers) {
		t.Errorf("%d labels for %d servers", len(seen), len(servers))
	}
}

func TestConfigErrors(t *testing.T) {
	sink := func() Sink { return noSink{} }
	v6 := Server{Addr: netip.MustParseAddrPort("[::1]:53"), Source: netip.MustParseAddrPort("127.0.0.1:0")}
	for _, cfg := range []Config{
		{}, {NewSink: sink, Routes: all(Server{})}, {NewSink: sink, Routes: all(v6)}, {NewSink: sink, UDPConfig: UDPConfig{MinPort: 5, MaxPort: 4}},
	} {
		if s, err := New(cfg); err == nil {
			s.Close()
			t.Errorf("%+v was taken", cfg)
		}
	}
}
