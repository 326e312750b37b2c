package wire

import (
	"encoding/binary"
	"sync"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// MaxLinks is the largest number of CNAME records that are followed from a question to
// its answer. It also ends CNAME loops.
const MaxLinks = 16

// A Chain with Long follows longLinks CNAME records if the reply has so few records that
// at most longWork of them are looked at.
const (
	longLinks = 64
	longWork  = 1 << 13
)

// Chain finds the records that answer a question among those in the answer section of
// a reply, in whatever order they stand. Set the options, call Follow, and read the
// results, which are valid until the next call. The time that it takes is linear in the
// size of the reply, even if the reply is malicious. The zero value is ready to use;
// reuse saves allocations. A Chain is not safe for concurrent use.
type Chain struct {
	// Signatures includes the RRSIG records of each RRset, directly after it.
	Signatures bool
	// Duplicates includes further CNAME records that equal an earlier one.
	Duplicates bool
	// Long follows more than MaxLinks CNAME records, up to 64, in replies with few records.
	Long bool

	// Records are the records in the order in which a client reads them: for each
	// alias the DNAME from which it was synthesized (RFC 6672 §3.1), if there is one,
	// and the CNAME; then the records that the question asked for.
	Records []Record
	// Records[Final:FinalEnd] are the records that the question asked for, with their
	// signatures. The range is empty in a negative answer.
	Final, FinalEnd int
	// End is the name that the aliases lead to, in canonical form.
	End []byte
	// Broken is true if the chain has too many links, perhaps a loop, or if a
	// name has different CNAME records, which RFC 2181 §10.1 forbids.
	Broken bool

	r       *Reply           // the reply passed to Follow
	answers []answerRecord   // the records of its answer section
	special int              // the number of RRSIG and DNAME records in answers
	tries   int              // how many more DNAME records may be compared
	name    [2][MaxName]byte // memory of End and of the next target
}

// answerRecord is one record of the answer section. Owners are compared by hash first,
// so most records of other names take only one comparison.
type answerRecord struct {
	hash   uint32 // of the owner's name
	offset uint16 // of the record in the message
	typ    uint16
	size   uint8 // of the owner's name; 0 if the class is not the question's
	taken  bool  // the record is part of the chain
}

// maxDNAMETries is how many DNAME records one Follow compares completely. A valid chain
// has at most one for each link.
const maxDNAMETries = 4 * MaxLinks

// Follow finds the records that answer the question in r for records of type
// typ at r.Name, which must not be nil.
func (c *Chain) Follow(r *Reply, typ uint16) {
	c.r, c.tries = r, maxDNAMETries
	c.Records, c.Broken, c.FinalEnd = c.Records[:0], false, 0
	c.index()
	limit := MaxLinks
	if c.Long && len(c.answers) > 0 {
		limit = max(MaxLinks, min(longLinks, longWork/len(c.answers)))
	}
	c.End = dnsname.AppendLower(c.name[0][:0], r.Name)
	for links := 0; ; links++ {
		alias := c.takeFinal(typ)
		switch {
		case c.FinalEnd > 0 || alias < 0 || typ == TypeANY:
			return
		case links == limit || c.answers[alias].taken || !c.takeLink(alias):
			c.Final, c.Broken = len(c.Records), true
			return
		}
	}
}

// index fills c.answers.
func (c *Chain) index() {
	c.answers, c.special = c.answers[:0], 0
	var (
		rec  Record
		buf  [MaxName]byte
		msg  = c.r.Msg
		last = -1 // the last owner that is only a pointer
		hash uint32
		size uint8
	)
	for it := c.r.Records(); it.Next(&rec) && rec.Section == Answer; {
		if to := pointerAt(msg, rec.Owner); to < 0 || to != last {
			name := appendKnownName(buf[:0], msg, rec.Owner)
			dnsname.Lower(name)
			hash, size, last = hashName(name), uint8(len(name)), to
		}
		a := answerRecord{hash: hash, offset: uint16(rec.Owner), typ: rec.Type, size: size}
		if rec.Class != c.r.Class {
			a.size = 0
		}
		if rec.Type == TypeRRSIG || rec.Type == TypeDNAME {
			c.special++
		}
		c.answers = append(c.answers, a)
	}
}

// isAt reports whether name, which has that hash, is the owner of answers[i].
func (c *Chain) isAt(i int, name []byte, hash uint32) bool {
	a := &c.answers[i]
	return a.hash == hash && int(a.size) == len(name) && EqualNameAt(c.r.Msg, int(a.offset), name)
}

// record returns the record of answers[i].
func (c *Chain) record(i int) (rec Record) {
	off := int(c.answers[i].offset)
	rec.fill(c.r.Msg, off, nameSkip(c.r.Msg, off))
	rec.Section = Answer
	return rec
}

// takeRecord appends the record of answers[i] to Records.
func (c *Chain) takeRecord(i int) {
	c.answers[i].taken = true
	c.Records = append(c.Records, c.record(i))
}

// takeFinal takes the records of type typ at End and sets FinalEnd. If there are none,
// FinalEnd remains 0, and alias is the index of the first CNAME at End, or -1.
func (c *Chain) takeFinal(typ uint16) (alias int) {
	hash := hashName(c.End)
	alias = -1
	c.Final = len(c.Records)
	for i := range c.answers {
		if a := &c.answers[i]; a.typ != typ && typ != TypeANY && a.typ != TypeCNAME || !c.isAt(i, c.End, hash) {
			continue
		}
		switch {
		case c.answers[i].typ != typ && typ != TypeANY:
			if alias < 0 {
				alias = i
			}
			continue
		case typ == TypeCNAME && len(c.Records) == c.Final:
			rec := c.record(i)
			target, _, _ := AppendCanonicalName(c.name[1][:0], c.r.Msg, rec.Data)
			c.takeDNAME(target)
			c.Final = len(c.Records)
		}
		c.takeRecord(i)
	}
	if len(c.Records) == c.Final {
		return alias
	}
	if typ != TypeANY {
		c.takeSignatures(c.End, typ)
	}
	c.FinalEnd = len(c.Records)
	return -1
}

// takeLink takes the CNAME answers[alias] and sets End to its target. It returns false
// if End has another CNAME with a different target.
func (c *Chain) takeLink(alias int) bool {
	hash := hashName(c.End)
	link := c.record(alias)
	target, _, _ := AppendCanonicalName(c.other(), c.r.Msg, link.Data)
	c.takeDNAME(target)
	at := len(c.Records)
	c.takeRecord(alias)
	for i := alias + 1; i < len(c.answers); i++ {
		if a := &c.answers[i]; a.taken || a.typ != TypeCNAME || !c.isAt(i, c.End, hash) {
			continue
		}
		rec := c.record(i)
		if !EqualNameAt(c.r.Msg, rec.Data, target) {
			return false
		}
		if c.Records[at].TTL = min(c.Records[at].TTL, rec.TTL); c.Duplicates {
			c.takeRecord(i)
		}
	}
	c.takeSignatures(c.End, TypeCNAME)
	c.End = target
	return true
}

// other returns the buffer of c.name that does not hold End.
func (c *Chain) other() []byte {
	if &c.End[0] == &c.name[0][0] {
		return c.name[1][:0]
	}
	return c.name[0][:0]
}

// takeSignatures takes the RRSIG records of the RRset of type covered at name.
func (c *Chain) takeSignatures(name []byte, covered uint16) {
	if !c.Signatures || c.special == 0 || covered == TypeRRSIG {
		return
	}
	hash := hashName(name)
	for i := range c.answers {
		if a := &c.answers[i]; a.typ == TypeRRSIG && !a.taken && c.isAt(i, name, hash) {
			rec := c.record(i)
			if binary.BigEndian.Uint16(c.r.Msg[rec.Data:]) == covered {
				c.takeRecord(i)
			}
		}
	}
}

// takeDNAME takes the DNAME that redirects End to target, if there is one. Other DNAME
// records are about other names.
func (c *Chain) takeDNAME(target []byte) {
	if c.special == 0 {
		return
	}
	var hashes [MaxName + 1]uint32 // of End's suffixes, by their size
	for i := range c.answers {
		a := &c.answers[i]
		size := int(a.size)
		if a.typ != TypeDNAME || a.taken || size == 0 || size >= len(c.End) {
			continue
		}
		above := c.End[len(c.End)-size:]
		if hashes[size] == 0 {
			hashes[size] = hashName(above)
		}
		if a.hash != hashes[size] {
			continue
		}
		if c.tries--; c.tries < 0 {
			return
		}
		rec := c.record(i)
		if redirects(c.r.Msg, &rec, above, c.End, target) {
			c.takeRecord(i)
			c.takeSignatures(above, TypeDNAME)
			return
		}
	}
}

// redirects reports whether rec is a DNAME with the owner above that redirects name to
// target (RFC 6672 §2.2).
func redirects(msg []byte, rec *Record, above, name, target []byte) bool {
	if !HasSuffix(name, above) || !EqualNameAt(msg, rec.Owner, above) {
		return false
	}
	var made [2 * MaxName]byte
	expected := append(made[:0], name[:len(name)-len(above)]...)
	return EqualNames(appendKnownName(expected, msg, rec.Data), target)
}

// arranger is the scratch memory of Arrange.
type arranger struct {
	chain   Chain
	builder Builder
}

var arrangers = sync.Pool{New: func() any { return new(arranger) }} //nolint:gochecknoglobals // a pool of scratch memory

// Arrange appends r to dst with the records of its answer section in the order in which
// clients read them: each alias before its target, and signatures after the records that
// they sign. DNS does not define an order between RRsets, but glibc's resolver reads an
// answer once from the beginning. Records that do not belong to the question follow in
// their own order. The OPT record is left out. r must be the reply to a question.
//
// Arrange returns dst unchanged if r is in order already, as almost all replies are, or
// if r does not fit into a message in another order.
func Arrange(dst []byte, r *Reply) []byte {
	if r.Name == nil || Count(r.Msg, Answer) < 2 {
		return dst
	}
	a := arrangers.Get().(*arranger)
	defer func() {
		a.chain.r = nil
		arrangers.Put(a)
	}()
	a.chain.Signatures, a.chain.Duplicates, a.chain.Long = true, true, true
	a.chain.Follow(r, r.Type)
	if !a.chain.moves() {
		return dst
	}
	return a.build(dst, r)
}

// moves reports whether the chain's order differs from the message's.
func (c *Chain) moves() bool {
	last := 0
	for i := range c.Records {
		if c.Records[i].Owner < last {
			return true
		}
		last = c.Records[i].Owner
	}
	for i := range c.answers {
		if !c.answers[i].taken && int(c.answers[i].offset) < last {
			return true
		}
	}
	return false
}

// build appends r in the order of a.chain to dst, or nothing if it does not fit.
func (a *arranger) build(dst []byte, r *Reply) []byte {
	b := &a.builder
	q := Query{ID: r.ID, Name: r.Name, Type: r.Type, Class: r.Class}
	b.Start(dst, &q, MaxMessage)
	for i := range a.chain.Records {
		if rec := &a.chain.Records[i]; !b.Copy(r.Msg, rec, rec.TTL) {
			return dst
		}
	}
	for i := range a.chain.answers {
		if rec := a.chain.record(i); !a.chain.answers[i].taken && !b.Copy(r.Msg, &rec, rec.TTL) {
			return dst
		}
	}
	var rec Record
	for it := r.Records(); it.Next(&rec); {
		if b.Open(rec.Section); rec.Section != Answer && !b.Copy(r.Msg, &rec, rec.TTL) {
			return dst
		}
	}
	out := b.Finish(OPT{})
	SetFlags(out[len(dst):], r.Flags)
	return out
}
