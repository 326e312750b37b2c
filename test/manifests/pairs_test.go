package manifests

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kube-dns/kube-dns/test/addon"
)

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
	for _, pair := range addon.Exclude() {
		if pair[0] >= pair[1] || !slices.Contains(names, pair[0]) || !slices.Contains(names, pair[1]) {
			t.Errorf("%v: no such pair of components", pair)
		}
	}
	sets := append(addon.Pairs(names), addon.Largest(names)...)
	t.Run("sets", func(t *testing.T) {
		for _, set := range sets {
			t.Run(strings.Join(set, "+"), func(t *testing.T) {
				t.Parallel()
				objects := together(t, set...)
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
