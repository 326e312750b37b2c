package wire

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// CookieSecret is the key of a server's cookies (RFC 9018 §4.4). It must be random, and
// the same in all servers that answer at one address.
type CookieSecret [16]byte

// CookieLen is the size of a client cookie and the server cookie of RFC 9018 §4.
const CookieLen = 8 + 16

// Cookie holds one COOKIE option.
type Cookie [CookieLen]byte

// Cookie stores in b the answer to q's client cookie, for OPT.Cookie, and returns it: the
// client cookie, version, time and hash (RFC 9018 §4). addr is the client's address, now
// the time in seconds since 1970. The result is nil if q has no cookie. Every cookie is
// answered, so that the client can recognise forged replies, but none is required.
func (s *CookieSecret) Cookie(b *Cookie, q *Query, addr netip.Addr, now uint32) []byte {
	if q.EDNS.ClientCookie == nil {
		return nil
	}
	return s.fill(b, q.EDNS.ClientCookie, addr, now)
}

// fill stores the cookie for the client cookie client in b.
func (s *CookieSecret) fill(b *Cookie, client []byte, addr netip.Addr, now uint32) []byte {
	copy(b[:8], client)
	binary.BigEndian.PutUint32(b[8:], 1<<24) // version 1, reserved 0
	binary.BigEndian.PutUint32(b[12:], now)
	var text [16 + 16]byte
	n := copy(text[:], b[:16])
	if addr = addr.Unmap(); addr.Is4() {
		a := addr.As4()
		n += copy(text[n:], a[:])
	} else {
		a := addr.As16()
		n += copy(text[n:], a[:])
	}
	binary.LittleEndian.PutUint64(b[16:], sipHash(s, text[:n]))
	return b[:]
}

// sipHash is SipHash-2-4 (Aumasson, Bernstein 2012). RFC 9018 §4.4 requires it, so that
// servers with the same key accept each other's cookies.
func sipHash(key *CookieSecret, text []byte) uint64 {
	k0, k1 := binary.LittleEndian.Uint64(key[:8]), binary.LittleEndian.Uint64(key[8:])
	s := sipState{k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573}
	last := uint64(len(text)) << 56
	for ; len(text) >= 8; text = text[8:] {
		s.absorb(binary.LittleEndian.Uint64(text))
	}
	for i, c := range text {
		last |= uint64(c) << (8 * i)
	}
	s.absorb(last)
	s[2] ^= 0xff
	for range 4 {
		s.round()
	}
	return s[0] ^ s[1] ^ s[2] ^ s[3]
}

type sipState [4]uint64

func (s *sipState) absorb(m uint64) {
	s[3] ^= m
	s.round()
	s.round()
	s[0] ^= m
}

func (s *sipState) round() {
	s[0] += s[1]
	s[1] = bits.RotateLeft64(s[1], 13) ^ s[0]
	s[0] = bits.RotateLeft64(s[0], 32)
	s[2] += s[3]
	s[3] = bits.RotateLeft64(s[3], 16) ^ s[2]
	s[0] += s[3]
	s[3] = bits.RotateLeft64(s[3], 21) ^ s[0]
	s[2] += s[1]
	s[1] = bits.RotateLeft64(s[1], 17) ^ s[2]
	s[2] = bits.RotateLeft64(s[2], 32)
}
