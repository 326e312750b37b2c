package manifests

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kube-dns/kube-dns/test/addon"
)

// exclusive are pairs of components that cannot be used together, with the reason.
// manifests/README.md or a comment in the components says it to users.
var exclusive = map[[2]string]string{
	{"autoscaler", "ha"}:             "both set the number of Pods",
	{"autoscaler", "hpa"}:            "both set the number of Pods",
	{"ha", "hpa"}:                    "both set the number of Pods",
	{"dual-stack", "ipv6"}:           "both set the families of the Service's addresses",
	{"domain", "dual-stack"}:         "both set the Service's address",
	{"domain", "ipv6"}:               "both set the Service's address",
	{"direct", "tls-upstream"}:       "with direct, names do not go through kubedns, which asks over TLS",
	{"monitoring", "servicemonitor"}: "both scrape the Pods, and have the same rules",
}

// ordered sorts components as their comments ask for: node-local before all others, domain
// before direct, clusterset after direct.
func ordered(components []string) []string {
	rank := func(name string) int {
		switch name {
		case "node-local":
			return 0
		case "domain":
			return 1
		case "clusterset":
			return 3
		}
		return 2
	}
	return slices.SortedStableFunc(slices.Values(components), func(a, b string) int {
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
}

// TestPairs renders every pair of components as kubectl apply -k does, and the largest sets
// of components that go together. Each component makes its difference beside the others.
func TestPairs(t *testing.T) {
	programs := t.TempDir()
	if err := addon.Build(programs, nil, "kubedns", "dnscache", "exechealthz"); err != nil {
		t.Fatal(err)
	}
	kubectl(t) // built once, before the clock runs
	start := time.Now()
	names := slices.Sorted(maps.Keys(differences))
	left := maps.Clone(exclusive)
	var sets [][]string
	for i, a := range names {
		for _, b := range names[i+1:] {
			if _, no := exclusive[[2]string{a, b}]; no {
				delete(left, [2]string{a, b})
				continue
			}
			sets = append(sets, []string{a, b})
		}
	}
	for pair := range left {
		t.Errorf("%v: no such pair of components", pair)
	}
	sets = append(sets, largest(names)...)
	t.Run("sets", func(t *testing.T) {
		for _, set := range sets {
			t.Run(strings.Join(set, "+"), func(t *testing.T) {
				t.Parallel()
				objects := together(t, ordered(set)...)
				contents(t, objects) // none occurs twice
				check(t, programs, objects)
				for _, name := range set {
					differences[name](t, objects)
				}
			})
		}
	})
	t.Logf("%d sets of components in %v", len(sets), time.Since(start).Round(time.Second))
}

// largest returns, for each name, a largest set with it whose members all go together.
func largest(names []string) (sets [][]string) {
	fits := func(set []string, name string) bool {
		return !slices.ContainsFunc(set, func(other string) bool {
			_, no := exclusive[[2]string{min(name, other), max(name, other)}]
			return no || name == other
		})
	}
	seen := map[string]bool{}
	for _, first := range names {
		set := []string{first}
		for _, name := range names {
			if fits(set, name) {
				set = append(set, name)
			}
		}
		slices.Sort(set)
		if key := strings.Join(set, "+"); !seen[key] {
			seen[key] = true
			sets = append(sets, set)
		}
	}
	return sets
}
