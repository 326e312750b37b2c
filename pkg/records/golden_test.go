package records

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	"sigs.k8s.io/yaml"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/treecache"
)

var update = flag.Bool("update", false, "rewrite the zone parts of testdata/*.txtar")

// The objects of a test file, in YAML.
type (
	testObjects struct {
		Namespace, Name string
		ClusterIPs      []string // "None" alone makes it headless
		ExternalName    *string
		Ports           []testPort
		PublishNotReady bool
		Created         int64
		Slices          []testSlice
	}
	testPort struct {
		Name, Protocol string
		Port           uint16
	}
	testSlice struct {
		Name      string
		Ports     []testPort
		Endpoints []testEndpoint
	}
	testEndpoint struct {
		Address, Hostname string
		NotReady          bool
	}
)

func ports(in []testPort) []Port {
	var out []Port
	for _, p := range in {
		protocol := map[string]Protocol{"": TCP, "TCP": TCP, "UDP": UDP, "SCTP": SCTP}[p.Protocol]
		out = append(out, Port{Name: p.Name, Protocol: protocol, Number: p.Port})
	}
	return out
}

func (o *testObjects) convert() (*Service, []*Slice) {
	svc := &Service{
		Namespace: o.Namespace, Name: o.Name, Ports: ports(o.Ports),
		PublishNotReady: o.PublishNotReady, Created: o.Created,
	}
	switch {
	case o.ExternalName != nil:
		svc.Kind, svc.ExternalName = ExternalName, *o.ExternalName
	case len(o.ClusterIPs) == 1 && o.ClusterIPs[0] == "None":
		svc.Kind = Headless
	default:
		for _, text := range o.ClusterIPs {
			addr, _ := ParseAddr(text)
			svc.ClusterIPs = append(svc.ClusterIPs, addr)
		}
	}
	var list []*Slice
	for _, s := range o.Slices {
		slice := &Slice{Name: s.Name, Ports: ports(s.Ports)}
		for _, e := range s.Endpoints {
			addr, _ := ParseAddr(e.Address)
			slice.Add(Endpoint{Addr: addr, Hostname: e.Hostname, Ready: !e.NotReady})
		}
		list = append(list, slice)
	}
	return svc, list
}

// TestGolden builds the objects of each file and compares all names that come of
// them with the file's zone part: one line per record and problem. -update
// rewrites it.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no test files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if len(archive.Files) != 2 || archive.Files[0].Name != "objects.yaml" || archive.Files[1].Name != "zone" {
				t.Fatal("want the parts objects.yaml and zone")
			}
			got := zoneText(t, archive.Files[0].Data)
			if *update {
				archive.Files[1].Data = []byte(got)
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(archive.Files[1].Data), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func zoneText(t *testing.T, objects []byte) string {
	t.Helper()
	var services []testObjects
	if err := yaml.UnmarshalStrict(objects, &services); err != nil {
		t.Fatal(err)
	}
	tree := treecache.New(dnsname.MustParse("z"))
	var problems []string
	for i := range services {
		svc, list := services[i].convert()
		set, found := Build(svc, list, zoneLen, DefaultTTL)
		if set != nil {
			tree.Replace(set)
		}
		for _, p := range found {
			problems = append(problems, "; service "+svc.Namespace+"/"+svc.Name+": "+p)
		}
		checkOrder(t, svc, list, set)
	}
	z := zone{snapshot: tree.Snapshot(), addrs: map[netip.Addr]bool{}}
	z.names(t)
	lines := slices.Compact(z.lines) // an address that two hosts have is one record
	return strings.Join(append(lines, problems...), "\n") + "\n"
}

// checkOrder checks that the order of slices makes no difference.
func checkOrder(t *testing.T, svc *Service, list []*Slice, want *treecache.Set) {
	t.Helper()
	reversed := slices.Clone(list)
	slices.Reverse(reversed)
	set, _ := Build(svc, reversed, zoneLen, DefaultTTL)
	if (set == nil) != (want == nil) {
		t.Errorf("%s/%s: slices in reverse order give %v", svc.Namespace, svc.Name, set)
	}
	if set != nil {
		tree := treecache.New(dnsname.MustParse("z"))
		tree.Replace(want)
		if tree.Replace(set) {
			t.Errorf("%s/%s: slices in reverse order give another Set", svc.Namespace, svc.Name)
		}
	}
}

// zone collects the records of a snapshot as text.
type zone struct {
	snapshot *treecache.Snapshot
	lines    []string
	addrs    map[netip.Addr]bool
}

// names finds all names by the dump of the tree, and looks each up.
func (z *zone) names(t *testing.T) {
	t.Helper()
	type tree struct {
		ChildNodes map[string]*tree
		Entries    map[string]any
	}
	var b strings.Builder
	if err := treecache.WriteJSON(&b, z.snapshot); err != nil {
		t.Fatal(err)
	}
	var top tree
	if err := json.Unmarshal([]byte(b.String()), &top); err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	var walk func(n *tree, name string)
	walk = func(n *tree, name string) {
		found[name] = true
		for label := range n.Entries {
			label, _, _ = strings.Cut(label, " ")
			found[label+"."+name] = true
		}
		for label, kid := range n.ChildNodes {
			walk(kid, label+"."+name)
		}
	}
	walk(&top, "")
	for name := range found {
		z.lookup(name)
	}
	for addr := range z.addrs {
		a := z.snapshot.Reverse(addr, nil)
		for i := range a.Len() {
			r := a.At(i)
			z.lines = append(z.lines, fmt.Sprintf("%s PTR %s", addr, target(&r)))
		}
	}
	slices.Sort(z.lines)
}

func target(r *treecache.Record) string {
	return strings.TrimSuffix(dnsname.Name(r.AppendTarget(nil)).String(), ".z.")
}

func (z *zone) lookup(name string) {
	if !strings.HasSuffix(name, "z.") {
		return
	}
	a := z.snapshot.Lookup([]byte(dnsname.MustParse(name)))
	name = strings.TrimSuffix(strings.TrimSuffix(name, "z."), ".")
	for i := range a.Len() {
		r := a.At(i)
		to := target(&r)
		switch {
		case r.Alias:
			z.lines = append(z.lines, fmt.Sprintf("%s %d CNAME %s", name, r.TTL, to))
		case r.Addr.Is4():
			z.lines = append(z.lines, fmt.Sprintf("%s %d A %s", name, r.TTL, r.Addr))
		case r.Addr.Is6():
			z.lines = append(z.lines, fmt.Sprintf("%s %d AAAA %s", name, r.TTL, r.Addr))
		}
		if r.Addr.IsValid() {
			z.addrs[r.Addr] = true
		}
		if !r.Repeat {
			z.lines = append(z.lines, fmt.Sprintf("%s %d SRV %d %d %d %s", name, r.TTL, r.Priority, r.Weight, r.Port, to))
		}
	}
}
