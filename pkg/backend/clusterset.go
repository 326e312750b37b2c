package backend

import (
	"net/netip"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/treecache"
)

// ClusterSet answers for the names of a clusterset zone: those of the Multi-Cluster
// Services specification and no others. It has no wildcards, Pods or federations, and
// it claims no address. All methods are safe for concurrent use, and no answer waits
// for anything.
type ClusterSet struct {
	tree    *treecache.Tree
	synced  func() bool
	svcZone dnsname.Name
}

// NewClusterSet returns what answers from tree, whose zone is the clusterset zone.
// synced reports whether the tree holds every ServiceImport; until then every answer
// is Unavailable. It is called on every question and must be cheap.
func NewClusterSet(tree *treecache.Tree, synced func() bool) *ClusterSet {
	return &ClusterSet{tree: tree, synced: synced, svcZone: "\x03svc" + tree.Snapshot().Zone()}
}

// HasSynced reports whether every ServiceImport is known.
func (c *ClusterSet) HasSynced() bool { return c.synced() }

// Snapshot returns the records of the zone.
func (c *ClusterSet) Snapshot() *treecache.Snapshot { return c.tree.Snapshot() }

// Records answers for a canonical wire name at or below the clusterset zone, as
// [Backend.Records] does for the cluster domain.
func (c *ClusterSet) Records(name []byte) treecache.Answer {
	if !c.synced() {
		return treecache.Answer{Status: treecache.Unavailable}
	}
	a := c.tree.Lookup(name)
	if a.Status == treecache.NoSuchName && string(name) == string(c.svcZone) {
		a.Status = treecache.NoRecords // it exists even without any import
	}
	return a
}

// ReverseRecord answers that no address belongs to the zone.
func (c *ClusterSet) ReverseRecord(netip.Addr, *[]treecache.Record) treecache.Answer {
	return treecache.Answer{}
}

// Warm reads from memory what Records will need for names.
func (c *ClusterSet) Warm(names [][]byte) (sum uint64) { return c.tree.Warm(names) }
