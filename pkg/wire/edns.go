package wire

import "encoding/binary"

// EDNS is the content of a message's OPT record (RFC 6891 §6.1).
type EDNS struct {
	Present bool   // the message has an OPT record; otherwise the other fields are zero
	Version uint8  // 0 is the only version that exists
	DO      bool   // the sender accepts DNSSEC records (RFC 3225)
	Size    uint16 // the sender's UDP payload size in octets; values below 512 become 512
	// ExtendedRcode holds the upper eight bits of the rcode, in replies.
	ExtendedRcode uint8
	// Options holds the options in wire form; read them with NextOption. They have been
	// checked unless Version is above 0. It shares memory with the message.
	Options []byte
	// ClientCookie (8 octets) is the client's part of the first COOKIE option, or nil if
	// missing (RFC 7873 §4). It shares memory with the message.
	ClientCookie []byte
}

// parse reads a whole OPT record. It returns false if the owner is not the root, if an
// option extends beyond the end, or if a cookie has an invalid length (RFC 7873 §5.2.2).
// Present is set in any case.
func (e *EDNS) parse(record []byte) bool {
	e.Present = true
	if record[0] != 0 {
		return false
	}
	e.Size = max(binary.BigEndian.Uint16(record[3:]), MinPayload)
	e.ExtendedRcode = record[5]
	e.Version = record[6]
	e.DO = record[7]&0x80 != 0
	e.Options = record[11:len(record):len(record)]
	if e.Version > 0 {
		return true
	}
	for rest := e.Options; len(rest) > 0; {
		code, data, next, ok := NextOption(rest)
		if !ok {
			return false
		}
		rest = next
		if code != OptionCookie || e.ClientCookie != nil {
			continue // RFC 7873 §5.2: only the first cookie counts
		}
		if n := len(data); n != 8 && (n < 16 || n > 40) {
			return false
		}
		e.ClientCookie = data[:8:8]
	}
	return true
}

// NextOption splits options after the first option. ok is false at the end, and if the
// option extends beyond the end. The results share memory with options.
func NextOption(options []byte) (code uint16, data, rest []byte, ok bool) {
	if len(options) < 4 {
		return 0, nil, nil, false
	}
	end := 4 + int(binary.BigEndian.Uint16(options[2:]))
	if end > len(options) {
		return 0, nil, nil, false
	}
	return binary.BigEndian.Uint16(options), options[4:end:end], options[end:], true
}

// Option returns the data of the first option with that code. It shares memory with
// options.
func Option(options []byte, code uint16) (data []byte, ok bool) {
	for {
		c, data, rest, ok := NextOption(options)
		if !ok {
			return nil, false
		}
		if c == code {
			return data, true
		}
		options = rest
	}
}

// ExtendedError is the content of an EDE option (RFC 8914). The zero value means that
// there is none. Use Extended to make one.
type ExtendedError struct {
	Present bool
	Code    uint16 // one of the EDE constants
	Text    string // explanation for people, in UTF-8; may be empty
}

// Extended returns the extended error with that code and text.
func Extended(code uint16, text string) ExtendedError {
	return ExtendedError{Present: true, Code: code, Text: text}
}

// ExtendedError returns the first extended error among the options.
func (e *EDNS) ExtendedError() ExtendedError {
	data, ok := Option(e.Options, OptionEDE)
	if !ok || len(data) < 2 {
		return ExtendedError{}
	}
	return Extended(binary.BigEndian.Uint16(data), string(data[2:]))
}

// OPT is the content of the OPT record of a message that we send. The zero value has no
// options and advertises DefaultPayload.
type OPT struct {
	Size uint16 // UDP payload size to advertise, in octets; 0 means DefaultPayload
	// DO is the DO bit of queries. A reply ignores this field and repeats the bit of its
	// query (RFC 6891 §6.1.4).
	DO bool
	// Cookie is the data of the COOKIE option: client cookie, then server cookie. If it
	// is nil, none is sent.
	Cookie []byte
	// EDE is sent in replies if it fits, without its text if only the code fits.
	EDE ExtendedError
	// Raw holds further options in wire form, which are sent if they fit.
	Raw []byte
}

const optFixedLen = 11

// size returns the number of octets to reserve for the record. EDE and Raw use only what
// is left over.
func (o *OPT) size() int {
	n := optFixedLen
	if len(o.Cookie) > 0 {
		n += 4 + len(o.Cookie)
	}
	return n
}

// appendOPT appends an OPT record of at most room octets. The fixed part is written even
// if it is larger than room.
func appendOPT(dst []byte, o *OPT, rcode int, do bool, room int) []byte {
	size := o.Size
	if size == 0 {
		size = DefaultPayload
	}
	var flags byte
	if do {
		flags = 0x80
	}
	start := len(dst)
	dst = append(dst, 0, byte(TypeOPT>>8), byte(TypeOPT), byte(size>>8), byte(size), byte(rcode>>4), 0, flags, 0, 0, 0)
	if len(o.Cookie) > 0 && len(dst)-start+4+len(o.Cookie) <= room {
		dst = appendOptionHeader(dst, OptionCookie, len(o.Cookie))
		dst = append(dst, o.Cookie...)
	}
	if o.EDE.Present {
		text := o.EDE.Text
		if len(dst)-start+6+len(text) > room {
			text = ""
		}
		if len(dst)-start+6 <= room {
			dst = appendOptionHeader(dst, OptionEDE, 2+len(text))
			dst = binary.BigEndian.AppendUint16(dst, o.EDE.Code)
			dst = append(dst, text...)
		}
	}
	if len(dst)-start+len(o.Raw) <= room {
		dst = append(dst, o.Raw...)
	}
	binary.BigEndian.PutUint16(dst[start+9:], uint16(len(dst)-start-optFixedLen))
	return dst
}

func appendOptionHeader(dst []byte, code uint16, size int) []byte {
	dst = binary.BigEndian.AppendUint16(dst, code)
	return binary.BigEndian.AppendUint16(dst, uint16(size))
}
