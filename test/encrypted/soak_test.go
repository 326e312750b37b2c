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
)

// lasting is how long the soak lasts: SOAK_TLS, which hack/soak-tls.sh sets, or some
// seconds.
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

// usage is what a program has of the machine.
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

// settles waits until the program has no more goroutines and files than before, but
// for a few.
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

// counts are the outcomes of questions.
type counts struct{ answered, failed, wrong atomic.Int64 }

// load asks for names that are all different, open of them at once, until more says
// no.
func (p *program) load(t *testing.T, c *counts, open int, pause time.Duration, more func() bool) {
	t.Helper()
	var wg sync.WaitGroup
	for w := range open {
		wg.Go(func() {
			for i := 0; more(); i++ {
				answered, err := p.outcome(fmt.Sprintf("w%d-n%d-%d.example.", w, i, rand.Uint32()))
				switch {
				case err != nil:
					if c.wrong.Add(1) <= 5 {
						t.Error(err)
					}
				case answered:
					c.answered.Add(1)
				default:
					c.failed.Add(1)
					time.Sleep(20 * pause) // as clients do, so that failures do not outnumber
				}
				time.Sleep(pause)
			}
		})
	}
	wg.Wait()
}

// clearText counts packets of UDP that come to the servers' addresses.
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

// misbehave changes what the servers do until end is closed. One of them, another one
// every few seconds, is well, but for moments in which none is.
func misbehave(servers []*hostile, good []tls.Certificate, bad tls.Certificate, end <-chan struct{}) {
	const period, turn = 250 * time.Millisecond, 6 // periods
	tick := time.NewTicker(period)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-end:
			for _, h := range servers {
				h.Config.Store(dnstest.ServerConfig(good[0]))
				h.set(well)
			}
			return
		case <-tick.C:
		}
		kept := i / turn % len(servers)
		h := servers[rand.IntN(len(servers))]
		if i%turn == 0 { // not the one that is preferred by now
			h = servers[(kept+len(servers)-1)%len(servers)]
		}
		switch which := rand.IntN(10); {
		case i%(4*turn) < 2:
			for _, h := range servers {
				h.set(mode(1 + rand.Uint32N(uint32(modes)-1)))
			}
		case which == 0:
			h.Config.Store(dnstest.ServerConfig(good[rand.IntN(len(good))]))
			h.Drop()
		case which == 1 && h != servers[kept]:
			h.Config.Store(dnstest.ServerConfig(bad))
			h.Drop()
		default:
			h.set(mode(rand.Uint32N(uint32(modes))))
		}
		if i%(4*turn) >= 2 {
			servers[kept].Config.Store(dnstest.ServerConfig(good[rand.IntN(len(good))]))
			servers[kept].set(well)
		}
	}
}

// TestSoak has servers that fail in all ways and change their certificates, under
// questions: all are answered in time, none wrongly, none in clear text, and
// memory, goroutines and files do not grow.
func TestSoak(t *testing.T) {
	t.Parallel()
	duration, whole := lasting(t)
	for name, start := range starters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca := dnstest.NewCA(t, "CA")
			good := []tls.Certificate{ca.Leaf(t, named), ca.Leaf(t, named), ca.Leaf(t, named)}
			bad := ca.Leaf(t, dnstest.Leaf{Names: []string{"other.example"}})
			var servers []*hostile
			set := setup{ca: ca.PEM()}
			for range 4 {
				h := newHostile(t, ca)
				servers, set.servers = append(servers, h), append(set.servers, h.TLSServer)
			}
			inClear := clearText(t, servers)
			p := start(t, set)
			p.flood(t, "first", "example.", 100)
			before := p.usage(t)
			end := make(chan struct{})
			var wg sync.WaitGroup
			wg.Go(func() { misbehave(servers, good, bad, end) })
			var sum counts
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
			for _, h := range servers {
				h.Drop()
				connections += h.Accepted.Load()
			}
			after := p.settles(t, before)
			t.Logf("%v: %d answered, %d failed, %d lost or wrong, %d connections\nbefore: %v\nat most: %v\nafterwards: %v",
				time.Since(began).Round(time.Second), sum.answered.Load(), sum.failed.Load(), sum.wrong.Load(), connections, before, most, after)
			if inClear.Load() != 0 {
				t.Errorf("%d packets in clear text", inClear.Load())
			}
			// A server that fails again and again is left alone for up to a minute, also
			// when it is well by then.
			if answered, failed := sum.answered.Load(), sum.failed.Load(); answered == 0 || failed > answered {
				t.Errorf("%d answered, %d failed, though one of the servers is nearly always well", answered, failed)
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

// TestManyConnections is B46: each connection that has ended leaves nothing.
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

// TestFloodWhileDown: far more questions than can wait, while the server accepts
// connections and says nothing, cost few connections and a bounded amount of memory,
// and the server is used when it is well.
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
			p.recovers(t, patience)
			p.settles(t, before)
		})
	}
}
