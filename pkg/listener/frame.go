package listener

import "encoding/binary"

// prefixBytes is the length that precedes each message on a TCP connection
// (RFC 1035 §4.2.2).
const prefixBytes = 2

// nextFrame splits the first whole message off b. whole is false while octets
// are missing; need is then the length b must have for it.
func nextFrame(b []byte) (msg, rest []byte, need int, whole bool) {
	if len(b) < prefixBytes {
		return nil, b, prefixBytes, false
	}
	need = prefixBytes + int(binary.BigEndian.Uint16(b))
	if len(b) < need {
		return nil, b, need, false
	}
	return b[prefixBytes:need:need], b[need:], need, true
}

// appendFrame appends msg with its length to dst. msg must not be longer than
// MaxMessageBytes.
func appendFrame(dst, msg []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(msg)))
	return append(dst, msg...)
}
