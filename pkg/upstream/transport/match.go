package transport

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"time"

	"github.com/kube-dns/kube-dns/pkg/wire"
)

// append appends c's message to dst.
func (c *Call) append(dst []byte) []byte {
	q := c.Question
	var opt *wire.OPT
	if c.EDNS {
		opt = &wire.OPT{Size: q.Payload, DO: q.DO}
		if len(q.Options) > 0 {
			opt.Raw = q.Options
		}
	}
	return wire.AppendQuery(dst, c.id, q.Flags, wire.Subject{Name: q.Name, Type: q.Type, Class: q.Class}, opt)
}

// padTo is the block size to a multiple of which questions over TLS are padded (RFC 8467 §4.1).
const padTo = 128

// appendPadded appends c's message to dst with the EDNS options for TLS, the padding last.
func (c *Call) appendPadded(dst []byte) []byte {
	start := len(dst)
	dst = c.append(dst)
	if !c.EDNS {
		return dst
	}
	options := len(c.Question.Options)
	length := len(dst) - options - 2 // OPT is the last record
	dst = append(dst, 0, byte(wire.OptionKeepalive), 0, 0, 0, byte(wire.OptionPadding), 0, 0)
	pad := -(len(dst) - start) & (padTo - 1)
	dst[len(dst)-1] = byte(pad)
	dst = append(dst, zeros[:pad]...)
	binary.BigEndian.PutUint16(dst[length:], uint16(len(dst)-length-2))
	return dst
}

var zeros [padTo]byte //nolint:gochecknoglobals // a constant

// Note reads from r, a reply to c, how long the connection may stay open (RFC 7828 §3.2.2).
// It may be called only during the event that delivers r.
func (c *Call) Note(r *wire.Reply) {
	s := c.stream
	if s == nil || s.pool.secure == nil || len(r.EDNS.Options) == 0 {
		return
	}
	if data, ok := wire.Option(r.EDNS.Options, wire.OptionKeepalive); ok && len(data) == 2 {
		s.keepAlive(time.Duration(binary.BigEndian.Uint16(data)) * 100 * time.Millisecond)
	}
}

// roomFor returns an upper bound of the size of c's message in octets: header, name, type and
// class, OPT record.
func (c *Call) roomFor() int {
	return wire.HeaderLen + len(c.Question.Name) + 4 + 11 + len(c.Question.Options)
}

// matches reports whether msg, whose ID and QR bit are known to be right, repeats the
// question; the case of letters does not matter. A bare header also matches: a server that
// does not understand EDNS may answer with one.
func (c *Call) matches(msg []byte) bool {
	q := c.Question
	if msg[2]&0x78 != 0 { // opcode
		return false
	}
	if binary.BigEndian.Uint16(msg[4:]) == 0 {
		rcode := int(msg[3] & 0xf)
		return c.EDNS && len(msg) == wire.HeaderLen && (rcode == wire.RcodeFormErr || rcode == wire.RcodeNotImp)
	}
	end := wire.HeaderLen + len(q.Name)
	return binary.BigEndian.Uint16(msg[4:]) == 1 && len(msg) >= end+4 &&
		binary.BigEndian.Uint16(msg[end:]) == q.Type && binary.BigEndian.Uint16(msg[end+2:]) == q.Class &&
		wire.EqualNames(msg[wire.HeaderLen:end], q.Name) && q.agrees(msg)
}

// agrees reports whether the client subnet in a reply is the one that was sent; another one
// is a sign of forgery (RFC 7871 §7.3). A reply without the option agrees too: its server
// does not support it.
func (q *Question) agrees(msg []byte) bool {
	if len(q.Options) == 0 {
		return true
	}
	sent, ok := wire.Option(q.Options, wire.OptionECS)
	var r wire.Reply
	if !ok || !wire.ParseReply(msg, &r) {
		return true
	}
	got, ok := wire.Option(r.EDNS.Options, wire.OptionECS)
	if !ok {
		return true
	}
	// Octet 3 is the scope, which is 0 in queries.
	return len(got) == len(sent) && bytes.Equal(got[:3], sent[:3]) && bytes.Equal(got[4:], sent[4:])
}

// The case of each letter in a question is chosen at random, and a reply must repeat it, so
// that a forger has to guess it too (draft-vixie-dnsext-dns0x20, dnsmasq's --do-0x20-encode).

// mixCase changes the case of those letters of a wire name whose bit is set in mix. After 64
// letters it starts again with the first bit.
func mixCase(name []byte, mix uint64) {
	left := 0 // of the label
	for i, c := range name {
		if left == 0 {
			left = int(c)
			continue
		}
		left--
		if letter(c) {
			name[i] = c ^ byte(mix&1)<<5
			mix = bits.RotateLeft64(mix, -1)
		}
	}
}

// mixedAs reports whether got is what mixCase makes of name.
func mixedAs(got, name []byte, mix uint64) bool {
	left := 0
	for i, c := range name {
		if left == 0 {
			left = int(c)
		} else if left--; letter(c) {
			c ^= byte(mix&1) << 5
			mix = bits.RotateLeft64(mix, -1)
		}
		if got[i] != c {
			return false
		}
	}
	return true
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// spelled reports whether msg, a reply that matches c, repeats the case that was sent. A
// reply without a question does not.
func (c *Call) spelled(msg []byte) bool {
	n := wire.HeaderLen + len(c.Question.Name)
	return !c.Mixed || wire.Count(msg, wire.Question) == 0 || mixedAs(msg[wire.HeaderLen:n], c.Question.Name, c.mix)
}

// asAsked restores the client's spelling in the question of a reply to c.
func (c *Call) asAsked(msg []byte) {
	if c.Mixed && wire.Count(msg, wire.Question) == 1 {
		copy(msg[wire.HeaderLen:], c.Question.Name)
	}
}

// RestoreOwners also restores the client's spelling in those owner names of r that are
// written out in full. If it returns true, it has changed r.Msg, which must then be parsed
// again, because other names may point into the changed ones.
func (c *Call) RestoreOwners(r *wire.Reply) (changed bool) {
	if !c.Mixed {
		return false
	}
	name := c.Question.Name
	var rec wire.Record
	for it := r.Records(); it.Next(&rec); {
		// Only an owner name that is written out takes this many octets before the type.
		if rec.TTLAt-4-rec.Owner != len(name) {
			continue
		}
		owner := r.Msg[rec.Owner : rec.Owner+len(name)]
		if string(owner) != string(name) && wire.EqualNames(owner, name) {
			copy(owner, name)
			changed = true
		}
	}
	return changed
}
