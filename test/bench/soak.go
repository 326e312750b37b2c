package main

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/kube-dns/kube-dns/pkg/listener"
	"github.com/kube-dns/kube-dns/test/bench/load"
)

// fault is what a server does wrong at the moment.
type fault uint32

const (
	well fault = iota
	silent
	lossy     // silent every other time
	servfail  // every answer is SERVFAIL
	refused   // every answer is REFUSED
	lying     // first an answer to another question, then the right one, or none
	truncated // the answer over UDP is TC alone
	faults
)

// faulty is an upstream server whose fault other goroutines set.
type faulty struct {
	upstream
	now atomic.Uint32 // a fault
}

var _ listener.Handler = (*faulty)(nil)

// Handle implements [listener.Handler].
func (f *faulty) Handle(packet []byte, to listener.ReplyTo, reply []byte) []byte {
	out := f.upstream.Handle(packet, to, reply)
	end, ok := questionEnd(packet)
	if !ok {
		return out
	}
	bare := func(flags2, rcode byte) []byte {
		out = out[:end]
		out[2] |= flags2
		out[3] |= rcode
		clear(out[6:12])
		return out
	}
	const (
		tc        = 0x02
		servFail  = 2
		notWanted = 5
	)
	switch fault(f.now.Load()) {
	case silent:
		return nil
	case lossy:
		if rand.Uint32()&1 == 0 {
			return nil
		}
	case servfail:
		return bare(0, servFail)
	case refused:
		return bare(0, notWanted)
	case lying:
		forged := append([]byte(nil), out...)
		forged[len(forged)-1] ^= 0x55
		forged[13] ^= 0x01 // another name
		to.Send(forged)
		if rand.Uint32()&1 == 0 {
			return nil
		}
	case truncated:
		if !to.Stream() {
			return bare(tc, 0)
		}
	}
	return out
}

// soakCheck checks answers. Right answers have the address that upstream makes from the name,
// or are a failure (or TC) without records.
type soakCheck struct {
	failures atomic.Int64
	wrong    atomic.Pointer[string] // the first wrong answer
	want     upstream
}

// right reports whether answer is allowed for query.
func (c *soakCheck) right(_ int, query, answer []byte) bool {
	ok := c.allowed(query, answer)
	if !ok {
		text := fmt.Sprintf("%x answered by %x", query, answer)
		c.wrong.CompareAndSwap(nil, &text)
	}
	return ok
}

func (c *soakCheck) allowed(query, answer []byte) bool {
	const qr, tc, servFail, refuse, rcodeMask = 0x80, 0x02, 2, 5, 0x0f
	if len(answer) < len(query) || answer[2]&qr == 0 || string(answer[12:len(query)]) != string(query[12:]) {
		return false
	}
	count := binary.BigEndian.Uint16(answer[6:])
	// dnscache gets REFUSED if all servers refuse, and passes TC on if the limit of questions
	// over TCP is reached.
	if rcode := answer[3] & rcodeMask; rcode == servFail || rcode == refuse || answer[2]&tc != 0 {
		c.failures.Add(1)
		return count == 0
	}
	want := c.want.Handle(query, listener.ReplyTo{}, nil)
	return answer[3]&rcodeMask == 0 && count == 1 && len(answer) == len(want) &&
		string(answer[len(answer)-4:]) == string(want[len(want)-4:])
}

const (
	soakEpoch    = 40000 // questions between two looks at the memory
	soakTTL      = 2     // seconds
	soakCache    = 10000
	faultPeriod  = 300 * time.Millisecond
	soakTimeout  = 10 * time.Second // beyond every time limit of dnscache
	maxFailures  = 0.10             // of all answers
	growthFactor = 1.15
	growthSlack  = 3 << 20
	soakBudget   = 24 << 20 // octets of RSS with soakCache entries
)

// runSoak asks dnscache as fast as it answers while its servers fail.
func runSoak(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := flag.NewFlagSet("soak", flag.ContinueOnError)
	fs.SetOutput(stderr)
	bin := fs.String("bin", "bin", "`folder` with dnscache")
	duration := fs.Duration("duration", 20*time.Minute, "how long")
	if err := fs.Parse(args); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	if fs.NArg() != 0 || *duration <= 0 {
		return fmt.Errorf("%w: want a positive duration and no other arguments", errUsage)
	}
	dnscache, err := filepath.Abs(filepath.Join(*bin, "dnscache"))
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "soak")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	servers := []*faulty{{upstream: upstream{ttl: soakTTL}}, {upstream: upstream{ttl: soakTTL}}}
	addrs, err := serveAll(ctx, servers)
	if err != nil {
		return err
	}
	addr, err := freePort()
	if err != nil {
		return err
	}
	argv := append([]string{dnscache}, dnsmasqOptions(addr, addrs[0], soakCache)...)
	argv = append(argv, fmt.Sprintf("--server=%v#%d", addrs[1].Addr(), addrs[1].Port()), "--serve-stale=1m")
	names, err := load.NewPattern("n%d.ready.example.com", 1)
	if err != nil {
		return err
	}
	p, err := launch(ctx, "dnscache", dir, argv, load.Config{Server: addr, Questions: names})
	if err != nil {
		return err
	}
	defer p.stop()
	go breakThem(ctx, servers)
	return soak(ctx, p, *duration, stdout)
}

// serveAll starts the servers, until ctx ends.
func serveAll(ctx context.Context, servers []*faulty) ([]netip.AddrPort, error) {
	var addrs []netip.AddrPort
	for _, f := range servers {
		s, err := listener.Listen(listener.Config{Addrs: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, Handler: f})
		if err != nil {
			return nil, err
		}
		go func() { _ = s.Run(ctx) }()
		addrs = append(addrs, s.Addrs()[0])
	}
	return addrs, nil
}

// breakThem gives one server after another a fault, and now and then all of them.
func breakThem(ctx context.Context, servers []*faulty) {
	tick := time.NewTicker(faultPeriod)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		all, one := rand.IntN(20) == 0, rand.IntN(len(servers))
		for i, f := range servers {
			next := well
			if all || i == one {
				next = fault(rand.Uint32N(uint32(faults)))
			}
			f.now.Store(uint32(next))
		}
	}
}

// soak asks in epochs: for names that are mostly cached, for names half of which are cached,
// for new names, and for the first kind over TCP.
func soak(ctx context.Context, p *process, duration time.Duration, stdout io.Writer) error {
	var (
		check = soakCheck{want: upstream{ttl: soakTTL}}
		sum   load.Result
		rss   []int64
		errs  []error
		began = time.Now()
	)
	kinds := []struct {
		pattern  string
		distinct int
		tcp      bool
	}{{"n%d.few.example.com", 1000, false}, {"n%d.many.example.com", 2 * soakCache, false}, {"n%d.new.example.com", 0, false}, {"n%d.few.example.com", 1000, true}}
	for epoch := 0; time.Since(began) < duration && ctx.Err() == nil && len(errs) == 0; epoch++ {
		kind := kinds[epoch%len(kinds)]
		names, err := load.NewPattern(kind.pattern, kind.distinct)
		if err != nil {
			return err
		}
		r, err := load.Run(ctx, load.Config{
			Server: p.addr, TCP: kind.tcp, Questions: names, First: epoch * soakEpoch, Count: soakEpoch,
			Sockets: 8, Window: 16, Timeout: soakTimeout, Check: check.right,
		})
		sum.Sent, sum.Answered = sum.Sent+r.Sent, sum.Answered+r.Answered
		sum.Lost, sum.Wrong = sum.Lost+r.Lost, sum.Wrong+r.Wrong
		errs = appendIf(errs, err)
		if r.Lost+r.Wrong > 0 {
			errs = append(errs, fmt.Errorf("epoch %d (%s, TCP %v): %d not answered, %d wrong", epoch, kind.pattern, kind.tcp, r.Lost, r.Wrong))
			if text := check.wrong.Load(); text != nil {
				errs = append(errs, errors.New(*text))
			}
		}
		n, err := p.rss()
		errs = appendIf(errs, err)
		rss = append(rss, n)
		if epoch%20 == 0 {
			fmt.Fprintf(stdout, "%6v  epoch %d: %d answers, %d of them failures, %.1f MiB\n",
				time.Since(began).Round(time.Second), epoch, sum.Answered, check.failures.Load(), float64(n)/(1<<20))
		}
	}
	failures := check.failures.Load()
	fmt.Fprintf(stdout, "%d questions in %v (%.0f/s): %d answered, %d of them failures, %d lost, %d wrong; RSS %s\n", sum.Sent,
		time.Since(began).Round(time.Second), float64(sum.Answered)/time.Since(began).Seconds(), sum.Answered, failures, sum.Lost, sum.Wrong, rssText(rss))
	if float64(failures) > maxFailures*float64(sum.Answered) {
		errs = append(errs, fmt.Errorf("%d of %d answers are failures although one server was well nearly always", failures, sum.Answered))
	}
	return errors.Join(append(errs, growth(rss), overBudget(rss))...)
}

func appendIf(errs []error, err error) []error {
	if err != nil {
		errs = append(errs, err)
	}
	return errs
}

func rssText(rss []int64) string {
	if len(rss) == 0 {
		return "unknown"
	}
	return fmt.Sprintf("%.1f MiB first, %.1f last, %.1f at most", mib(rss[0]), mib(rss[len(rss)-1]), mib(most(rss)))
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }

func most(list []int64) int64 {
	m := int64(0)
	for _, n := range list {
		m = max(m, n)
	}
	return m
}

// overBudget returns an error if the memory was ever above its budget.
func overBudget(rss []int64) error {
	if n := most(rss); n > soakBudget {
		return fmt.Errorf("%.1f MiB of memory, the budget is %.0f", mib(n), mib(soakBudget))
	}
	return nil
}

// growth returns an error if the memory in the last quarter is above that in the second. The
// first quarter is for filling the cache.
func growth(rss []int64) error {
	q := len(rss) / 4
	if q == 0 {
		return fmt.Errorf("%d epochs are too few to tell growth", len(rss))
	}
	before, after := most(rss[q:2*q]), most(rss[len(rss)-q:])
	if float64(after) > growthFactor*float64(before)+growthSlack {
		return fmt.Errorf("the memory grows from %.1f to %.1f MiB", mib(before), mib(after))
	}
	return nil
}
