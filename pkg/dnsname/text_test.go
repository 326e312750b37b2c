package dnsname

import (
	"errors"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

func TestParse(t *testing.T) {
	label63 := strings.Repeat("x", 63)
	for _, tt := range []struct {
		text string
		want Name
		err  error
	}{
		{text: ".", want: Root},
		{text: "com", want: "\x03com\x00"},
		{text: "com.", want: "\x03com\x00"},
		{text: "Web.Default.", want: "\x03web\x07default\x00"},
		{text: "_http._tcp.web", want: "\x05_http\x04_tcp\x03web\x00"},
		{text: "*.web", want: "\x01*\x03web\x00"},
		{text: `a\.b.c`, want: "\x03a.b\x01c\x00"},
		{text: `a\\b`, want: "\x03a\\b\x00"},
		{text: `\065\000\255`, want: "\x03a\x00\xff\x00"},
		{text: `\046.`, want: "\x01.\x00"},
		{text: label63 + ".", want: Name("\x3f" + label63 + "\x00")},
		{text: "", err: errEmpty},
		{text: "..", err: errNoLabel},
		{text: ".com", err: errNoLabel},
		{text: "a..b", err: errNoLabel},
		{text: label63 + "x", err: errLongLabel},
		{text: strings.Repeat("a.", 127), want: Name(strings.Repeat("\x01a", 127) + "\x00")},
		{text: strings.Repeat("a.", 128), err: errLongName},
		{text: `a\`, err: errEscape},
		{text: `a\256`, err: errEscape},
		{text: `a\12`, err: errEscape},
		{text: `a\1x3`, err: errEscape},
	} {
		got, err := Parse(tt.text)
		if got != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("Parse(%q) = %q, %v, want %q, %v", tt.text, string(got), err, string(tt.want), tt.err)
		}
	}
}

func TestAppendTextKeepsSpellingAndDst(t *testing.T) {
	got, err := AppendText([]byte("pre"), "EXAMPLE.com")
	if string(got) != "pre\x07EXAMPLE\x03com\x00" || err != nil {
		t.Errorf("AppendText = %q, %v", got, err)
	}
	got, err = AppendText([]byte("pre"), "a..b")
	if string(got) != "pre" || err == nil {
		t.Errorf("AppendText with an error = %q, %v, want dst as it was", got, err)
	}
}

func TestMustParsePanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("MustParse(\"\") did not panic")
		}
	}()
	MustParse("")
}

func TestString(t *testing.T) {
	for _, tt := range []struct {
		name Name
		want string
	}{
		{"", ""},
		{Root, "."},
		{"\x03web\x03com\x00", "web.com."},
		{"\x03a.b\x01c\x00", `a\.b.c.`},
		{"\x04\x00 \x7f\xff\x00", `\000\ \127\255.`},
	} {
		if got := tt.name.String(); got != tt.want {
			t.Errorf("Name(%q).String() = %q, want %q", string(tt.name), got, tt.want)
		}
	}
}

// FuzzParse: what Parse takes, miekg/dns packs to the same octets, and String
// gives it back; what Parse refuses, miekg/dns refuses too, but for escapes
// above 255, which it wraps around, and names above 255 octets.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		".", "", "com", "a.b.", "..", `a\.b`, `\065`, `\999`, `a\`, strings.Repeat("a.", 128),
		strings.Repeat("x", 64), "_http._tcp.web.default.svc.cluster.local.", `\\`, "é.com",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := Parse(text)
		if escapes(text)%2 == 1 && err == nil {
			t.Fatalf("Parse(%q) = %q, want an error", text, string(got))
		}
		if escapes(strings.TrimSuffix(text, ".")) > 0 { // no oracle, see closed
			return
		}
		var buf [1024]byte
		n, oracleErr := dns.PackDomainName(closed(text), buf[:], 0, nil, false)
		if err != nil {
			if oracleErr == nil && n <= MaxName && text != "" && !errors.Is(err, errEscape) {
				t.Fatalf("Parse(%q): %v, but miekg/dns packs %q", text, err, buf[:n])
			}
			return
		}
		if oracleErr != nil {
			t.Fatalf("Parse(%q) = %q, but miekg/dns: %v", text, string(got), oracleErr)
		}
		if want := string(AppendLower(nil, buf[:n])); string(got) != want {
			t.Fatalf("Parse(%q) = %q, miekg/dns %q", text, string(got), want)
		}
		if !Valid([]byte(got)) {
			t.Fatalf("Parse(%q) = %q is not Valid", text, string(got))
		}
		if again, err := Parse(got.String()); again != got || err != nil {
			t.Fatalf("Parse(%q.String()) = %q, %v", string(got), string(again), err)
		}
	})
}

// closed adds the trailing dot that miekg/dns needs. Whether a dot after
// backslashes ends a name, miekg/dns gets wrong after a character outside ASCII,
// so such texts are not for it.
func closed(text string) string { return strings.TrimSuffix(text, ".") + "." }

// escapes returns the number of backslashes at the end of text.
func escapes(text string) int { return len(text) - len(strings.TrimRight(text, `\`)) }

// FuzzWire: functions over wire bytes never panic, agree with each other, and
// agree with miekg/dns on uncompressed names.
func FuzzWire(f *testing.F) {
	for _, s := range []string{
		"", "\x00", "\x03web\x00", "\x03WEB\x03com\x00", "\xc0\x00", "\x03we", "\x00\x00",
		strings.Repeat("\x01a", 127) + "\x00", "\x40" + strings.Repeat("a", 64) + "\x00",
		string(MustParse("1.0.0.10.in-addr.arpa")), string(MustParse(strings.Repeat("f.", 32) + "ip6.arpa")),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		valid := Valid(wire)
		offsets := Offsets(nil, wire)
		_, n, err := dns.UnpackDomainName(wire, 0)
		if oracle := err == nil && n == len(wire) && !hasPointer(wire); len(wire) > 0 && oracle != valid {
			t.Fatalf("Valid(%q) = %v, miekg/dns %v (%d, %v)", wire, valid, oracle, n, err)
		}
		if len(wire) > 1 && (offsets != nil) != valid {
			t.Fatalf("Offsets(%q) = %v, Valid %v", wire, offsets, valid)
		}
		CutZone(wire, InAddrArpa)
		addr, ok := ReverseAddr(wire)
		if ok && string(ReverseName(addr)) != string(wire) {
			t.Fatalf("ReverseName(ReverseAddr(%q)) = %q", wire, string(ReverseName(addr)))
		}
		if !valid {
			return
		}
		name := Name(AppendLower(nil, wire))
		if got, err := Parse(name.String()); got != name || err != nil {
			t.Fatalf("Parse(%q.String()) = %q, %v", string(name), string(got), err)
		}
		if len(offsets) != name.Labels() {
			t.Fatalf("%q: %d offsets, %d labels", wire, len(offsets), name.Labels())
		}
		for parent := name; parent != Root; {
			parent = parent.Parent()
			if _, ok := CutZone([]byte(name), parent); !ok || !name.HasSuffix(parent) {
				t.Fatalf("%q is not under its parent %q", string(name), string(parent))
			}
		}
	})
}

// hasPointer reports whether a compression pointer is where a label should
// begin.
func hasPointer(wire []byte) bool {
	for i := 0; i < len(wire) && wire[i] != 0; i += int(wire[i]) + 1 {
		if wire[i] >= 0xc0 {
			return true
		}
	}
	return false
}
