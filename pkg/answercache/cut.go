package answercache

import "github.com/kube-dns/kube-dns/pkg/wire"

// cut appends an answer that q's name does not exist, if the cache holds such an answer about a
// name above it (RFC 8020 §2). key is the key of q. If ok is false, nothing was appended.
func (c *Cache) cut(dst []byte, q *wire.Query, key []byte, now int64) (out []byte, ok bool) {
	name := key[:len(q.Name)]
	for len(name) > 1 {
		n := int(name[0]) + 1
		name, key = name[n:], key[n:]
		if len(name) == 1 {
			break // the root always exists
		}
		hash, at := c.locate(key)
		own, nx := c.shard(hash).table.Load().find(key, at, now)
		if e := best(own, nx, now); e != nil && e.flags&kindNX != 0 {
			e.visit()
			return c.appendBelow(dst, q, name, e, now)
		}
	}
	return dst, false
}

// appendBelow appends e, an answer about a name above that of q, as the answer to q. The names
// in it are compressed against the question of e, so they are written again.
func (c *Cache) appendBelow(dst []byte, q *wire.Query, above []byte, e *entry, now int64) (out []byte, ok bool) {
	s := c.pool.Get().(*scratch)
	defer s.release(&c.pool)
	bare := *q
	bare.EDNS = wire.EDNS{DO: q.EDNS.DO}
	bare.Name = above
	msg := e.append(s.buf[:0], &bare, now, false, &c.cfg)
	if cap(msg) <= maxScratch {
		s.buf = msg
	}
	if !wire.ParseReply(msg, &s.msg) {
		return dst, false
	}
	bare.Name = q.Name
	base := len(dst)
	s.builder.Start(dst, &bare, wire.MaxMessage)
	s.builder.SetRcode(wire.RcodeNXDomain)
	var rec wire.Record
	for it := s.msg.Records(); it.Next(&rec); {
		s.builder.Open(rec.Section)
		if !s.builder.Copy(msg, &rec, rec.TTL) {
			return dst, false
		}
	}
	out = s.builder.Finish(wire.OPT{})
	wire.SetFlags(out[base:], wire.Flags(out[base:])|s.msg.Flags&wire.FlagAD)
	return out, true
}
