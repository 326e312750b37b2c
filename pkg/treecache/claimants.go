package treecache

import (
	"cmp"
	"hash/maphash"
)

// claimants holds the owners of one address, in answer order, as a persistent treap: a search
// tree by the order of claims that is also a heap by a seeded hash of their paths. Whatever
// the owners are, a change copies a number of nodes that is logarithmic in the number of
// owners, and the first owners are found without visiting the others. Equal contents have
// equal shapes. nil is empty.
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

// with returns a copy of t with other children.
func (t *claimants) with(left, right *claimants) *claimants {
	return &claimants{
		claim: t.claim, weight: t.weight, left: left, right: right,
		size: int32(1 + left.len() + right.len()),
	}
}

// has reports whether t contains c.
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

// inserted returns t with c, which t must not contain yet.
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

// split returns the claims of t before c and those after c.
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

// removed returns t without c, which t must contain.
func (t *claimants) removed(c *claim) *claimants {
	switch order := c.compare(t.claim); {
	case order == 0:
		return joined(t.left, t.right)
	case order < 0:
		return t.with(t.left.removed(c), t.right)
	}
	return t.with(t.left, t.right.removed(c))
}

// joined returns the union of both. All claims of left must be before those of right.
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

// each calls yield for the claims in order until yield returns false. It returns true if
// yield never did.
func (t *claimants) each(yield func(*claim) bool) bool {
	return t == nil || t.left.each(yield) && yield(t.claim) && t.right.each(yield)
}

// compare orders the claims of an address. First come virtual addresses, which the API server
// gives to one Service only; then the older Service, so that nobody can get in front by
// creating a Service later; then the lesser path.
func (c *claim) compare(o *claim) int {
	return cmp.Or(cmp.Compare(c.rank(), o.rank()), cmp.Compare(c.created, o.created), cmp.Compare(c.path, o.path))
}

func (c *claim) rank() int {
	if c.kind == ClusterIP {
		return 0
	}
	return 1
}
