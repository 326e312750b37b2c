package treecache

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

const testZone = "cluster.local."

func mustPath(tb testing.TB, service, namespace string) Path {
	tb.Helper()
	p, err := MakePath(service, namespace)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// spec returns a Spec with the usual TTL and priority.
func spec(tb testing.TB, name string, kind Kind) *SetSpec {
	tb.Helper()
	service, namespace, _ := strings.Cut(name, ".")
	return &SetSpec{Path: mustPath(tb, service, namespace), Kind: kind, TTL: 30, Priority: 10}
}

// hosts reads "address" or "address=hostname".
func (s *SetSpec) hosts(texts ...string) *SetSpec {
	for _, text := range texts {
		addr, name, _ := strings.Cut(text, "=")
		s.Hosts = append(s.Hosts, SetHost{Name: name, Addr: netip.MustParseAddr(addr)})
	}
	return s
}

func (s *SetSpec) port(name string, p Protocol, number uint16, hosts ...int) *SetSpec {
	s.Ports = append(s.Ports, SetPort{Name: name, Protocol: p, Number: number, Hosts: hosts})
	return s
}

func (s *SetSpec) alias(target string) *SetSpec {
	wire, err := dnsname.AppendText(nil, target)
	if err != nil {
		panic(err)
	}
	s.Alias = dnsname.Name(wire)
	return s
}

// newTree returns a tree of the cluster domain with the Sets of specs.
func newTree(tb testing.TB, specs ...*SetSpec) *Tree {
	tb.Helper()
	tree := New(dnsname.MustParse(testZone))
	for _, s := range specs {
		if !tree.Replace(NewSet(s)) {
			tb.Fatalf("Replace(%q) changed nothing", s.Path)
		}
	}
	return tree
}

// wireName returns the canonical wire form of a name under the zone: "web.default"
// is a name in svc, a trailing dot makes the name complete.
func wireName(name string) []byte {
	if !strings.HasSuffix(name, ".") {
		name += ".svc." + testZone
	}
	return []byte(dnsname.MustParse(name))
}

// show renders an answer: its status, then one word per record. Domain names
// under svc are cut short. Repeat is shown as "again".
func show(a Answer) string {
	words := []string{a.Status.String()}
	for i := range a.Len() {
		r := a.At(i)
		words = append(words, showRecord(&r))
	}
	if a.Truncated {
		words = append(words, "truncated")
	}
	return strings.Join(words, "\n")
}

func showRecord(r *Record) string {
	var w []string
	if r.Addr.IsValid() {
		w = append(w, r.Addr.String())
	}
	if r.Alias {
		w = append(w, "alias")
	}
	if r.HasTarget() {
		target := strings.TrimSuffix(dnsname.Name(r.AppendTarget(nil)).String(), ".svc."+testZone)
		w = append(w, fmt.Sprintf("%d %d %d %s", r.Priority, r.Weight, r.Port, target))
	}
	if r.Repeat {
		w = append(w, "again")
	}
	return strings.Join(w, " ")
}

// lines joins what show gives.
func lines(words ...string) string { return strings.Join(words, "\n") }
