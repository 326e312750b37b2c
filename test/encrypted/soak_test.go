package encrypted

import (
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/test/dnstest"
	"github.com/kube-dns/kube-dns/test/testkit"
)

// lasting returns how long the soak lasts: the time in SOAK_TLS, which hack/soak-tls.sh sets,
// or some seconds.
func lasting(t *testing.T) (duration time.Duration, whole bool) {
	t.Helper()
	text := os.Getenv("SOAK_TLS")
	if text == "" {
		return 5 * time.Second, false
	}
	duration, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal("SOAK_TLS: ", err)
	}
	return duration, true
}

// usage is a program's use of resources.
type usage struct{ rss, goroutines, files int }

func (u usage) String() string {
	return fmt.Sprintf("%.1f MiB, %d goroutines, %d files", float64(u.rss)/1024, u.goroutines, u.files)
}

func (p *program) usage(t *testing.T) usage {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	u := usage{goroutines: int(p.metric(t, "goroutines")), files: len(files)}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			u.rss, _ = strconv.Atoi(strings.Fields(rest)[0]) // KiB
		}
	}
	return u
}

// settles waits until the program has no more goroutines and files than before, except for a
// few.
func (p *program) settles(t *testing.T, before usage) usage {
	t.Helper()
	const few = 6
	var now usage
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		if now = p.usage(t); now.goroutines <= before.goroutines+few && now.files <= before.files+few {
			return now
		}
		if time.Now().After(end) {
			t.Fatalf("before: %v, afterwards: %v", before, now)
		}
	}
}

// recovers waits until a name is answered.
func (p *program) recovers(t *testing.T, limit time.Duration) {
	t.Helper()
	for end := time.Now().Add(limit); ; time.Sleep(50 * time.Millisecond) {
		answered, err := p.outcome(fmt.Sprintf("n%d.example.", rand.Uint32()))
		if err != nil {
			t.Error(err)
		}
		if answered {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("no answer within %v", limit)
		}
	}
}

// counts counts the outcomes of questions.
type counts struct {
	answered, failed, wrong atomic.Int64
	// unjust counts failures at times at which a server worked.
	unjust atomic.Int64
	// strict identifies the current period in which a failure is an error; it is 0 while
	// failures are expected.
	strict atomic.Uint64
}

// load asks for names that are all different, open of them at a time, until more returns
// false.
func (p *program) load(t *testing.T, c *counts, open int, pause time.Duration, more func() bool) {
	t.Helper()
	var wg sync.WaitGroup
	for w := range open {
		wg.Go(func() {
			for i := 0; more(); i++ {
				name := fmt.Sprintf("w%d-n%d-%d.example.", w, i, rand.Uint32())
				began, strict := time.Now(), c.strict.Load()
				m, err := p.exchange(name)
				switch {
				case err != nil:
					if c.wrong.Add(1) <= 5 {
						t.Error(err)
					}
				case m.Rcode == dns.RcodeSuccess:
					c.answered.Add(1)
				default:
					c.failed.Add(1)
					if strict != 0 && strict == c.strict.Load() && !pulse.stoodStill(began) && c.unjust.Add(1) <= 5 {
						t.Errorf("after %v, though a server is well: %v", time.Since(began), m)
					}
					time.Sleep(20 * pause) // as clients do, so that failures do not outnumber
				}
				time.Sleep(pause)
			}
		})
	}
	wg.Wait()
}

// heart notices when this machine does not run for a while, because failures at such times
// are not the programs' fault.
type heart struct {
	begin   sync.Once
	stopped atomic.Int64 // when that last ended, in nanoseconds
}

var pulse heart

// stoodStill reports whether this happened after a point in time.
func (h *heart) stoodStill(since time.Time) bool {
	return h.stopped.Load() > since.UnixNano()
}

func (h *heart) start() {
	h.begin.Do(func() {
		go func() {
			const beat, late = 20 * time.Millisecond, 300 * time.Millisecond
			for last := time.Now(); ; {
				time.Sleep(beat)
				now := time.Now()
				if now.Sub(last) > beat+late {
					h.stopped.Store(now.UnixNano())
				}
				last = now
			}
		}()
	})
}

// clearText counts the UDP packets that come to the servers' addresses.
func clearText(t *testing.T, servers []*hostile) *atomic.Int64 {
	t.Helper()
	n := new(atomic.Int64)
	for _, h := range servers {
		pc, err := net.ListenPacket("udp", h.Addr.String())
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			for {
				if _, _, err := pc.ReadFrom(make([]byte, 512)); err != nil {
					return
				}
				n.Add(1)
			}
		})
		t.Cleanup(func() { pc.Close(); wg.Wait() })
	}
	return n
}

// trouble is a group of servers, all but one of which fail in many ways.
type trouble struct {
	servers []*hostile
	good    []tls.Certificate // for the name that is expected
	bad     tls.Certificate   // for another one
	// kept is the server that works. soon is the one that will work next, possibly the same.
	kept, soon int
}

// wellAgain makes all servers work.
func (b *trouble) wellAgain() {
	for _, h := range b.servers {
		h.Config.Store(dnstest.ServerConfig(b.good[0]))
		h.set(well)
	}
}

// change gives one of the servers another fault. The server that works may get a new valid
// certificate, and have its connections closed.
func (b *trouble) change(renew bool) {
	for i, h := range b.servers {
		if i == b.kept || i == b.soon {
			if renew {
				h.Config.Store(dnstest.ServerConfig(b.good[rand.IntN(len(b.good))]))
				h.Drop()
			}
			continue
		}
		switch which := rand.IntN(20); {
		case which == 0:
			h.Config.Store(dnstest.ServerConfig(b.good[rand.IntN(len(b.good))]))
			h.Drop()
		case which == 1:
			h.Config.Store(dnstest.ServerConfig(b.bad))
			h.Drop()
		case which < 8:
			h.set(mode(rand.Uint32N(uint32(modes))))
		}
	}
}

// run causes faults until end is closed. c.strict is not 0 while every question must be
// answered, that is while a server works that the program has used since that server's last
// failure. A server that has failed is used again within a minute (B28); handOver is how long
// to wait for that. Every few turns, all servers fail for a while.
func (b *trouble) run(t *testing.T, c *counts, end <-chan struct{}, turn, handOver time.Duration) {
	t.Helper()
	defer b.wellAgain()
	const period = 250 * time.Millisecond
	tick := time.NewTicker(period)
	defer tick.Stop()
	began, asked := time.Now(), int64(0)
	c.strict.Store(1)
	for i := 1; ; i++ {
		select {
		case <-end:
			return
		case <-tick.C:
		}
		b.change(i%10 == 0)
		switch next := b.servers[b.soon]; {
		case b.soon == b.kept && time.Since(began) > turn:
			if rand.IntN(3) == 0 && !b.blackout(t, c, end, handOver) {
				return
			}
			b.soon = (b.kept + 1) % len(b.servers)
			next = b.servers[b.soon]
			next.Config.Store(dnstest.ServerConfig(b.good[0]))
			next.set(well)
			next.Drop() // of connections from before
			began, asked = time.Now(), next.Questions.Load()
		case b.soon != b.kept && next.Questions.Load() > asked+10:
			b.kept, began = b.soon, time.Now()
		case b.soon != b.kept && time.Since(began) > handOver && !pulse.stoodStill(began):
			t.Errorf("a server that is well again is not used after %v", time.Since(began))
			return
		}
	}
}

// blackout makes all servers fail for a while. Then it chooses the server to keep, and waits
// until that has answered.
func (b *trouble) blackout(t *testing.T, c *counts, end <-chan struct{}, limit time.Duration) bool {
	t.Helper()
	old := c.strict.Swap(0)
	for _, h := range b.servers {
		h.set(mode(1 + rand.Uint32N(uint32(modes)-1)))
	}
	time.Sleep(2 * time.Second)
	b.wellAgain()
	before := make([]int64, len(b.servers))
	for i, h := range b.servers {
		h.Drop()
		before[i] = h.Questions.Load()
	}
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		for i, h := range b.servers {
			if h.Questions.Load() > before[i]+10 {
				b.kept = i
				c.strict.Store(old + 1)
				return true
			}
		}
		select {
		case <-end:
			return false
		default:
		}
		if time.Since(began) > limit && !pulse.stoodStill(began) {
			t.Errorf("no server is used %v after all are well again", limit)
			return false
		}
	}
}

// TestSoak asks questions while servers fail in many ways and change their certificates.
// While a server works, all questions are answered. No answer is wrong, nothing is sent in
// clear text, and memory, goroutines and files do not grow.
func TestSoak(t *testing.T) {
	t.Parallel()
	pulse.start()
	duration, whole := lasting(t)
	for name, start := range starters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca := dnstest.NewCA(t, "CA")
			b := &trouble{
				good: []tls.Certificate{ca.Leaf(t, named), ca.Leaf(t, named), ca.Leaf(t, named)},
				bad:  ca.Leaf(t, dnstest.Leaf{Names: []string{"other.example"}}),
			}
			set := setup{ca: ca.PEM()}
			for range 4 {
				h := newHostile(t, ca)
				b.servers, set.servers = append(b.servers, h), append(set.servers, h.TLSServer)
			}
			inClear := clearText(t, b.servers)
			p := start(t, set)
			p.flood(t, "first", "example.", 100)
			before := p.usage(t)
			end := make(chan struct{})
			var wg sync.WaitGroup
			var sum counts
			turn := min(duration/4, 15*time.Second)
			wg.Go(func() { b.run(t, &sum, end, turn, 65*time.Second) })
			var most, second usage
			began := time.Now()
			for time.Since(began) < duration && !t.Failed() {
				until := time.Now().Add(min(time.Second, duration))
				p.load(t, &sum, 16, 5*time.Millisecond, func() bool { return time.Now().Before(until) })
				now := p.usage(t)
				most = usage{max(most.rss, now.rss), max(most.goroutines, now.goroutines), max(most.files, now.files)}
				if time.Since(began) < duration/2 {
					second = most
				}
			}
			close(end)
			wg.Wait()
			p.recovers(t, 65*time.Second)
			var connections int64
			for _, h := range b.servers {
				h.Drop()
				connections += h.Accepted.Load()
			}
			after := p.settles(t, before)
			t.Logf("%v: %d answered, %d failed, of them %d though a server was well, %d lost or wrong, %d connections\nbefore: %v\nat most: %v\nafterwards: %v",
				time.Since(began).Round(time.Second), sum.answered.Load(), sum.failed.Load(), sum.unjust.Load(), sum.wrong.Load(), connections, before, most, after)
			if inClear.Load() != 0 {
				t.Errorf("%d packets in clear text", inClear.Load())
			}
			if sum.answered.Load() == 0 {
				t.Error("nothing was answered")
			}
			const slack = 8 << 10 // KiB
			if whole && most.rss > second.rss+slack {
				t.Errorf("memory grows: at most %d KiB in the first half, %d later", second.rss, most.rss)
			}
			if most.rss > 64<<10 || most.goroutines > 500 || most.files > 500 {
				t.Errorf("at most: %v", most)
			}
		})
	}
}

// TestManyConnections is B46: a connection that has ended leaves nothing behind.
func TestManyConnections(t *testing.T) {
	t.Parallel()
	questions := int64(600)
	if _, whole := lasting(t); whole {
		questions = 10_000
	}
	for name, start := range starters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca := dnstest.NewCA(t, "CA")
			h := newHostile(t, ca)
			p := start(t, setup{servers: []*dnstest.TLSServer{h.TLSServer}, ca: ca.PEM()})
			p.flood(t, "first", "example.", 100)
			before := p.usage(t)
			h.set(closesEach)
			var sum counts
			var asked atomic.Int64
			p.load(t, &sum, 16, 0, func() bool { return asked.Add(1) <= questions })
			h.Drop()
			after := p.settles(t, before)
			t.Logf("%d connections; before: %v, afterwards: %v", h.Accepted.Load(), before, after)
			if sum.answered.Load() != questions || h.Accepted.Load() < questions/2 {
				t.Errorf("%d answered, %d failed, %d connections", sum.answered.Load(), sum.failed.Load(), h.Accepted.Load())
			}
			const slack = 24 << 10 // KiB; what a crowd of handshakes takes at a time
			if after.rss > before.rss+slack {
				t.Errorf("before: %v, afterwards: %v", before, after)
			}
		})
	}
}

// TestFloodWhileDown: the server accepts connections but does not answer, and far more
// questions arrive than can wait. They cost few connections and a bounded amount of memory,
// and the server is used once it works.
func TestFloodWhileDown(t *testing.T) {
	t.Parallel()
	for name, start := range starters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca := dnstest.NewCA(t, "CA")
			h := newHostile(t, ca)
			p := start(t, setup{servers: []*dnstest.TLSServer{h.TLSServer}, ca: ca.PEM()})
			p.flood(t, "first", "example.", 10)
			before := p.usage(t)
			h.set(silentHandshake)
			h.Drop()
			nc, err := net.Dial("udp", p.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			const batches, batch = 100, 500
			most := before
			for i := range batches {
				for j := range batch {
					q, err := new(dns.Msg).SetQuestion(fmt.Sprintf("b%d-%d.example.", i, j), dns.TypeA).Pack()
					if err != nil {
						t.Fatal(err)
					}
					_, _ = nc.Write(q)
				}
				if i%10 == 0 {
					now := p.usage(t)
					most = usage{max(most.rss, now.rss), max(most.goroutines, now.goroutines), max(most.files, now.files)}
				}
				time.Sleep(20 * time.Millisecond)
			}
			t.Logf("before: %v, at most: %v, %d connections", before, most, h.Accepted.Load())
			// 150 questions wait in dnscache, 4096 in kubedns, as they do for servers
			// in clear text.
			slack := map[string]int{"dnscache": 24 << 10, "kubedns": 80 << 10}[name] // KiB
			if most.rss > before.rss+slack || most.goroutines > before.goroutines+50 || h.Accepted.Load() > 10 {
				t.Errorf("before: %v, at most: %v, %d connections", before, most, h.Accepted.Load())
			}
			h.set(well)
			testkit.Eventually(t, "the questions of the flood to end", func() bool {
				m, _, err := (&dns.Client{Timeout: 10 * time.Second}).Exchange(new(dns.Msg).SetQuestion("free.example.", dns.TypeA), p.addr)
				return err == nil && m.Rcode != dns.RcodeRefused
			})
			p.recovers(t, patience)
			p.settles(t, before)
		})
	}
}
