package forwarder

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	"github.com/kube-dns/kube-dns/pkg/internal/dnsclient"
	"github.com/kube-dns/kube-dns/pkg/internal/wake"
	"github.com/kube-dns/kube-dns/pkg/routelist"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

const (
	// followPeriod is how often a server that publishes its routes is asked for them;
	// followGap is the shortest time between two questions.
	followPeriod  = 3 * time.Second
	followGap     = 250 * time.Millisecond
	followTimeout = 2 * time.Second
	followRetry   = time.Second // the pause after a question without a valid answer
	// maxFollowed is the largest number of servers whose routes are followed.
	maxFollowed = 16
)

// follower reads the routes of upstream servers that publish them. It recognises such servers
// by an option in their replies (package routelist), and sends nothing to others.
type follower struct {
	f    *Forwarder
	wake chan struct{} // has a capacity of one; note sends, run receives

	mu      sync.Mutex
	servers map[netip.AddrPort]*followed
}

// followed is the state of one server whose routes are followed. follower.mu protects it.
type followed struct {
	shown uint64    // the generation in its last reply
	known uint64    // the generation of the list in effect
	asked time.Time // when it was last asked for its list
	due   time.Time // when it must be asked next
}

func (w *follower) init(f *Forwarder) {
	w.f, w.wake, w.servers = f, make(chan struct{}, 1), map[netip.AddrPort]*followed{}
}

// note looks for the generation of the routes in a server's reply, and wakes run if the routes
// have changed.
func (w *follower) note(r *Reply) {
	if !r.Msg.EDNS.Present || len(r.Msg.EDNS.Options) == 0 {
		return
	}
	data, ok := wire.Option(r.Msg.EDNS.Options, routelist.OptionCode)
	if !ok {
		return
	}
	generation, ok := routelist.ParseOption(data)
	if !ok {
		return
	}
	w.mu.Lock()
	s := w.servers[r.Server]
	urgent := s != nil && s.shown != generation && s.known != generation
	if s == nil && len(w.servers) < maxFollowed {
		s, urgent = &followed{}, true
		w.servers[r.Server] = s
	}
	if s != nil {
		s.shown = generation
	}
	if urgent {
		s.due = s.asked.Add(followGap)
	}
	w.mu.Unlock()
	if urgent {
		wake.Up(w.wake)
	}
}

// run reads the routes of all servers, when due, until ctx ends.
func (w *follower) run(ctx context.Context) {
	timer := time.NewTimer(followPeriod)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
		case <-timer.C:
		}
		timer.Reset(w.round(ctx))
	}
}

// round asks the servers that are due, and returns the time until the next one is.
func (w *follower) round(ctx context.Context) time.Duration {
	configured := map[netip.AddrPort]bool{}
	for _, s := range w.f.set.Stats().Servers {
		configured[s.Addr] = true
	}
	now := time.Now()
	var due, gone []netip.AddrPort
	w.mu.Lock()
	for addr, s := range w.servers {
		switch {
		case !configured[addr]:
			delete(w.servers, addr)
			gone = append(gone, addr)
		case !s.due.After(now):
			s.asked, s.due = now, now.Add(followPeriod)
			due = append(due, addr)
		}
	}
	w.mu.Unlock()
	for _, addr := range gone {
		w.f.setRemote(addr, nil)
	}
	var wg sync.WaitGroup
	for _, addr := range due {
		wg.Go(func() {
			defer w.f.recovered(nil)
			w.ask(ctx, addr)
		})
	}
	wg.Wait()
	next := now.Add(followPeriod)
	w.mu.Lock()
	for _, s := range w.servers {
		if s.due.Before(next) {
			next = s.due
		}
	}
	w.mu.Unlock()
	return max(time.Until(next), 10*time.Millisecond)
}

// ask reads the routes of one server and applies them. If it cannot, the last ones remain in
// effect.
func (w *follower) ask(ctx context.Context, addr netip.AddrPort) {
	ctx, cancel := context.WithTimeout(ctx, followTimeout)
	defer cancel()
	list, err := askRoutes(ctx, addr)
	if err != nil {
		w.f.state.Load().cfg.Logger.Debug("cannot read the routes of a server; keeping the last ones",
			"server", addr.String(), "error", err)
		w.mu.Lock()
		if s := w.servers[addr]; s != nil {
			s.due = time.Now().Add(followRetry)
		}
		w.mu.Unlock()
		return
	}
	w.mu.Lock()
	s := w.servers[addr]
	if s != nil {
		s.known = list.Generation
	}
	w.mu.Unlock()
	if last := (*w.f.remote.Load())[addr]; s != nil && (last == nil || last.Generation != list.Generation) {
		w.f.setRemote(addr, list)
	}
}

var errNoRoutes = errors.New("the reply does not contain a list of routes")

// askRoutes asks a server for its routes, over TCP if the answer is truncated.
func askRoutes(ctx context.Context, addr netip.AddrPort) (*routelist.List, error) {
	question := &wire.Query{Name: []byte(routelist.Question), Type: wire.TypeTXT, Class: wire.ClassCH}
	r, err := dnsclient.Exchange(ctx, "udp", addr, question)
	if err == nil && r.Truncated() {
		r, err = dnsclient.Exchange(ctx, "tcp", addr, question)
	}
	if err != nil {
		return nil, err
	}
	var rec wire.Record
	for it := r.Records(); it.Next(&rec) && rec.Section == wire.Answer; {
		if rec.Type == wire.TypeTXT && r.Rcode == wire.RcodeSuccess && !r.Truncated() {
			return routelist.Parse(r.Msg[rec.Data:rec.End])
		}
	}
	return nil, errNoRoutes
}
