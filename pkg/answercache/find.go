package answercache

import (
	"slices"

	"github.com/kube-dns/kube-dns/pkg/wire"
)

// Find returns the entries that a Lookup of q at the time now would examine, without changing
// anything. These are the entry of the question itself, the entry which says that the name does
// not exist and, with Config.NXDomainCut, an entry which says so about a name above. There may
// be none.
func (c *Cache) Find(q *wire.Query, now int64) []Item {
	if c == nil {
		return nil
	}
	var buf [MaxKey]byte
	key := AppendKey(buf[:0], q)
	items := c.findAt(nil, key, now, false)
	valid := slices.ContainsFunc(items, func(i Item) bool { return now < i.Expires })
	for name := key[:len(q.Name)]; c.cfg.NXDomainCut && !valid && len(name) > 1; {
		n := int(name[0]) + 1
		if name, key = name[n:], key[n:]; len(name) > 1 {
			before := len(items)
			items = c.findAt(items, key, now, true)
			valid = len(items) > before
		}
	}
	return items
}

// findAt appends the entries for one key. If above is true, it appends only a valid entry which
// says that the name does not exist.
func (c *Cache) findAt(items []Item, key []byte, now int64, above bool) []Item {
	hash, at := c.locate(key)
	s := c.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	own, nx := s.table.Load().find(key, at, forgotten)
	if above {
		if own, nx = nil, best(own, nx, now); nx != nil && nx.flags&kindNX == 0 {
			return items
		}
	}
	for _, e := range [...]*entry{own, nx} {
		if e == nil {
			continue
		}
		item := e.item()
		item.Dead = s.dead(e, now)
		items = append(items, item)
	}
	return items
}
