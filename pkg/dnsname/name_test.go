package dnsname

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

func TestLabels(t *testing.T) {
	for _, tt := range []struct {
		name Name
		want int
	}{
		{"", 0},
		{Root, 0},
		{"\x03com\x00", 1},
		{"\x03web\x07default\x03svc\x07cluster\x05local\x00", 5},
		{MustParse(strings.Repeat("a.", 127)), 127},
	} {
		if got := tt.name.Labels(); got != tt.want {
			t.Errorf("Name(%q).Labels() = %d, want %d", string(tt.name), got, tt.want)
		}
	}
}

func TestHasSuffix(t *testing.T) {
	for _, tt := range []struct {
		name, zone string
		want       bool
	}{
		{"web.default.svc.cluster.local.", "cluster.local.", true},
		{"cluster.local.", "cluster.local.", true},
		{"cluster.local.", ".", true},
		{".", ".", true},
		{"xcluster.local.", "cluster.local.", false},
		{"local.", "cluster.local.", false},
		{"cluster.local.example.", "cluster.local.", false},
		// The bytes of the shorter name end the longer one inside a label.
		{`a\003com.`, "com.", false},
	} {
		if got := MustParse(tt.name).HasSuffix(MustParse(tt.zone)); got != tt.want {
			t.Errorf("%q.HasSuffix(%q) = %v, want %v", tt.name, tt.zone, got, tt.want)
		}
		at, got := CutZone([]byte(MustParse(tt.name)), MustParse(tt.zone))
		if got != tt.want || (got && at != len(MustParse(tt.name))-len(MustParse(tt.zone))) {
			t.Errorf("CutZone(%q, %q) = %d, %v, want %v", tt.name, tt.zone, at, got, tt.want)
		}
	}
	if Name("").HasSuffix(Root) || Root.HasSuffix("") {
		t.Error("the zero Name has a suffix, or is one")
	}
	if _, ok := CutZone(nil, ""); ok {
		t.Error("CutZone found the zero Name")
	}
}

func TestParent(t *testing.T) {
	for _, tt := range []struct{ name, want Name }{
		{MustParse("a.b.c."), MustParse("b.c.")},
		{MustParse("c."), Root},
		{Root, Root},
		{"", ""},
	} {
		if got := tt.name.Parent(); got != tt.want {
			t.Errorf("Name(%q).Parent() = %q, want %q", string(tt.name), string(got), string(tt.want))
		}
	}
}

func TestValidAndOffsets(t *testing.T) {
	long := bytes.Repeat([]byte("\x01a"), 127)
	for _, tt := range []struct {
		name string
		wire string
		want []uint8 // nil: not valid
	}{
		{"root", "\x00", []uint8{}},
		{"two labels", "\x03web\x03com\x00", []uint8{0, 4}},
		{"upper case", "\x03WEB\x00", []uint8{0}},
		{"255 octets", string(long) + "\x00", everySecond(127)},
		{"257 octets", string(long) + "\x01a\x00", nil},
		{"63 octets in a label", "\x3f" + strings.Repeat("x", 63) + "\x00", []uint8{0}},
		{"64 octets in a label", "\x40" + strings.Repeat("x", 64) + "\x00", nil},
		{"compressed", "\x03web\xc0\x0c", nil},
		{"nothing", "", nil},
		{"no root", "\x03web", nil},
		{"cut label", "\x05web", nil},
		{"octets after the root", "\x03web\x00\x00", nil},
		{"root in the middle", "\x00\x03web\x00", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Valid([]byte(tt.wire)); got != (tt.want != nil) {
				t.Errorf("Valid = %v, want %v", got, tt.want != nil)
			}
			got := Offsets(make([]uint8, 0, MaxLabels), []byte(tt.wire))
			if !slices.Equal(got, tt.want) || (got == nil) != (tt.want == nil) {
				t.Errorf("Offsets = %v, want %v", got, tt.want)
			}
		})
	}
}

func everySecond(n int) []uint8 {
	var s []uint8
	for i := range n {
		s = append(s, uint8(2*i))
	}
	return s
}

// TestAppendLowerAllOctets compares with the obvious loop, each octet at each
// place of a group of eight.
func TestAppendLowerAllOctets(t *testing.T) {
	for n := range 20 {
		for at := range n {
			for c := range 256 {
				in := bytes.Repeat([]byte("Zz"), 10)[:n]
				in[at] = byte(c)
				want := []byte("pre")
				for _, c := range in {
					if 'A' <= c && c <= 'Z' {
						c += 'a' - 'A'
					}
					want = append(want, c)
				}
				if got := AppendLower([]byte("pre"), in); !bytes.Equal(got, want) {
					t.Fatalf("AppendLower(%q) = %q, want %q", in, got, want)
				}
			}
		}
	}
}

func TestHotPathAllocs(t *testing.T) {
	wire := []byte("\x03WEB\x07default\x03svc\x07cluster\x05local\x00")
	zone := MustParse("cluster.local")
	reverse4 := []byte(MustParse("1.0.0.10.in-addr.arpa"))
	reverse6 := []byte(MustParse(strings.Repeat("1.", 32) + "ip6.arpa"))
	buf := make([]byte, 0, MaxName)
	offsets := make([]uint8, 0, MaxLabels)
	for _, tt := range []struct {
		name string
		f    func()
	}{
		{"AppendLower", func() { AppendLower(buf, wire) }},
		{"Offsets", func() { Offsets(offsets, wire) }},
		{"Valid", func() { Valid(wire) }},
		{"CutZone", func() { CutZone(wire, zone) }},
		{"ReverseAddr v4", func() { ReverseAddr(reverse4) }},
		{"ReverseAddr v6", func() { ReverseAddr(reverse6) }},
		{"ParseDashed v4", func() { ParseDashed("10-0-0-1") }},
		{"ParseDashed hostname", func() { ParseDashed("my-web-server-0") }},
	} {
		if got := testing.AllocsPerRun(100, tt.f); got != 0 {
			t.Errorf("%s: %v allocations, want 0", tt.name, got)
		}
	}
}

func BenchmarkAppendLower(b *testing.B) {
	wire := []byte("\x03WEB\x07default\x03svc\x07cluster\x05local\x00")
	buf := make([]byte, 0, MaxName)
	b.ReportAllocs()
	for b.Loop() {
		AppendLower(buf, wire)
	}
}

func BenchmarkOffsets(b *testing.B) {
	wire := []byte("\x03web\x07default\x03svc\x07cluster\x05local\x00")
	buf := make([]uint8, 0, MaxLabels)
	b.ReportAllocs()
	for b.Loop() {
		Offsets(buf, wire)
	}
}
