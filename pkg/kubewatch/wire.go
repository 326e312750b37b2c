package kubewatch

import "encoding/binary"

// Wire types of protobuf ("Message Structure" in its encoding's description). The
// two types of groups are missing: Kubernetes does not use them.
const (
	varint          = 0
	fixed64         = 1
	lengthDelimited = 2
	fixed32         = 5
)

// message walks through the fields of an encoded message:
//
//	for m := (message{rest: data}); m.next(); {
//		switch m.number { ... }
//	}
type message struct {
	rest []byte // the octets after the current field

	number  uint64 // field number
	kind    uint64 // wire type
	value   uint64 // of a varint
	content []byte // of a length-delimited field; part of the message
	// broken is true if the message, or a field that was read, is invalid.
	broken bool
}

// next advances to the next field. It returns false at the end, or if the message is
// broken.
func (m *message) next() bool {
	if len(m.rest) == 0 || m.broken {
		return false
	}
	m.broken = !m.read()
	return !m.broken
}

// maxNumber is the highest field number that the encoding allows.
const maxNumber = 1<<29 - 1

// read parses the field at the start of m.rest. It returns false if it is invalid.
func (m *message) read() bool {
	tag, n := uvarint(m.rest)
	if n <= 0 {
		return false
	}
	data := m.rest[n:]
	m.number, m.kind = tag>>3, tag&7
	if m.number == 0 || m.number > maxNumber {
		return false
	}
	length := uint64(0)
	switch m.kind {
	case varint:
		m.value, n = uvarint(data)
		if n <= 0 {
			return false
		}
		length = uint64(n)
	case fixed64:
		length = 8
	case fixed32:
		length = 4
	case lengthDelimited:
		length, n = uvarint(data)
		if n <= 0 {
			return false
		}
		data = data[n:]
	default:
		return false
	}
	if length > uint64(len(data)) {
		return false
	}
	m.content, m.rest = data[:length:length], data[length:]
	return true
}

// uvarint is binary.Uvarint, faster for small numbers.
func uvarint(data []byte) (value uint64, n int) {
	if len(data) > 0 && data[0] < 0x80 {
		return uint64(data[0]), 1
	}
	return binary.Uvarint(data)
}

// bytes returns the content of the field, which must be length-delimited. It shares
// memory with the message.
func (m *message) bytes() []byte {
	if m.kind != lengthDelimited {
		m.broken = true
		return nil
	}
	return m.content
}

// int returns the value of the field, which must be a varint.
func (m *message) int() uint64 {
	if m.kind != varint {
		m.broken = true
	}
	return m.value
}

// bool returns the value of the field, which must be a varint, as a boolean.
func (m *message) bool() bool { return m.int() != 0 }

// mapEntry parses an entry of a map of strings. If there is more than one key or
// value, the last one counts.
func mapEntry(data []byte) (key, value []byte, ok bool) {
	m := message{rest: data}
	for m.next() {
		switch m.number {
		case 1:
			key = m.bytes()
		case 2:
			value = m.bytes()
		}
	}
	return key, value, !m.broken
}
