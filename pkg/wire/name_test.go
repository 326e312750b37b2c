package wire

import (
	"bytes"
	"strings"
	"testing"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// slowName is the obvious twin of NameEnd and AppendName: it follows a name
// label by label with a set of visited offsets.
func slowName(msg []byte, off int) (name []byte, end int, ok bool) {
	end = -1
	start, hops := off, 0
	for {
		if off >= len(msg) {
			return nil, 0, false
		}
		c := int(msg[off])
		switch {
		case c == 0:
			name = append(name, 0)
			if end == -1 {
				end = off + 1
			}
			return name, end, len(name) <= 255
		case c <= 63:
			if off+1+c > len(msg) {
				return nil, 0, false
			}
			name = append(name, msg[off:off+1+c]...)
			off += 1 + c
		case c >= 192:
			if off+2 > len(msg) {
				return nil, 0, false
			}
			if end == -1 {
				end = off + 2
			}
			to := (c-192)*256 + int(msg[off+1])
			hops++
			if to < 12 || to >= start || hops > 126 {
				return nil, 0, false
			}
			msg = msg[:start] // a prior occurrence lies before the name
			off, start = to, to
		default:
			return nil, 0, false
		}
	}
}

func nameCases() map[string]struct {
	msg []byte
	off int
} {
	type c = struct {
		msg []byte
		off int
	}
	pad := strings.Repeat("\x00", 12)
	chain := pad + "\x00"
	for range 130 { // each pointer means the one before
		at := len(chain)
		prev := max(12, at-2)
		if at == 13 {
			prev = 12
		}
		chain += string([]byte{0xc0 | byte(prev>>8), byte(prev)})
	}
	return map[string]c{
		"root":                   {[]byte(pad + "\x00"), 12},
		"plain":                  {[]byte(pad + "\x01a\x02bc\x00"), 12},
		"pointer":                {[]byte(pad + "\x01a\x00\x01b\xc0\x0c"), 15},
		"pointer to itself":      {[]byte(pad + "\x01a\xc0\x0e"), 12},
		"pointer to start":       {[]byte(pad + "\x01a\xc0\x0c"), 12},
		"two in a ring":          {[]byte(pad + "\xc0\x0e\xc0\x0c"), 14},
		"forward":                {[]byte(pad + "\xc0\x0e\x00"), 12},
		"into the header":        {[]byte(pad + "\xc0\x00"), 12},
		"prior name ends behind": {[]byte(pad + "\x00\x01\xc0\x0d\x01a\x00"), 14},
		"half a pointer":         {[]byte(pad + "\xc0"), 12},
		"label type 01":          {[]byte(pad + "\x40" + strings.Repeat("a", 64) + "\x00"), 12},
		"no end":                 {[]byte(pad + "\x01a"), 12},
		"255":                    {[]byte(pad + longName(255)), 12},
		"256":                    {[]byte(pad + longName(256)), 12},
		"256 by pointer":         {[]byte(pad + longName(255) + "\xc0\x0c\x01a\xc0\x0c"), 12 + 255 + 2},
		"offset past the end":    {[]byte(pad), 12},
		"pointer 126 deep":       {[]byte(chain), 13 + 2*125},
		"pointer 127 deep":       {[]byte(chain), 13 + 2*126},
	}
}

func checkName(t *testing.T, msg []byte, off int) {
	t.Helper()
	want, wantEnd, wantOK := slowName(msg, off)
	end, ok := NameEnd(msg, off)
	if ok != wantOK || ok && end != wantEnd {
		t.Fatalf("NameEnd(%x, %d) = %d, %v, want %d, %v", msg, off, end, ok, wantEnd, wantOK)
	}
	got, end, ok := AppendName([]byte("x"), msg, off)
	if ok != wantOK || ok && (end != wantEnd || string(got) != "x"+string(want)) {
		t.Fatalf("AppendName(%x, %d) = %q, %d, %v, want %q, %d, %v", msg, off, got, end, ok, want, wantEnd, wantOK)
	}
	if !ok {
		EqualNameAt(msg, off, want) // must end
		return
	}
	if nameSkip(msg, off) != end {
		t.Fatalf("nameSkip(%x, %d) = %d, want %d", msg, off, nameSkip(msg, off), end)
	}
	lowered, _, _ := AppendCanonicalName(nil, msg, off)
	if string(lowered) != string(dnsname.AppendLower(nil, want)) || !EqualNames(lowered, want) {
		t.Fatalf("AppendCanonicalName = %q for %q", lowered, want)
	}
	if !EqualNameAt(msg, off, lowered) || !EqualNameAt(msg, off, bytes.ToUpper(want)) && bytes.IndexFunc(want, func(r rune) bool { return r >= 0x80 }) < 0 {
		t.Fatalf("EqualNameAt(%x, %d, %q) = false", msg, off, want)
	}
	if EqualNameAt(msg, off, append([]byte("\x01q"), want...)) {
		t.Fatalf("EqualNameAt(%x, %d) found a longer name equal", msg, off)
	}
	if !HasSuffix(want, want) || !HasSuffix(want, []byte{0}) || len(want) > 1 && !HasSuffix(want, want[int(want[0])+1:]) {
		t.Fatalf("HasSuffix: %q does not end in itself, its parent or the root", want)
	}
}

func TestNames(t *testing.T) {
	for name, c := range nameCases() {
		t.Run(name, func(t *testing.T) { checkName(t, c.msg, c.off) })
	}
}

func FuzzName(f *testing.F) {
	for _, c := range nameCases() {
		f.Add(c.msg, uint16(c.off))
	}
	f.Fuzz(func(t *testing.T, msg []byte, off uint16) { checkName(t, msg, int(off)) })
}

func TestHasSuffix(t *testing.T) {
	tests := []struct {
		name, zone string
		want       bool
	}{
		{"\x03svc\x07cluster\x05local\x00", "\x07CLUSTER\x05local\x00", true},
		{"\x04xsvc\x07cluster\x00", "\x03svc\x07cluster\x00", false},
		{"\x07cluster\x00", "\x03svc\x07cluster\x00", false},
		{"\x02ab\x00", "\x01b\x00", false},
		// The suffix's octets are there, but inside a label.
		{"\x03a\x01b\x00", "\x01b\x00", false},
	}
	for _, tt := range tests {
		if got := HasSuffix([]byte(tt.name), []byte(tt.zone)); got != tt.want {
			t.Errorf("HasSuffix(%q, %q) = %v", tt.name, tt.zone, got)
		}
	}
}

// RFC 4343 §3: only A to Z have a case.
func TestEqualNames(t *testing.T) {
	if EqualNames([]byte("\x01@\x00"), []byte("\x01`\x00")) || EqualNames([]byte("\x01[\x00"), []byte("\x01{\x00")) || EqualNames([]byte("\x01\xc1\x00"), []byte("\x01\xe1\x00")) {
		t.Error("octets beside the letters compare as if they had a case")
	}
	if !EqualNames([]byte("\x03AzQ\x00"), []byte("\x03aZq\x00")) {
		t.Error("letters compare with their case")
	}
}
