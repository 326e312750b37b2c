package treecache

import (
	"cmp"
	"hash/maphash"
)

// claimants are the owners of one address, in answer order, as a persistent
// treap: a search tree by the order of claims that is a heap by a seeded hash of
// their paths. So whatever owners there are, a change copies as many nodes as
// the logarithm of their number, and the first ones are found without a look at
// the others. Equal contents have equal shape. nil has none.
type claimants struct {
	claim       *claim
	left, right *claimants
	size        int32
	weight      uint32 // of the path; none below has more
}

func (t *claimants) len() int {
	if t == nil {
		return 0
	}
	return int(t.size)
}

// with returns t with other nodes below.
func (t *claimants) with(left, right *claimants) *claimants {
	return &claimants{
		claim: t.claim, weight: t.weight, left: left, right: right,
		size: int32(1 + left.len() + right.len()),
	}
}

// has reports whether c is there.
func (t *claimants) has(c *claim) bool {
	for t != nil {
		switch order := c.compare(t.claim); {
		case order == 0:
			return true
		case order < 0:
			t = t.left
		default:
			t = t.right
		}
	}
	return false
}

// inserted returns t and c, which is not there yet.
func (t *claimants) inserted(c *claim, seed maphash.Seed) *claimants {
	n := &claimants{claim: c, weight: uint32(maphash.String(seed, string(c.path))), size: 1}
	return t.insertedNode(n)
}

func (t *claimants) insertedNode(n *claimants) *claimants {
	switch {
	case t == nil:
		return n
	case n.weight > t.weight:
		return n.with(t.split(n.claim))
	case n.claim.compare(t.claim) < 0:
		return t.with(t.left.insertedNode(n), t.right)
	}
	return t.with(t.left, t.right.insertedNode(n))
}

// split returns those before c and those after it.
func (t *claimants) split(c *claim) (before, after *claimants) {
	switch {
	case t == nil:
		return nil, nil
	case c.compare(t.claim) < 0:
		before, after = t.left.split(c)
		return before, t.with(after, t.right)
	}
	before, after = t.right.split(c)
	return t.with(t.left, before), after
}

// removed returns t without c, which is there.
func (t *claimants) removed(c *claim) *claimants {
	switch order := c.compare(t.claim); {
	case order == 0:
		return joined(t.left, t.right)
	case order < 0:
		return t.with(t.left.removed(c), t.right)
	}
	return t.with(t.left, t.right.removed(c))
}

// joined returns both, where all of left are before all of right.
func joined(left, right *claimants) *claimants {
	switch {
	case left == nil:
		return right
	case right == nil:
		return left
	case left.weight > right.weight:
		return left.with(left.left, joined(left.right, right))
	}
	return right.with(joined(left, right.left), right.right)
}

// each calls yield for the claims in order until it returns false, and reports
// whether it went through.
func (t *claimants) each(yield func(*claim) bool) bool {
	return t == nil || t.left.each(yield) && yield(t.claim) && t.right.each(yield)
}

// compare orders the claims of an address: virtual addresses first, which the
// API server gives to one Service only; then the older Service, so that nobody
// comes before another by making a Service later; then by path.
func (c *claim) compare(o *claim) int {
	return cmp.Or(cmp.Compare(c.rank(), o.rank()), cmp.Compare(c.created, o.created), cmp.Compare(c.path, o.path))
}

func (c *claim) rank() int {
	if c.kind == ClusterIP {
		return 0
	}
	return 1
}
