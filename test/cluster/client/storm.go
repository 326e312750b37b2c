package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// The behaviour of resolvers: they wait for five seconds and ask once more. After a refusal,
// the client asks again after stormPause.
const (
	stormPatience = 5 * time.Second
	stormPause    = 50 * time.Millisecond
)

// stormed counts the outcomes of the queries to one server.
type stormed struct {
	Asked  int            `json:"asked"`
	Lost   int            `json:"lost"`   // got no good answer at the first try
	Failed int            `json:"failed"` // nor at the second
	First  int64          `json:"first"`  // when the first and the last lost one were sent, in Unix milliseconds
	Last   int64          `json:"last"`
	Why    map[string]int `json:"why"` // what became of the lost ones
}

// storms is the state of storm.
type storms struct {
	mu      sync.Mutex
	servers map[string]*stormed
	pending map[int]time.Time // by number, when it was sent
}

// storm sends a query every interval, to the comma-separated servers in turn, each from its
// own socket. Three of four queries are for a name that caches have, the fourth is for a new
// name. Five times a second it prints one line of JSON with the totals and the age of the
// oldest query without an outcome.
func storm(ctx context.Context, args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("storm needs an interval and servers")
	}
	interval, err := time.ParseDuration(args[0])
	if err != nil {
		return err
	}
	servers := strings.Split(args[1], ",")
	s := &storms{servers: map[string]*stormed{}, pending: map[int]time.Time{}}
	for _, server := range servers {
		s.servers[server] = &stormed{Why: map[string]int{}}
	}
	tick, sums := time.NewTicker(interval), time.NewTicker(200*time.Millisecond)
	defer tick.Stop()
	defer sums.Stop()
	for n := 0; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-sums.C:
			s.print()
			continue
		case <-tick.C:
		}
		server := servers[n%len(servers)]
		name := "kubernetes.default.svc.cluster.local."
		if n/len(servers)%4 == 0 { // the address of a Pod, which kubedns computes
			name = fmt.Sprintf("10-%d-%d-%d.default.pod.cluster.local.", n>>16&0xff, n>>8&0xff, n&0xff)
		}
		go s.ask(n, server, name)
		n++
	}
}

func (s *storms) ask(n int, server, name string) {
	sent := time.Now()
	s.mu.Lock()
	s.pending[n] = sent
	s.servers[server].Asked++
	s.mu.Unlock()
	first := stormOnce(server, name)
	second := ""
	if first != "" {
		time.Sleep(stormPause)
		second = stormOnce(server, name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.pending, n)
	if first == "" {
		return
	}
	at := s.servers[server]
	at.Lost++
	at.Why[first]++
	if ms := sent.UnixMilli(); at.First == 0 || ms < at.First {
		at.First = ms
	}
	at.Last = max(at.Last, sent.UnixMilli())
	if second != "" {
		at.Failed++
		at.Why["again: "+second]++
	}
}

func (s *storms) print() {
	s.mu.Lock()
	defer s.mu.Unlock()
	oldest := time.Duration(0)
	for _, sent := range s.pending {
		oldest = max(oldest, time.Since(sent))
	}
	_ = json.NewEncoder(os.Stdout).Encode(map[string]any{
		"at": time.Now().UnixMilli(), "oldest": oldest.Milliseconds(), "servers": s.servers,
	})
}

// stormOnce returns why there was no good answer, or "" if there was one.
func stormOnce(server, name string) string {
	q := new(dns.Msg)
	q.SetQuestion(name, dns.TypeA)
	m, _, err := (&dns.Client{Timeout: stormPatience}).Exchange(q, net.JoinHostPort(server, "53"))
	switch {
	case err != nil && strings.Contains(err.Error(), "refused"):
		return "refused"
	case err != nil && strings.Contains(err.Error(), "timeout"):
		return "no answer"
	case err != nil:
		return err.Error()
	case m.Rcode != dns.RcodeSuccess || len(m.Answer) == 0:
		return dns.RcodeToString[m.Rcode]
	}
	return ""
}
