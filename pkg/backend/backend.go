// Package backend answers the server's three questions from the tree: which records
// a name has, which names an address has, and whether the data is complete. Use
// [New] for the cluster domain and [NewClusterSet] for the clusterset zone.
//
// A Backend adds to the tree what is not stored: names of Pods, wildcards, federated
// names, and the API server's own name until the data is loaded. It knows nothing
// about DNS messages, and leaves the zone's apex, SOA and NS to the server.
package backend

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/treecache"
)

// Config configures a Backend.
type Config struct {
	// Tree must not be nil. Its zone is the cluster domain.
	Tree *treecache.Tree
	// Synced reports whether the tree holds the whole cluster. It is called on
	// every question, from any goroutine, and must be cheap. nil means always.
	Synced func() bool
	// Wildcards makes a label "*" a wildcard; see [treecache.Snapshot.Match].
	Wildcards bool
	// TTL is that of the records which are made here, in whole seconds: it
	// should be the same as that of the stored ones.
	TTL time.Duration
	// Fallback is the API server's address as the kubelet passes it to every Pod
	// (KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT). Until the tree is synced
	// it is the answer for kubernetes.default.svc and its https port. With the
	// zero AddrPort there is no such answer.
	Fallback netip.AddrPort
}

// Backend answers for the names of the cluster domain. All methods are safe for
// concurrent use, and no answer waits for anything.
type Backend struct {
	tree      *treecache.Tree     // the records of the cluster
	synced    func() bool         // reports whether the tree is complete
	wildcards bool                // whether the label "*" matches any label
	ttl       uint32              // of the records that are made here, in seconds
	fallback  *treecache.Snapshot // nil when there is none

	svcZone dnsname.Name // svc.<zone>
	podZone dnsname.Name // pod.<zone>

	federations atomic.Pointer[map[string]dnsname.Name] // nil when there are none
	node        atomic.Pointer[nodePlace]               // the cluster's zone and region; nil if not known
}

// New returns a Backend. It starts nothing.
func New(cfg Config) *Backend {
	zone := cfg.Tree.Snapshot().Zone()
	b := &Backend{
		tree:      cfg.Tree,
		synced:    cfg.Synced,
		wildcards: cfg.Wildcards,
		ttl:       uint32(cfg.TTL / time.Second),
		svcZone:   "\x03svc" + zone,
		podZone:   "\x03pod" + zone,
	}
	if b.synced == nil {
		b.synced = func() bool { return true }
	}
	if cfg.Fallback.IsValid() {
		b.fallback = fallback(zone, cfg.Fallback, b.ttl)
	}
	return b
}

// HasSynced reports whether the whole cluster is known. Until then every answer but
// the fallback is Unavailable.
func (b *Backend) HasSynced() bool { return b.synced() }

// Records answers for a canonical wire name at or below the cluster domain. It keeps
// no reference to name. The answer stays valid whatever changes later. It does
// not depend on the type asked for: the caller picks the records of that type.
func (b *Backend) Records(name []byte) treecache.Answer {
	a, _ := b.Decide(name)
	return a
}

// Decide is Records, and says which rule decided.
func (b *Backend) Decide(name []byte) (treecache.Answer, Rule) {
	if !b.synced() {
		return b.unsynced(name), RuleUnsynced
	}
	if at, ok := dnsname.CutZone(name, b.podZone); ok {
		return b.pod(name, at), RulePod
	}
	a := b.tree.Lookup(name)
	if f := b.federations.Load(); f != nil {
		if federated, ok := b.federated(*f, name, a.Owner()); ok {
			return federated, RuleFederation
		}
	}
	if a.Status == treecache.Found {
		return a, RuleExact
	}
	// A name without "*" is never a pattern. kube-dns answers a namespace's own name
	// with its external names, but that name has no records (RFC 1034).
	if b.wildcards && hasWildcard(name) {
		if m := b.tree.Snapshot().Match(name, rand.Uint64()); m.Status == treecache.Found || m.Truncated {
			return m, RuleWildcard
		}
	}
	if a.Status == treecache.NoSuchName && string(name) == string(b.svcZone) {
		a.Status = treecache.NoRecords // it exists in every cluster, even in an empty one
	}
	return a, RuleExact
}

// Warm reads from memory what Records will need for names; see
// [treecache.Tree.Warm].
func (b *Backend) Warm(names [][]byte) (sum uint64) { return b.tree.Warm(names) }

// hasWildcard reports whether the name may have a label "*". The same octets inside
// a longer label do no harm, since Match compares whole labels.
func hasWildcard(name []byte) bool {
	return bytes.Contains(name, []byte("\x01*"))
}

// ReverseRecord answers with the names that claim addr, as the targets of its
// records, in answer order; see [treecache.Snapshot.Reverse]. NoSuchName means that
// the address does not belong to the cluster.
//
// The records are in *scratch, which grows as needed. A nil scratch allocates one.
func (b *Backend) ReverseRecord(addr netip.Addr, scratch *[]treecache.Record) treecache.Answer {
	if b.synced() {
		return b.tree.Reverse(addr, scratch)
	}
	if b.fallback != nil {
		if a := b.fallback.Reverse(addr, scratch); a.Status == treecache.Found {
			return a
		}
	}
	return treecache.Answer{Status: treecache.Unavailable}
}
