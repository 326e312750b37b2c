package addon

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// exclusive are the pairs of components that cannot be used together, with the reason.
// manifests/README.md lists them for users.
var exclusive = map[[2]string]string{
	{"autoscaler", "ha"}:             "both set the number of Pods",
	{"autoscaler", "hpa"}:            "both set the number of Pods",
	{"ha", "hpa"}:                    "both set the number of Pods",
	{"dual-stack", "ipv6"}:           "both set the families of the Service's addresses",
	{"domain", "dual-stack"}:         "both set the Service's address",
	{"domain", "ipv6"}:               "both set the Service's address",
	{"direct", "tls-upstream"}:       "with direct, names do not go through kubedns, which asks over TLS",
	{"monitoring", "servicemonitor"}: "both scrape the Pods, and have the same rules",

	{"node-local", "node-local-metrics"}: "the second contains the first",
}

// Components returns the names of the components of the manifests, sorted.
func Components() (names []string, err error) {
	folders, err := os.ReadDir(filepath.Join(Root(), "manifests/components"))
	for _, f := range folders {
		names = append(names, f.Name())
	}
	return names, err
}

// Exclude returns the pairs of components that cannot be used together.
func Exclude() (pairs [][2]string) {
	for pair := range exclusive {
		pairs = append(pairs, pair)
	}
	return pairs
}

// Pairs returns all pairs of names that can be used together.
func Pairs(names []string) (pairs [][]string) {
	for i, a := range names {
		for _, b := range names[i+1:] {
			if goTogether([]string{a}, b) {
				pairs = append(pairs, []string{a, b})
			}
		}
	}
	return pairs
}

// Largest returns, for each name, a largest set that contains it and whose members can all be
// used together.
func Largest(names []string) (sets [][]string) {
	seen := map[string]bool{}
	for _, first := range names {
		set := []string{first}
		for _, name := range names {
			if !slices.Contains(set, name) && goTogether(set, name) {
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

func goTogether(set []string, name string) bool {
	return !slices.ContainsFunc(set, func(other string) bool {
		_, no := exclusive[[2]string{min(name, other), max(name, other)}]
		return no
	})
}

// ordered sorts components in the order that manifests/README.md requires.
func ordered(components []string) []string {
	first := []string{"node-local", "node-local-metrics", "domain", "direct", "tls-upstream", "clusterset"}
	rank := func(name string) int {
		if i := slices.Index(first, name); i >= 0 {
			return i
		}
		return len(first)
	}
	return slices.SortedStableFunc(slices.Values(components), func(a, b string) int {
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
}

// Kustomization writes a kustomization of the base with components, in the order that
// manifests/README.md requires, into an empty folder.
func Kustomization(dir string, components ...string) error {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	manifests, err := filepath.Rel(dir, filepath.Join(Root(), "manifests"))
	if err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [%s/base]\ncomponents:\n", manifests)
	for _, c := range ordered(components) {
		fmt.Fprintf(&b, "  - %s/components/%s\n", manifests, c)
	}
	return os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(b.String()), 0o600)
}
