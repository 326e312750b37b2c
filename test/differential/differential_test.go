package differential

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/kube-dns/kube-dns/test/apiserver"
)

const (
	objectsAtStart = 800
	rounds         = 3
	changes        = 500 // in each round
	// settleLimit guards against hanging: the longest pause of a client after an
	// error is a few seconds.
	settleLimit = time.Minute
)

func TestDifferential(t *testing.T) {
	seeds := []uint64{1, 2}
	if n, err := strconv.Atoi(os.Getenv("DIFFERENTIAL_SEEDS")); err == nil {
		seeds = nil
		for i := range n {
			seeds = append(seeds, uint64(i+1))
		}
	}
	if n, err := strconv.ParseUint(os.Getenv("DIFFERENTIAL_SEED"), 10, 64); err == nil {
		seeds = []uint64{n}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Parallel()
			testHistory(t, seed)
		})
	}
}

// testHistory runs one random history. At the end of each round all answers
// must be those of the model, at its end also those of a fresh start.
func testHistory(t *testing.T, seed uint64) {
	t.Helper()
	g := generator{rand.New(rand.NewPCG(seed, 0))}
	api := apiserver.New()
	front, err := apiserver.Open(api)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(front.Stop)
	for range objectsAtStart {
		g.change(api)
	}
	api.SetStreams(g.one(2))
	live, _ := startStack(t, front.URL())
	for round := range rounds {
		for range changes {
			g.change(api)
			if g.one(100) {
				g.fault(api)
			}
			if g.one(30) {
				time.Sleep(time.Duration(g.IntN(8)) * time.Millisecond)
			}
		}
		asked := settled(t, live, api)
		t.Logf("round %d: %d questions", round, asked)
	}
	fresh, stop := startStack(t, front.URL())
	settled(t, fresh, api)
	for _, q := range questions(api) {
		a, b := live.ask(t, q.name, q.typ), fresh.ask(t, q.name, q.typ)
		if q.chance {
			continue // the model has judged both
		}
		if diff := cmp.Diff(b, a); diff != "" {
			t.Errorf("%s %s: (-fresh start +after the history)\n%s", q.name, dns.TypeToString[q.typ], diff)
		}
	}
	stop()
}

// settled waits until every answer is the model's, and returns the number of
// questions. Nothing tells when the last change has arrived, so wrong answers
// are asked for again until the limit.
func settled(t *testing.T, s *stack, api *apiserver.Server) int {
	t.Helper()
	m := newModel(objects[*corev1.Service](api, &corev1.Service{}), objects[*discoveryv1.EndpointSlice](api, &discoveryv1.EndpointSlice{}))
	all := questions(api)
	left := all
	for end := time.Now().Add(settleLimit); ; time.Sleep(20 * time.Millisecond) {
		if s.watcher.HasSynced() {
			left = slices.DeleteFunc(slices.Clone(left), func(q question) bool { return m.diff(t, s, q) == "" })
		}
		if len(left) == 0 {
			break
		}
		if time.Now().After(end) {
			for _, q := range left[:min(len(left), 8)] {
				t.Errorf("%s %s: (-model +kubedns)\n%s", q.name, dns.TypeToString[q.typ], m.diff(t, s, q))
			}
			t.Fatalf("%d of %d answers are wrong", len(left), len(all))
		}
	}
	// What was right at first must still be.
	for _, q := range all {
		if diff := m.diff(t, s, q); diff != "" {
			t.Errorf("%s %s became wrong: (-model +kubedns)\n%s", q.name, dns.TypeToString[q.typ], diff)
		}
	}
	return len(all)
}

func objects[T apiserver.Object](api *apiserver.Server, like T) []T {
	var out []T
	for _, o := range api.Objects(like) {
		out = append(out, o.(T))
	}
	return out
}

// diff compares the answer of s with the model's.
func (m *model) diff(t *testing.T, s *stack, q question) string {
	t.Helper()
	want, got := m.ask(strings.ToLower(q.name), q.typ), s.ask(t, q.name, q.typ)
	if len(want.AnyOf) > 0 {
		for _, one := range want.AnyOf {
			if slices.Equal(one, got.Answer) {
				want.Answer = one
			}
		}
		want.AnyOf, want.SOA = nil, len(got.Answer) == 1 // the target lacks the type
	}
	if want.equal(&got) { // much faster than cmp
		return ""
	}
	return cmp.Diff(want, got, cmpopts.EquateEmpty())
}

// question is one name and type. chance: the answer is one of several.
type question struct {
	name   string
	typ    uint16
	chance bool
}

// questions are all names that the objects of the generator could have, and
// names near them.
func questions(api *apiserver.Server) []question {
	var all []question
	add := func(chance bool, name string, types ...uint16) {
		if _, ok := dns.IsDomainName(name); !ok {
			return
		}
		for _, label := range dns.SplitDomainName(name) {
			if len(label) > 63 {
				return
			}
		}
		for _, typ := range types {
			all = append(all, question{name, typ, chance})
		}
	}
	labels, addrs := labelPool(api)
	for _, ns := range append([]string{"nosuch"}, namespaces...) {
		zone := strings.ToLower(ns) + ".svc.cluster.local."
		add(false, zone, dns.TypeA, dns.TypeSRV, dns.TypeTXT)
		add(false, "10-0-0-1."+ns+".pod.cluster.local.", dns.TypeA, dns.TypeAAAA, dns.TypeTXT)
		for _, name := range append([]string{"nosuch"}, names...) {
			if strings.Contains(name, ".") || strings.ToLower(name) != name {
				continue
			}
			svc := name + "." + zone
			add(false, svc, dns.TypeA, dns.TypeAAAA, dns.TypeSRV, dns.TypeCNAME, dns.TypeTXT)
			for _, l := range labels {
				add(false, l+"."+svc, dns.TypeA, dns.TypeAAAA, dns.TypeSRV)
			}
			add(false, "pet-0."+name+"."+ns+".pod.cluster.local.", dns.TypeA, dns.TypeSRV)
			for _, proto := range []string{"_tcp", "_udp", "_sctp", "_foo", "tcp"} {
				add(false, proto+"."+svc, dns.TypeSRV, dns.TypeA)
				for _, p := range []string{"_http", "_https", "_dns", "_1", "_", "http", "_nosuch", "_" + strings.Repeat("p", 62)} {
					add(false, p+"."+proto+"."+svc, dns.TypeSRV, dns.TypeTXT)
					add(true, p+"."+proto+"."+svc, dns.TypeA, dns.TypeAAAA)
					add(true, "pet-0."+p+"."+proto+"."+svc, dns.TypeSRV, dns.TypeA)
				}
			}
			add(false, "x._http._tcp."+svc, dns.TypeSRV)
			add(false, "x.y._http._tcp."+svc, dns.TypeSRV)
		}
	}
	add(false, "WeB.deFault.sVc.cluster.local.", dns.TypeCNAME)
	for _, a := range addrs {
		if name, err := dns.ReverseAddr(a); err == nil {
			add(false, name, dns.TypePTR, dns.TypeA)
		}
	}
	return all
}

// labelPool returns labels below a Service, and addresses: those of the
// generator's pools, and a sample of those that there are.
func labelPool(api *apiserver.Server) (labels, addrs []string) {
	for _, h := range hostnames {
		if h != "" && !strings.Contains(h, ".") && len(h) < 64 {
			labels = append(labels, strings.ToLower(h))
		}
	}
	for _, text := range append(slices.Clone(goodAddrs), "10.1.0.7", "10.2.0.9", "0.0.0.0", "192.0.2.200") {
		if a, ok := address(text); ok {
			labels = append(labels, hashLabel(a), dashed(a))
		}
	}
	labels = append(labels, "2001-db8--", "--1", "10-0-0-01", "2001-db8-0-0-0-0-0-1", "nosuch", "*x")
	for _, s := range objects[*discoveryv1.EndpointSlice](api, &discoveryv1.EndpointSlice{}) {
		for _, e := range s.Endpoints {
			addrs = append(addrs, e.Addresses...)
		}
	}
	addrs = append(append(addrs, goodAddrs...), "192.0.2.200")
	slices.Sort(labels)
	slices.Sort(addrs)
	return slices.Compact(labels), slices.Compact(addrs)
}
