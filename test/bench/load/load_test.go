package load

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/listener"
	"github.com/kube-dns/kube-dns/test/testkit"
)

// hang bounds waits that only end late when something is broken.
const hang = testkit.Hang

// server answers as its function says and keeps the questions.
type server struct {
	answer func(q *dns.Msg) *dns.Msg
	mu     sync.Mutex
	asked  map[string]bool
}

func (s *server) Handle(packet []byte, _ listener.ReplyTo, _ []byte) []byte {
	q := new(dns.Msg)
	if err := q.Unpack(packet); err != nil || len(q.Question) != 1 {
		return nil
	}
	s.mu.Lock()
	s.asked[q.Question[0].Name] = true
	s.mu.Unlock()
	m := s.answer(q)
	if m == nil {
		return nil
	}
	b, err := m.Pack()
	if err != nil {
		return nil
	}
	return b
}

// names returns how many names were asked.
func (s *server) names() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.asked)
}

func start(t *testing.T, answer func(q *dns.Msg) *dns.Msg) (*server, netip.AddrPort) {
	t.Helper()
	s := &server{answer: answer, asked: make(map[string]bool)}
	l, err := listener.Listen(listener.Config{Addrs: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, Handler: s})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return s, l.Addrs()[0]
}

func good(q *dns.Msg) *dns.Msg {
	m := new(dns.Msg).SetReply(q)
	rr, err := dns.NewRR(q.Question[0].Name + " 60 IN A 127.0.0.9")
	if err != nil {
		return nil
	}
	m.Answer = append(m.Answer, rr)
	return m
}

func TestRun(t *testing.T) {
	wrongName := func(q *dns.Msg) *dns.Msg {
		q.Question[0].Name = "other.example."
		return good(q)
	}
	nxdomain := func(q *dns.Msg) *dns.Msg { return new(dns.Msg).SetRcode(q, dns.RcodeNameError) }
	empty := func(q *dns.Msg) *dns.Msg { return new(dns.Msg).SetReply(q) }
	silent := func(*dns.Msg) *dns.Msg { return nil }
	wrongID := func(q *dns.Msg) *dns.Msg {
		q.Id ^= 1 << 12
		return good(q)
	}
	query := func(q *dns.Msg) *dns.Msg { return q }
	tests := []struct {
		name   string
		answer func(q *dns.Msg) *dns.Msg
		cfg    Config
		want   Result
	}{
		{"udp", good, Config{Count: 1000}, Result{Sent: 1000, Answered: 1000}},
		{"tcp", good, Config{Count: 1000, TCP: true}, Result{Sent: 1000, Answered: 1000}},
		{"later questions", good, Config{Count: 30, First: 5000}, Result{Sent: 30, Answered: 30}},
		{"one at a time", good, Config{Count: 50, Sockets: 1, Window: 1}, Result{Sent: 50, Answered: 50}},
		{"at a rate", good, Config{Count: 50, Rate: 10000, Sockets: 2}, Result{Sent: 50, Answered: 50}},
		{"silence at a rate", silent, Config{Count: 20, Rate: 10000, Sockets: 1, Timeout: 20 * time.Millisecond}, Result{Sent: 20, Lost: 20}},
		{"widest window", good, Config{Count: 500, Window: 64}, Result{Sent: 500, Answered: 500}},
		{"wrong question", wrongName, Config{Count: 20}, Result{Sent: 20, Wrong: 20}},
		{"wrong rcode", nxdomain, Config{Count: 20}, Result{Sent: 20, Wrong: 20}},
		{"wanted rcode", nxdomain, Config{Count: 20, Rcode: dns.RcodeNameError}, Result{Sent: 20, Answered: 20}},
		{"no records", empty, Config{Count: 20}, Result{Sent: 20, Wrong: 20}},
		{"no records wanted", empty, Config{Count: 20, NoAnswers: true}, Result{Sent: 20, Answered: 20}},
		{"not an answer", query, Config{Count: 20, NoAnswers: true}, Result{Sent: 20, Wrong: 20}},
		{"silence", silent, Config{Count: 20, Timeout: 20 * time.Millisecond}, Result{Sent: 20, Lost: 20}},
		{"wrong id", wrongID, Config{Count: 20, Timeout: 20 * time.Millisecond}, Result{Sent: 20, Lost: 20}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, addr := start(t, tt.answer)
			cfg := tt.cfg
			cfg.Server = addr
			if cfg.Timeout == 0 {
				cfg.Timeout = hang
			}
			var err error
			if cfg.Questions, err = NewPattern("n%d.example.com", 0); err != nil {
				t.Fatal(err)
			}
			got, err := Run(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			if got.Took <= 0 {
				t.Error("took no time")
			}
			got.Took = 0
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			// What is given up may still have to be read.
			for end := time.Now().Add(hang); s.names() < cfg.Count && time.Now().Before(end); {
				time.Sleep(time.Millisecond)
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			if first := fmt.Sprintf("n%d.example.com.", cfg.First); !s.asked[first] {
				t.Errorf("%s was not asked", first)
			}
			if len(s.asked) != cfg.Count {
				t.Errorf("%d names asked, want %d", len(s.asked), cfg.Count)
			}
		})
	}
}

// TestRate: questions are not asked faster than they may be.
func TestRate(t *testing.T) {
	_, addr := start(t, good)
	names, err := NewPattern("n%d.example.com", 10)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Run(t.Context(), Config{Server: addr, Questions: names, Count: 100, Rate: 2000, Timeout: hang})
	if err != nil || r.Answered != 100 || r.Took < 45*time.Millisecond {
		t.Errorf("got %+v, %v", r, err)
	}
}

// TestCheck: the check is told which question it is about.
func TestCheck(t *testing.T) {
	_, addr := start(t, good)
	names, err := NewPattern("n%d.example.com", 0)
	if err != nil {
		t.Fatal(err)
	}
	check := func(n int, query, _ []byte) bool {
		return n >= 70 && bytes.Equal(query[12:], names.Append(nil, n))
	}
	if r, err := Run(t.Context(), Config{Server: addr, Questions: names, First: 70, Count: 100, Check: check, Timeout: hang}); err != nil || r.Answered != 100 {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestRunEndsWithContext(t *testing.T) {
	_, addr := start(t, good)
	names, err := NewPattern("n%d.example.com", 10)
	if err != nil {
		t.Fatal(err)
	}
	answered := uint64(0)
	for limit := 50 * time.Millisecond; answered == 0 && limit < hang; limit *= 4 { // the time for an answer on a busy machine
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		r, err := Run(ctx, Config{Server: addr, Questions: names, Count: 1 << 40})
		if err != nil || r.Sent != r.Answered+r.Lost+r.Wrong {
			t.Errorf("got %+v, %v", r, err)
		}
		answered = uint64(r.Answered)
	}
	if answered == 0 {
		t.Error("no question was answered")
	}
}

func TestConfigErrors(t *testing.T) {
	names, err := NewPattern("n%d.example.com", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, cfg := range []Config{
		{Count: 1}, {Questions: names}, {Questions: names, Count: 1, Window: 65}, {Questions: names, Count: 1, Rate: -1}, {Questions: names, Count: 1, Sockets: -1},
	} {
		if _, err := Run(t.Context(), cfg); err == nil {
			t.Errorf("%+v: no error", cfg)
		}
	}
}

func TestPattern(t *testing.T) {
	for _, tt := range []struct {
		text     string
		count, n int
		want     string
	}{
		{"n%d.example.com", 0, 7, "n7.example.com."},
		{"n%d.example.com.", 0, 107, "n107.example.com."},
		{"a.b%dc.d", 5, 12, "a.b3c.d."},
		{"%d", 1, 9, "0."},
		{"%d", 10000, 2, "5838."},
	} {
		p, err := NewPattern(tt.text, tt.count)
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		got, end, err := dns.UnpackDomainName(p.Append(nil, tt.n), 0)
		if err != nil || got != tt.want || !bytes.Equal(p.Append(nil, tt.n)[end:], []byte{0, 1, 0, 1}) {
			t.Errorf("%+v: got %q, %v", tt, got, err)
		}
	}
	p, err := NewPattern("%d", 1000)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for n := range 1000 {
		seen[string(p.Append(nil, 5000+n))] = true
	}
	if len(seen) != 1000 {
		t.Errorf("one turn asks for %d of 1000 names", len(seen))
	}
	for _, bad := range []string{"", "none.example", "%d.%d", "a..%d", "%dxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.example"} {
		if _, err := NewPattern(bad, 0); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}
