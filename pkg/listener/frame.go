package listener

import "encoding/binary"

// prefixBytes is the size of the length prefix of each message on a TCP connection
// (RFC 1035 §4.2.2).
const prefixBytes = 2

// nextFrame splits b after the first message. whole is false if the message is not
// complete. The results share memory with b.
func nextFrame(b []byte) (msg, rest []byte, whole bool) {
	if len(b) < prefixBytes {
		return nil, b, false
	}
	end := prefixBytes + int(binary.BigEndian.Uint16(b))
	if len(b) < end {
		return nil, b, false
	}
	return b[prefixBytes:end:end], b[end:], true
}

// appendFrame appends msg with its length to dst. msg must not be longer than
// MaxMessageBytes.
func appendFrame(dst, msg []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(msg)))
	return append(dst, msg...)
}
