package forwarder

import (
	"errors"
	"maps"
	"net/netip"
	"time"

	"github.com/kube-dns/kube-dns/pkg/answercache"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/routelist"
	"github.com/kube-dns/kube-dns/pkg/upstream"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// When the routing table changes, answers from the previous servers must not remain: exactly
// the cache entries whose route has changed are removed, and a question in flight whose route has
// changed is asked again. The same applies to the routing tables of upstream servers that publish
// them (package routelist). dnscache and kubedns notice a change of the configuration at different
// times, so dnscache waits until kubedns publishes it.
//
// The order matters. A change first becomes visible (in the set's table, or in f.remote); then
// entries are purged, which begins a new epoch of the cache. A question gets its epoch before its
// servers are chosen, so the answer of a previous server is not stored.

// remoteRoutes holds the routing tables of upstream servers, by address. It never changes.
type remoteRoutes map[netip.AddrPort]*routelist.List

// routing holds the routing tables by which servers are chosen.
type routing struct {
	table  *upstream.Table
	remote *remoteRoutes
}

// routing returns the current routing tables.
func (f *Forwarder) routing() routing {
	return routing{f.set.Table(), f.remote.Load()}
}

// moved reports whether a question about name, in canonical form, now goes to other servers than
// with old: either from here, or from the upstream server that it goes to.
func (f *Forwarder) moved(old routing, name []byte, qtype uint16) bool {
	now := f.routing()
	if now == old {
		return false
	}
	was, is := old.table.Lookup(name, qtype), now.table.Lookup(name, qtype)
	return !was.Same(is) || is.Kind == upstream.Ask && movedBeyond(old.remote, now.remote, is.Group, name)
}

// movedBeyond reports whether a server of g that publishes its routes now asks other servers for
// name. If a server publishes them for the first time, all names except its own count as moved.
func movedBeyond(old, now *remoteRoutes, g *upstream.Group, name []byte) bool {
	if old == now {
		return false
	}
	for _, addr := range g.GroupServers() {
		if was, is := (*old)[addr], (*now)[addr]; was != is && is != nil &&
			(was == nil && is.Match(name) != routelist.Own || was != nil && was.Match(name) != is.Match(name)) {
			return true
		}
	}
	return false
}

// outdated reports whether the reply to a flight's question can no longer be used because routes
// have changed: the route of the question's name or, if a server that publishes its routes
// followed aliases, the route of a target.
func (fl *flight) outdated(reply *wire.Reply) bool {
	f := fl.f
	if f.routing() == fl.routes {
		return false
	}
	var buf [wire.MaxName]byte
	name := dnsname.AppendLower(buf[:0], fl.name[:fl.nlen])
	if f.moved(fl.routes, name, fl.typ) {
		return true
	}
	d := f.set.Table().Lookup(name, fl.typ)
	return reply != nil && d.Kind == upstream.Ask && targetsMoved(fl.routes.remote, f.remote.Load(), d.Group, reply)
}

// targetsMoved is movedBeyond for the targets of aliases in a reply.
func targetsMoved(old, now *remoteRoutes, g *upstream.Group, r *wire.Reply) bool {
	if old == now {
		return false
	}
	var (
		rec wire.Record
		buf [wire.MaxName]byte
	)
	for it := r.Records(); it.Next(&rec) && rec.Section == wire.Answer; {
		if rec.Type != wire.TypeCNAME {
			continue
		}
		target, _, ok := wire.AppendName(buf[:0], r.Msg, rec.Data)
		if ok && movedBeyond(old, now, g, dnsname.AppendLower(target[:0], target)) {
			return true
		}
	}
	return false
}

// splits reports whether some names below name, which is in canonical form, have other servers
// than name itself. If so, an answer that name does not exist says nothing about the names
// below it.
func (r routing) splits(name []byte) bool {
	if r.table.Below(name) {
		return true
	}
	for _, l := range *r.remote {
		if l.Below(name) {
			return true
		}
	}
	return false
}

// maxAskAgain is the age up to which a question is asked again because its route has changed. After
// that, its client will have given up.
const maxAskAgain = 2 * time.Second

// errMoved means that other servers must be asked.
var errMoved = errors.New("the servers for this name have changed")

// askAgain sends the question to the current servers, for the same waiters. It reports whether it
// did; a question is asked again at most once.
func (fl *flight) askAgain(s *answerSink) bool {
	f := fl.f
	if fl.again || f.now()-fl.began > int64(maxAskAgain) {
		return false
	}
	var name, key [wire.MaxName]byte // copies, because fl may end before Send returns
	n := copy(name[:], fl.name[:fl.nlen])
	fl.asked = f.state.Load().cache.Epoch() // before the servers are chosen
	routes := f.routing()
	d := routes.table.Lookup(dnsname.AppendLower(key[:0], name[:n]), fl.typ)
	if d.Kind != upstream.Ask {
		return false
	}
	fl.again, fl.routes = true, routes
	s.asked = true
	question := fl.toSend(name[:n])
	f.set.Send(d.Group, &question, 0, fl)
	return true
}

// purge removes the cache entries whose route differs from that in old.
func (f *Forwarder) purge(st *snapshot, old routing) {
	now := f.routing()
	if now == old || st.cache == nil {
		return
	}
	remote, cut := old.remote != now.remote, st.cfg.Cache.NXDomainCut
	f.purged.Add(uint64(st.cache.Purge(func(name []byte, qtype uint16) bool {
		if cut && now.splits(name) {
			return false
		}
		was, is := old.table.Lookup(name, qtype), now.table.Lookup(name, qtype)
		return was.Same(is) && (is.Kind != upstream.Ask || !remote || !movedBeyond(old.remote, now.remote, is.Group, name))
	})))
	if remote {
		f.purgeTargets(st, old, now)
	}
}

// purgeTargets removes the entries in which a server that publishes its routes followed an alias to
// a name for which it now asks other servers.
func (f *Forwarder) purgeTargets(st *snapshot, old, now routing) {
	type key struct {
		name  string
		qtype uint16
	}
	var msg []byte
	gone := map[key]bool{}
	st.cache.Each(func(item answercache.Item) bool {
		d := now.table.Lookup(item.Name, item.Type)
		if item.Answers == 0 || d.Kind != upstream.Ask {
			return true
		}
		var r wire.Reply
		msg = item.AppendMessage(msg[:0])
		if wire.ParseReply(msg, &r) && targetsMoved(old.remote, now.remote, d.Group, &r) {
			gone[key{string(item.Name), item.Type}] = true
		}
		return true
	})
	if len(gone) == 0 {
		return
	}
	f.purged.Add(uint64(st.cache.Purge(func(name []byte, qtype uint16) bool { return !gone[key{string(name), qtype}] })))
}

// setRemote applies a server's routes. If list is nil, it removes them.
func (f *Forwarder) setRemote(server netip.AddrPort, list *routelist.List) {
	f.reload.Lock()
	defer f.reload.Unlock()
	old := f.routing()
	next := maps.Clone(*old.remote)
	if list == nil {
		delete(next, server)
	} else {
		next[server] = list
	}
	f.remote.Store(&next)
	f.purge(f.state.Load(), old)
}
