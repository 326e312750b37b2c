package autopath

import (
	"cmp"
	"slices"
	"strings"
	"testing"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

const zone = "cluster.local."

// split splits a name given as text, and returns the names that a client asks for next.
func split(tb testing.TB, text string) []string {
	tb.Helper()
	name := []byte(dnsname.MustParse(text))
	at, ok := dnsname.CutZone(name, dnsname.MustParse(zone))
	if !ok {
		tb.Fatalf("%s is not in %s", text, zone)
	}
	p, ok := Split(name, at)
	if !ok {
		return nil
	}
	texts := []string{dnsname.Name(name[p.Last:]).String(), dnsname.Name(name[p.Namespace:]).String()}
	for c := range Candidates {
		texts = append(texts, dnsname.Name(p.Append(nil, name, c)).String())
	}
	return texts
}

func TestSplit(t *testing.T) {
	for _, tt := range []struct {
		name string
		want string // Service, namespace and candidates; "" if the name cannot be split
	}{
		{"web.prod.ns1.svc.cluster.local.", "prod.ns1.svc.cluster.local. ns1.svc.cluster.local. web.prod.svc.cluster.local. web.prod.cluster.local. web.prod."},
		{"a.b.c.ns1.svc.cluster.local.", "c.ns1.svc.cluster.local. ns1.svc.cluster.local. a.b.c.svc.cluster.local. a.b.c.cluster.local. a.b.c."},
		{"web.prod.svc.cluster.local.ns1.svc.cluster.local.", "local.ns1.svc.cluster.local. ns1.svc.cluster.local." +
			" web.prod.svc.cluster.local.svc.cluster.local. web.prod.svc.cluster.local.cluster.local. web.prod.svc.cluster.local."},
		{"cluster.local.ns1.svc.cluster.local.", "local.ns1.svc.cluster.local. ns1.svc.cluster.local. cluster.local.svc.cluster.local. cluster.local.cluster.local. cluster.local."},
		{"web.svc.svc.svc.cluster.local.", "svc.svc.svc.cluster.local. svc.svc.cluster.local. web.svc.svc.cluster.local. web.svc.cluster.local. web.svc."},
		{"web.ns1.svc.cluster.local.", ""}, // one label
		{"ns1.svc.cluster.local.", ""},
		{"svc.cluster.local.", ""},
		{"cluster.local.", ""},
		{"web.prod.ns1.pod.cluster.local.", ""},
		{"web.prod.ns1.svcs.cluster.local.", ""},
		{"web.prod.cluster.local.", ""},
		{"a.b.c.d.cluster.local.", ""},
		{"*.prod.ns1.svc.cluster.local.", ""},
		{"web.*.ns1.svc.cluster.local.", ""},
		{"web.prod.*.svc.cluster.local.", ""},
		{"web.prod.ns1.*.cluster.local.", ""},
		{"*a.prod.ns1.svc.cluster.local.", "prod.ns1.svc.cluster.local. ns1.svc.cluster.local. *a.prod.svc.cluster.local. *a.prod.cluster.local. *a.prod."},
	} {
		if got := strings.Join(split(t, tt.name), " "); got != tt.want {
			t.Errorf("%s is split into %q, want %q", tt.name, got, tt.want)
		}
	}
}

// FuzzSplit compares Split with another parser, which works on text, and checks that all
// results are inside the name.
func FuzzSplit(f *testing.F) {
	for _, name := range []string{"web.prod.ns1.svc.cluster.local.", "a.cluster.local.", "*.b.c.svc.cluster.local."} {
		f.Add([]byte(dnsname.MustParse(name)), 20)
	}
	f.Add([]byte("\x01a\x01b\x01c\x03svc\x00"), 68) // an offset beyond the name
	f.Add([]byte{}, 0)
	f.Add([]byte{63, 1}, 1)
	f.Fuzz(func(t *testing.T, name []byte, zoneAt int) {
		p, ok := Split(name, zoneAt)
		if !dnsname.Valid(name) {
			if ok {
				t.Fatalf("%x is no name and was split", name)
			}
			return
		}
		var labels []string // the labels before the zone
		i := 0
		for ; i < zoneAt && i < len(name) && name[i] != 0; i += int(name[i]) + 1 {
			labels = append(labels, string(name[i+1:i+1+int(name[i])]))
		}
		n := len(labels)
		want := i == zoneAt && n >= 4 && labels[n-1] == "svc" && !slices.Contains(labels, "*")
		if ok != want {
			t.Fatalf("%x at %d: %v, want %v", name, zoneAt, ok, want)
		}
		if !ok {
			return
		}
		for c := range Candidates {
			candidate := p.Append(nil, name, c)
			if !dnsname.Valid(candidate) || len(candidate) >= len(name) || !slices.Equal(candidate[:p.Namespace], name[:p.Namespace]) {
				t.Fatalf("%x: candidate %v is %x", name, c, candidate)
			}
		}
		if string(name[p.Last+1:p.Last+1+int(name[p.Last])]) != labels[n-3] || string(name[p.Namespace+1:p.Namespace+1+int(name[p.Namespace])]) != labels[n-2] {
			t.Fatalf("%x: last label at %d, namespace at %d of %q", name, p.Last, p.Namespace, labels)
		}
	})
}

func TestParseMode(t *testing.T) {
	for text, want := range map[string]Mode{"off": Off, "cluster": Cluster, " cluster\n": Cluster, "all": All} {
		if got, err := ParseMode(text); got != want || err != nil || got.String() != strings.TrimSpace(text) {
			t.Errorf("ParseMode(%q) = %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "on", "Cluster", "ALL"} {
		if got, err := ParseMode(text); got != Unset || err == nil || !strings.Contains(err.Error(), "not a mode") {
			t.Errorf("ParseMode(%q) = %v, %v; want an error", text, got, err)
		}
	}
}

func TestSwitch(t *testing.T) {
	var nobody *Switch
	if nobody.Settings().Mode != Off {
		t.Error("a nil Switch is on")
	}
	var s Switch
	if s.Settings().Mode != Off {
		t.Error("a new Switch is on")
	}
	all := Settings{Mode: All, Searches: []dnsname.Name{dnsname.MustParse("a.b.")}}
	if before := s.Set(all); before.Mode != Off || !s.Settings().Equal(all) || s.Settings().String() != "all, searches a.b" {
		t.Errorf("before %v, now %v", before, s.Settings())
	}
	for _, tt := range []struct {
		a, b Settings
		want bool
	}{
		{Settings{}, Settings{Mode: Off}, true},
		{Settings{Mode: All}, all, false},
		{Settings{Mode: Cluster}, Settings{Mode: Cluster, Searches: all.Searches}, true},
		{Settings{Mode: Cluster}, Settings{}, false},
	} {
		if tt.a.Equal(tt.b) != tt.want {
			t.Errorf("%v equal to %v is not %v", tt.a, tt.b, tt.want)
		}
	}
	if cmp.Or(Unset, Cluster) != Cluster || cmp.Or(Off, Cluster) != Off || cmp.Or(Cluster, Off) != Cluster { // so do flags and the ConfigMap combine
		t.Error("Or")
	}
}

// candidates returns the names in a hint.
func candidates(h Hint, name []byte) (list []string) {
	for {
		candidate, ok := h.Next(nil, name)
		if !ok {
			return list
		}
		list = append(list, dnsname.Name(candidate).String())
	}
}

func TestHint(t *testing.T) {
	name := []byte(dnsname.MustParse("web.prod.ns1.svc.cluster.local."))
	suffixes := [][]byte{[]byte(dnsname.MustParse("corp.internal.")), {0}}
	option := AppendHint([]byte("before"), 9, suffixes)
	data := option[len("before")+4:]
	if int(option[9]) != len(data) {
		t.Errorf("length %d of %d", option[9], len(data))
	}
	hint, ok := ParseHint(data, name)
	if got := strings.Join(candidates(hint, name), " "); !ok || got != "web.prod.corp.internal. web.prod." {
		t.Errorf("%q, %v", got, ok)
	}
	for i := range data {
		if h, ok := ParseHint(data[:i], name); ok && len(candidates(h, name)) == 0 {
			t.Errorf("%x is a hint without names", data[:i])
		}
	}
	long := []byte(dnsname.MustParse(strings.Repeat("a.", 124) + "a."))
	if h, ok := ParseHint(AppendHint(nil, len(long)-3, suffixes)[4:], long); !ok || len(candidates(h, long)) != 1 {
		t.Errorf("a candidate of more than 255 octets: %q", candidates(h, long))
	}
}

// FuzzHint: whatever data a server sends, the names are valid, begin like the name in the
// question, and are few.
func FuzzHint(f *testing.F) {
	name := []byte(dnsname.MustParse("web.prod.ns1.svc.cluster.local."))
	f.Add(AppendHint(nil, 9, [][]byte{[]byte(dnsname.MustParse("corp.internal.")), {0}})[4:], name)
	f.Add([]byte{1, 4, 0xc0, 0x0c}, name)
	f.Add([]byte{1, 200, 0}, []byte{0})
	f.Fuzz(func(t *testing.T, data, name []byte) {
		if !dnsname.Valid(name) {
			return
		}
		h, ok := ParseHint(data, name)
		if !ok {
			return
		}
		n := 0
		for x := int(data[1]); ; n++ {
			candidate, more := h.Next(nil, name)
			if !more {
				break
			}
			if !dnsname.Valid(candidate) || len(candidate) <= x || string(candidate[:x]) != string(name[:x]) {
				t.Fatalf("%x in the hint %x for %x", candidate, data, name)
			}
		}
		if n > maxSuffixes {
			t.Fatalf("%d names", n)
		}
	})
}
