package kubewatch

import (
	"encoding/binary"
	"slices"
	"strings"
)

// magic begins every protobuf message of the Kubernetes API.
const magic = "k8s\x00"

// trimObject appends to dst what is kept of an encoded object or list. False
// means that it has to be decoded as it is; dst is garbage then.
func trimObject(dst, data []byte, known map[typeMeta]*shape) ([]byte, bool) {
	if !strings.HasPrefix(string(data[:min(len(data), len(magic))]), magic) {
		return dst, false
	}
	data = data[len(magic):]
	first, _, ok := nextField(data)
	if !ok || first.number != 1 || first.kind != lengthDelimited {
		return dst, false
	}
	sh := known[readTypeMeta(first.content)]
	if sh == nil {
		return dst, false
	}
	return trim(append(dst, magic...), data, sh)
}

// readTypeMeta returns the zero value for anything unusual.
func readTypeMeta(data []byte) typeMeta {
	var t typeMeta
	for len(data) > 0 {
		f, rest, ok := nextField(data)
		if !ok || f.kind != lengthDelimited {
			return typeMeta{}
		}
		switch f.number {
		case 1:
			t.apiVersion = string(f.content)
		case 2:
			t.kind = string(f.content)
		}
		data = rest
	}
	return t
}

// Wire types (the protobuf encoding's "Message Structure"). The two of groups
// are not among them: nobody uses them.
const (
	varint          = 0
	fixed64         = 1
	lengthDelimited = 2
	fixed32         = 5
)

// wireField is one field of a message.
type wireField struct {
	number  uint64
	kind    uint64
	all     []byte // with its tag
	length  int    // offset in all of the length of content, if length-delimited
	content []byte // if length-delimited
}

// nextField returns the first field of a message and what follows it.
func nextField(data []byte) (f wireField, rest []byte, ok bool) {
	tag, n := binary.Uvarint(data)
	if n <= 0 {
		return f, nil, false
	}
	f.number, f.kind = tag>>3, tag&7
	switch f.kind {
	case varint:
		_, m := binary.Uvarint(data[n:])
		if m <= 0 {
			return f, nil, false
		}
		n += m
	case fixed64:
		n += 8
	case fixed32:
		n += 4
	case lengthDelimited:
		length, m := binary.Uvarint(data[n:])
		if m <= 0 || length > uint64(len(data)-n-m) {
			return f, nil, false
		}
		f.length = n
		f.content = data[n+m:][:length]
		n += m + int(length)
	default:
		return f, nil, false
	}
	if n > len(data) {
		return f, nil, false
	}
	f.all = data[:n]
	return f, data[n:], true
}

// trim appends what is kept of a message.
func trim(dst, data []byte, sh *shape) ([]byte, bool) {
	for len(data) > 0 {
		f, rest, ok := nextField(data)
		if !ok {
			return dst, false
		}
		data = rest
		if f.number < 32 && sh.whole>>f.number&1 != 0 {
			dst = append(dst, f.all...)
			continue
		}
		i := slices.IndexFunc(sh.parts, func(p part) bool { return p.field == f.number })
		if i < 0 {
			continue
		}
		if f.kind != lengthDelimited {
			return dst, false
		}
		if dst, ok = trimPart(dst, f, sh.parts[i].shape); !ok {
			return dst, false
		}
	}
	return dst, true
}

// trimPart appends what is kept of a field that is a message.
func trimPart(dst []byte, f wireField, sh *shape) ([]byte, bool) {
	if sh.keys != nil {
		key, ok := entryKey(f.content)
		if !ok {
			return dst, false
		}
		if !slices.Contains(sh.keys, string(key)) {
			return dst, true
		}
	}
	// The new length takes as many octets as the old one, padded with zeros,
	// which varints may be.
	dst = append(dst, f.all[:len(f.all)-len(f.content)]...)
	at, width := len(dst), len(f.all)-len(f.content)-f.length
	dst, ok := trim(dst, f.content, sh)
	length := len(dst) - at
	for i := range width {
		b := byte(length >> (7 * i) & 0x7f)
		if i < width-1 {
			b |= 0x80
		}
		dst[at-width+i] = b
	}
	return dst, ok
}

// entryKey returns the key of an entry of a map of strings: the last of those
// given, as decoders take it.
func entryKey(data []byte) (key []byte, ok bool) {
	for len(data) > 0 {
		f, rest, ok := nextField(data)
		if !ok {
			return nil, false
		}
		if f.number == 1 {
			if f.kind != lengthDelimited {
				return nil, false
			}
			key = f.content
		}
		data = rest
	}
	return key, true
}
