package wire

import "encoding/binary"

// The functions in this file read and change the header of msg, which must have at least
// HeaderLen octets.

// ID returns the message id.
func ID(msg []byte) uint16 { return binary.BigEndian.Uint16(msg) }

// SetID changes the message id.
func SetID(msg []byte, id uint16) { binary.BigEndian.PutUint16(msg, id) }

// Flags returns the 16 bits that hold QR, opcode, the flags and the rcode.
func Flags(msg []byte) uint16 { return binary.BigEndian.Uint16(msg[2:]) }

// SetFlags changes the 16 bits that hold QR, opcode, the flags and the rcode.
func SetFlags(msg []byte, flags uint16) { binary.BigEndian.PutUint16(msg[2:], flags) }

// Opcode returns the opcode in flags.
func Opcode(flags uint16) int { return int(flags>>11) & 0xf }

// Rcode returns the low four bits of the rcode, which are in flags. The OPT record holds
// the others.
func Rcode(flags uint16) int { return int(flags & rcodeMask) }

// Section is one of the four sections of a message.
type Section uint8

// The sections in the order in which they stand.
const (
	Question Section = iota
	Answer
	Authority
	Additional
)

// Count returns the header's count of records in a section.
func Count(msg []byte, s Section) int { return int(binary.BigEndian.Uint16(msg[4+2*int(s):])) }

// SetCount changes the header's count of records in a section.
func SetCount(msg []byte, s Section, n int) {
	binary.BigEndian.PutUint16(msg[4+2*int(s):], uint16(n))
}

// replyFlags returns QR and the bits that a reply copies from the flags of its query:
// opcode, RD and CD (RFC 1035 §4.1.1, RFC 4035 §3.2.2).
func replyFlags(query uint16) uint16 {
	return FlagQR | query&(opcodeMask|FlagRD|FlagCD)
}
