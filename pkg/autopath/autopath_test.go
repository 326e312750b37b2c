package autopath

import (
	"slices"
	"strings"
	"testing"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

const zone = "cluster.local."

// split splits a name given as text, and returns what a client asks next.
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
		want string // last label's Service, namespace, candidates; "" is no split
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

// FuzzSplit compares Split with a reading of the name as text, and holds that
// nothing it returns can be out of place.
func FuzzSplit(f *testing.F) {
	for _, name := range []string{"web.prod.ns1.svc.cluster.local.", "a.cluster.local.", "*.b.c.svc.cluster.local."} {
		f.Add([]byte(dnsname.MustParse(name)), 20)
	}
	f.Add([]byte("\x01a\x01b\x01c\x03svc\x00"), 68) // beyond the name
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
		var labels []string // before the zone
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
	for text, want := range map[string]Mode{"off": Off, "cluster": Cluster, " cluster\n": Cluster} {
		if got, err := ParseMode(text); got != want || err != nil {
			t.Errorf("ParseMode(%q) = %v, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{"": "not a mode", "on": "not a mode", "Cluster": "not a mode", "all": "only names inside the cluster"} {
		if got, err := ParseMode(text); got != Unset || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseMode(%q) = %v, %v; want an error with %q", text, got, err, want)
		}
	}
}

func TestSwitch(t *testing.T) {
	var nobody *Switch
	if nobody.Mode() != Off {
		t.Error("a nil Switch is on")
	}
	var s Switch
	if s.Mode() == Cluster {
		t.Error("a new Switch is on")
	}
	if before := s.Set(Cluster); before != Unset || s.Mode() != Cluster {
		t.Errorf("before %v, now %v", before, s.Mode())
	}
	if Unset.Or(Cluster) != Cluster || Off.Or(Cluster) != Off || Cluster.Or(Off) != Cluster {
		t.Error("Or")
	}
}
