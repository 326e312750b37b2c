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

// EDNS options of questions over TLS.
const (
	optionKeepAlive = 11 // RFC 7828
	optionPadding   = 12 // RFC 7830
	// padTo is what the lengths of questions are multiples of, RFC 8467 §4.1.
	padTo = 128
)

// appendPadded appends c's message to dst with the options that belong on TLS,
// padding last.
func (c *Call) appendPadded(dst []byte) []byte {
	start := len(dst)
	dst = c.append(dst)
	if !c.EDNS {
		return dst
	}
	options := len(c.Question.Options)
	length := len(dst) - options - 2 // OPT is the last record
	dst = append(dst, 0, optionKeepAlive, 0, 0, 0, optionPadding, 0, 0)
	pad := -(len(dst) - start) & (padTo - 1)
	dst[len(dst)-1] = byte(pad)
	dst = append(dst, zeros[:pad]...)
	binary.BigEndian.PutUint16(dst[length:], uint16(len(dst)-length-2))
	return dst
}

var zeros [padTo]byte //nolint:gochecknoglobals // a constant

// Note learns from a reply to c how long its connection may stay open
// (RFC 7828 §3.2.2). It may be called only within the event that brings r.
func (c *Call) Note(r *wire.Reply) {
	s := c.stream
	if s == nil || s.pool.secure == nil || len(r.EDNS.Options) == 0 {
		return
	}
	if data, ok := wire.Option(r.EDNS.Options, optionKeepAlive); ok && len(data) == 2 {
		s.keepAlive(time.Duration(binary.BigEndian.Uint16(data)) * 100 * time.Millisecond)
	}
}

// roomFor is at least the size of c's message: header, name, type and class,
// OPT record.
func (c *Call) roomFor() int {
	return wire.HeaderLen + len(c.Question.Name) + 4 + 11 + len(c.Question.Options)
}

// matches reports whether msg, whose id and QR are right, repeats the question
// in any case. A server that does not understand EDNS may answer with a bare
// header.
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

// optionSubnet is the client subnet option (RFC 7871 §6).
const optionSubnet = 8

// agrees reports whether a client subnet in a reply is the one that was sent;
// another one is a sign of forgery (RFC 7871 §7.3). A reply without any is that
// of a server that does not know the option.
func (q *Question) agrees(msg []byte) bool {
	if len(q.Options) == 0 {
		return true
	}
	sent, ok := wire.Option(q.Options, optionSubnet)
	var r wire.Reply
	if !ok || !wire.ParseReply(msg, &r) {
		return true
	}
	got, ok := wire.Option(r.EDNS.Options, optionSubnet)
	if !ok {
		return true
	}
	// Octet 3 is the scope, which is 0 in queries.
	return len(got) == len(sent) && bytes.Equal(got[:3], sent[:3]) && bytes.Equal(got[4:], sent[4:])
}

// The case of letters in a question is drawn at random, and a reply has to
// repeat it: one more thing that a forger has to guess
// (draft-vixie-dnsext-dns0x20, dnsmasq's --do-0x20-encode).

// mixCase changes the case of the letters of a wire name for which mix has a
// bit, beginning anew after 64 letters.
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

// mixedAs reports whether got is name as mixCase changes it.
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

// spelled reports whether a reply that matches c repeats the case that was
// sent. A reply without a question has none.
func (c *Call) spelled(msg []byte) bool {
	n := wire.HeaderLen + len(c.Question.Name)
	return !c.Mixed || wire.Count(msg, wire.Question) == 0 || mixedAs(msg[wire.HeaderLen:n], c.Question.Name, c.mix)
}

// asAsked gives the question of a reply to c the client's spelling.
func (c *Call) asAsked(msg []byte) {
	if c.Mixed && wire.Count(msg, wire.Question) == 1 {
		copy(msg[wire.HeaderLen:], c.Question.Name)
	}
}

// RestoreOwners gives the owners of records that are written in full the
// client's spelling too. It reports whether it changed r.Msg, which then has to
// be parsed anew: other names may point into what was changed.
func (c *Call) RestoreOwners(r *wire.Reply) (changed bool) {
	if !c.Mixed {
		return false
	}
	name := c.Question.Name
	var rec wire.Record
	for it := r.Records(); it.Next(&rec); {
		// Only an owner in full takes so many octets before its type.
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
