// Package replicas follows the replicas behind a headless Service (--server-replicas), so that
// dnscache asks each replica directly. With the cluster IP of a Service, the node's address
// translation would choose the replica instead.
//
// Use [New] with the servers that lead to the replicas, and let [Follower.Run] run. [Machine]
// decides when to look up the replicas, which server to ask for them, and how to use the answer.
package replicas

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// Config configures a [Follower].
type Config struct {
	// Replicas is --server-replicas.
	Replicas options.Replicas
	// Servers are the servers of the options, all with addresses.
	Servers []options.Server
	// Listening are the addresses on which this program listens, which cannot be those of a
	// replica.
	Listening []netip.AddrPort
	Logger    *slog.Logger
}

// Follower follows the replicas. The methods of a nil Follower do nothing.
type Follower struct {
	cfg       Config
	bootstrap []options.Server // the servers of the name's domain
	machine   Machine          // only Run uses it
	current   []netip.Addr     // the replicas that Expand uses
}

// New returns a follower of the replicas, or nil if --server-replicas is not given. It returns
// an error if no server leads to the replicas, if that server is this program itself, or if it
// is asked over TLS.
func New(cfg Config) (*Follower, error) {
	if cfg.Replicas.Name == "" {
		return nil, nil
	}
	f := &Follower{cfg: cfg, bootstrap: bootstrapOf(cfg.Servers, cfg.Replicas.Name)}
	if len(f.bootstrap) == 0 {
		return nil, fmt.Errorf("--server-replicas: no --server for %s; add --server=/DOMAIN/ADDRESS with the cluster IP of a Service of the same Pods", f.name())
	}
	own := func(a netip.Addr, port uint16) bool {
		return slices.Contains(cfg.Listening, netip.AddrPortFrom(a, port))
	}
	loopback := true
	for _, b := range f.bootstrap {
		switch {
		case b.TLS.Encrypted():
			return nil, fmt.Errorf("--server-replicas: %v is asked over TLS, and replicas cannot be", b)
		case own(b.Addr, b.Port):
			return nil, fmt.Errorf("--server-replicas: this program itself listens on %v; name the cluster IP of another Service of the same Pods in --server", b.Addr)
		}
		f.machine.Bootstrap = append(f.machine.Bootstrap, netip.AddrPortFrom(b.Addr, b.Port))
		loopback = loopback && b.Addr.IsLoopback()
	}
	f.machine.Port = f.port(f.bootstrap[0])
	f.machine.Valid = func(a netip.Addr) bool {
		return !own(a, f.machine.Port) && dnsname.IsUnicast(a) && (loopback || !a.IsLoopback())
	}
	seed := maphash.MakeSeed()
	f.machine.Rank = func(a netip.Addr) uint64 { return maphash.Comparable(seed, a) }
	return f, nil
}

// name returns the name that is followed, for messages.
func (f *Follower) name() string { return strings.TrimSuffix(f.cfg.Replicas.Name.String(), ".") }

// port returns the port on which replicas are asked instead of the server bootstrap.
func (f *Follower) port(bootstrap options.Server) uint16 {
	return cmp.Or(f.cfg.Replicas.Port, bootstrap.Port)
}

// bootstrapOf returns the servers of the longest domain that contains name, each once.
func bootstrapOf(servers []options.Server, name dnsname.Name) []options.Server {
	longest := -1
	var found []options.Server
	for _, s := range servers {
		length := 0
		switch {
		case s.Kind != options.ServerAsk:
			continue
		case s.Domain.Match == dnsname.MatchAll:
		case s.Domain.Match == dnsname.MatchSuffix && name.HasSuffix(s.Domain.Name):
			length = s.Domain.Name.Labels()
		default:
			continue
		}
		if length > longest {
			longest, found = length, nil
		}
		if same := func(o options.Server) bool { return o.Addr == s.Addr && o.Port == s.Port }; length == longest && !slices.ContainsFunc(found, same) {
			found = append(found, s)
		}
	}
	return found
}

// Expand returns a list of servers in which each server that leads to the replicas is followed
// by the replicas of its address family. That server is then asked only if no replica answers.
// servers does not change.
func (f *Follower) Expand(servers []options.Server) []options.Server {
	if f == nil {
		return servers
	}
	var out []options.Server
	for _, s := range servers {
		leads := func(b options.Server) bool { return b.Addr == s.Addr && b.Port == s.Port && !s.TLS.Encrypted() }
		if s.Kind != options.ServerAsk || !slices.ContainsFunc(f.bootstrap, leads) {
			out = append(out, s)
			continue
		}
		s.Role = options.ReserveServer
		out = append(out, s)
		for _, addr := range f.current {
			if addr.Is4() == s.Addr.Is4() {
				replica := s
				replica.Addr, replica.Port, replica.Role = addr, f.port(s), options.ReplicaServer
				out = append(out, replica)
			}
		}
	}
	return out
}

// Run looks up the replicas until ctx ends. Each time they change, it calls publish with a
// function that passes the new replicas to Expand. publish must arrange that this function is
// called, and never while Expand runs.
func (f *Follower) Run(ctx context.Context, publish func(change func())) {
	if f == nil {
		return
	}
	event := Event{Kind: Tick}
	for {
		asked := false
		for _, a := range f.machine.Step(time.Now(), event) {
			switch a.Do {
			case Ask:
				asked = true
				event = f.ask(ctx, a.Server)
			case Use:
				f.cfg.Logger.Info("replicas of the cluster's DNS service", "name", f.name(), "replicas", a.Addrs)
				publish(func() { f.current = a.Addrs })
			case Report:
				f.report(a.Problem)
			}
		}
		if ctx.Err() != nil {
			return
		}
		if asked {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(f.machine.Due())):
			event = Event{Kind: Tick}
		}
	}
}

func (f *Follower) report(p Problem) {
	log := f.cfg.Logger.With("name", f.name())
	if p == None {
		log.Info("replicas found again")
		return
	}
	log.Warn("cannot follow replicas", "reason", string(p))
}

// ask asks a server for the addresses of the name, in the address families of the bootstrap
// servers.
func (f *Follower) ask(ctx context.Context, server netip.AddrPort) Event {
	overTCP := f.bootstrap[0].TLS.Clear
	all, err := answer{ttl: MaxTTL}, errors.New("not asked")
	for _, family := range []struct {
		is4   bool
		qtype uint16
	}{{true, wire.TypeA}, {false, wire.TypeAAAA}} {
		if !slices.ContainsFunc(f.bootstrap, func(b options.Server) bool { return b.Addr.Is4() == family.is4 }) {
			continue
		}
		var a answer
		if a, err = lookUp(ctx, server, overTCP, f.cfg.Replicas.Name, family.qtype); err != nil {
			break
		}
		all.addrs = append(all.addrs, a.addrs...)
		if len(a.addrs) > 0 {
			all.ttl = min(all.ttl, a.ttl)
		}
	}
	if err != nil {
		f.cfg.Logger.Debug("looking up replicas failed", "server", server, "error", err)
		return Event{Kind: Failed}
	}
	return Event{Kind: Answered, Addrs: all.addrs, TTL: all.ttl, Jitter: rand.Float64()}
}
