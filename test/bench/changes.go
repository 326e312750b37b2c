package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/test/bench/load"
	"github.com/kube-dns/kube-dns/test/bench/objects"
)

const (
	changeRate    = 200 // per second
	changeSeconds = 10
	// The name of each change is asked for every probeEvery. If a change takes long, the name
	// is asked for less often: each pause is at least a probeShare of the time so far.
	probeEvery = 500 * time.Microsecond
	probeShare = 16
	// probeLimit is the time after which a change counts as never seen.
	probeLimit = 5 * time.Second
)

// change gives a new address to Service i or, if it is headless, to one of its endpoints. It
// returns the address.
func (c *apiCluster) change(i int) []byte {
	c.changes++
	n := c.changes
	address := fmt.Sprintf("13.%d.%d.%d", n>>16&255, n>>8&255, n&255)
	if objects.Headless(i) {
		slice := c.changed[i]
		if slice == nil {
			slice = c.Slices(i)[0]
			if c.imports {
				slice = objects.Imported(slice, i)
			}
			c.changed[i] = slice
		}
		// Remove the first endpoint and append the new one, so that the new one survives the
		// next changes until it has been seen.
		e := slice.Endpoints[0]
		e.Addresses = []string{address}
		slice.Endpoints = append(slice.Endpoints[1:], e)
		c.api.Put(slice)
	} else if c.imports {
		imported := c.Import(i)
		imported.Spec.IPs = append([]string{address}, imported.Spec.IPs[1:]...)
		c.api.Put(imported)
	} else {
		service := c.Service(i)
		service.Spec.ClusterIP, service.Spec.ClusterIPs[0] = address, address
		c.api.Put(service)
	}
	return objects.Wire(address)
}

// nth returns the Service for change k. Every other Service is headless, and each comes as
// long as possible after its last change.
func (c *apiCluster) nth(k int) int {
	i := k * 7919 % c.Services
	if k%2 == 0 {
		i -= i % 10
	}
	return i
}

// waiting is a change that no answer has shown yet.
type waiting struct {
	wrote time.Time
	asked time.Time
	query []byte // its id is for prober to set
	want  []byte // the address that says that the change is known
}

// prober asks one server for changed names until its answers show the changes.
type prober struct {
	conn *net.UDPConn

	mu      sync.Mutex
	next    uint16
	pending map[uint16]*waiting
	seen    []time.Duration
	never   int
}

func newProber(p *process) (*prober, error) {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(p.addr))
	return &prober{conn: conn, pending: map[uint16]*waiting{}}, err
}

// expect starts asking for name until an answer contains the address want.
func (p *prober) expect(name string, want []byte, wrote time.Time) error {
	q, err := new(dns.Msg).SetQuestion(name, dns.TypeA).Pack()
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next++
	binary.BigEndian.PutUint16(q, p.next)
	p.pending[p.next] = &waiting{wrote: wrote, query: q, want: want}
	return nil
}

// probe asks for the changes that are waited for and were not asked for recently. It returns
// the number of changes that are waited for.
func (p *prober) probe(now time.Time) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, w := range p.pending {
		age := now.Sub(w.wrote)
		switch {
		case age > probeLimit:
			delete(p.pending, id)
			p.never++
		case now.Sub(w.asked) >= age/probeShare:
			w.asked = now
			_, _ = p.conn.Write(w.query) // if it is lost, it is asked again
		}
	}
	return len(p.pending)
}

// receive records what answers show, until the socket is closed.
func (p *prober) receive() {
	var b [4096]byte
	for {
		n, err := p.conn.Read(b[:])
		if err != nil {
			return
		}
		p.note(b[:n], time.Now())
	}
}

func (p *prober) note(answer []byte, now time.Time) {
	if len(answer) < 12 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	id := binary.BigEndian.Uint16(answer)
	w := p.pending[id]
	if w != nil && objects.IsReply(w.query, answer) && bytes.Contains(answer[len(w.query):], w.want) {
		p.seen = append(p.seen, now.Sub(w.wrote))
		delete(p.pending, id)
	}
}

// latency is the result of measuring the changes at one server.
type latency struct {
	name  string
	seen  []time.Duration // sorted
	never int
	load  load.Result
}

// quantile returns the value below which the fraction f of all values lies. A change that was
// never seen counts as the limit.
func (l latency) quantile(f float64) time.Duration {
	all := len(l.seen) + l.never
	if i := min(int(f*float64(all)), all-1); i >= 0 && i < len(l.seen) {
		return l.seen[i]
	}
	return probeLimit
}

// changeLatency measures the time from a write to the API server until the answer shows it,
// while the server is also asked other questions. The other servers are stopped meanwhile.
func (r *clusterRun) changeLatency(ctx context.Context) error {
	lines := []string{"server\tp50 ms\tp99 ms\tmost ms\tchanges\tnever seen\tqueries/s\tnot answered"}
	var ours latency
	for i, s := range r.servers {
		fmt.Fprintf(r.stderr, "%s: %d changes per second at %s\n", r.size.name, changeRate, s.peer.name)
		for _, other := range r.servers {
			if other != s {
				if err := other.pause(); err != nil {
					return err
				}
			}
		}
		l, err := r.measureChanges(ctx, s)
		for _, other := range r.servers {
			_ = other.resume() // an error would have been one above
		}
		if err != nil {
			return err
		}
		if i == 0 {
			ours = l
		}
		lines = append(lines, fmt.Sprintf("%s\t%.1f\t%.1f\t%.1f\t%d\t%d\t%.0f\t%d", l.name, millis(l.quantile(0.5)), millis(l.quantile(0.99)),
			millis(l.quantile(1)), len(l.seen)+l.never, l.never, float64(l.load.Answered)/l.load.Took.Seconds(), l.load.Lost+l.load.Wrong))
	}
	r.table(fmt.Sprintf("%v: from a change to its answer, at %d changes/s and %d queries/s", r.Cluster, changeRate, clusterRate), lines...)
	r.judge("kubedns p99", millis(ours.quantile(0.99)), 20, " ms")
	return nil
}

func (r *clusterRun) measureChanges(ctx context.Context, s *clusterServer) (latency, error) {
	// This process holds the whole cluster, so its garbage collector would delay the writes
	// and the questions.
	runtime.GC()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	p, err := newProber(s.process)
	if err != nil {
		return latency{}, err
	}
	var wg sync.WaitGroup
	wg.Go(p.receive)
	l := latency{name: s.peer.name}
	var loadErr error
	wg.Go(func() {
		l.load, loadErr = load.Run(ctx, load.Config{
			Server: s.addr, Questions: r.mix, Sockets: r.sockets, Window: r.window, Rate: clusterRate, Count: clusterRate * changeSeconds,
			Check: func(_ int, query, answer []byte) bool { return objects.IsReply(query, answer) },
		})
	})
	err = r.writeChanges(ctx, p)
	_ = p.conn.Close() // ends receive
	wg.Wait()
	if err == nil {
		err = loadErr
	}
	slices.Sort(p.seen)
	l.seen, l.never = p.seen, p.never
	return l, err
}

// writeChanges writes at the rate and asks for each change until it is seen.
func (r *clusterRun) writeChanges(ctx context.Context, p *prober) error {
	began := time.Now()
	for written := 0; ; {
		for due := int(time.Since(began).Seconds() * changeRate); written < min(due, changeRate*changeSeconds); written++ {
			i := r.nth(r.changes)
			wrote := time.Now()
			want := r.change(i)
			if err := p.expect(r.fullName(i), want, wrote); err != nil {
				return err
			}
		}
		if p.probe(time.Now()) == 0 && written == changeRate*changeSeconds {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		time.Sleep(probeEvery)
	}
}
