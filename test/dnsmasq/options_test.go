package dnsmasq

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/test/addon"
)

// testedInGo names, for each option whose effect no row shows, the test that starts
// cmd/dnscache with the option and checks its effect.
var testedInGo = map[string]string{
	"bind-dynamic":     "TestBindDynamic",
	"bind-interfaces":  "TestListenOptions",
	"clear-on-reload":  "TestResolvConfIsFollowed",
	"do-0x20-encode":   "TestMixedCase",
	"dynamic-host":     "TestInterfaceAddresses",
	"except-interface": "TestListenOptions",
	"group":            "TestUserAndGroup",
	"interface":        "TestListenOptions",
	"interface-name":   "TestInterfaceAddresses",
	"lameduck":         "TestLameduck",
	"metrics-set":      "TestMetricsSet",
	"server-replicas":  "TestServerReplicas",
	"listen-address":   "TestListenOptions",
	"local-service":    "TestLocalServiceOption",
	"localise-queries": "TestInterfaceAddresses",
	"log-debug":        "TestLogDebug",
	"log-format":       "TestJSONLog",
	"metrics-address":  "TestStatistics",
	"nxdomain-cut":     "TestNXDomainCut",
	"port":             "TestUserAndGroup",
	"rate-limit":       "TestRateLimit",
	"serve-stale":      "TestServeStale",
	"tls-ca-file":      "TestTLSUpstream",
	"tls-cert-file":    "TestTLSFiles",
	"tls-key-file":     "TestTLSFiles",
	"user":             "TestUserAndGroup",
	"share-port":       "TestSharePort",
}

// TestImplementedOptionsHaveTests: every option that the table calls implemented occurs in
// the command line of a row that checks the running program, or of a test of cmd/dnscache.
func TestImplementedOptionsHaveTests(t *testing.T) {
	inRows := map[string]bool{}
	for _, table := range tables(t) {
		for _, row := range table.Rows {
			for _, name := range row.observedOptions() {
				inRows[name] = true
			}
		}
	}
	code := programTests(t)
	implemented := map[string]bool{}
	for _, spec := range options.Table() {
		if spec.Status != options.Implemented {
			continue
		}
		implemented[spec.Name] = true
		test, listed := testedInGo[spec.Name]
		switch {
		case inRows[spec.Name] && listed:
			t.Errorf("--%s has a row and needs no entry in testedInGo", spec.Name)
		case !inRows[spec.Name] && !listed:
			t.Errorf("--%s is in no row and no test of cmd/dnscache is named for it", spec.Name)
		case listed && !inBody(code, test, "--"+spec.Name):
			t.Errorf("cmd/dnscache has no %s with --%s", test, spec.Name)
		}
	}
	for name := range testedInGo {
		if !implemented[name] {
			t.Errorf("testedInGo: --%s is not implemented", name)
		}
	}
}

// observedOptions returns the long names of the options whose effect the row checks: those of
// its set-up if a step has a result, and those of a step "run" that succeeds if the option
// ends the program. The options that every program gets are not included.
func (r *Row) observedOptions() []string {
	var names []string
	if slices.ContainsFunc(r.Steps, func(step string) bool {
		verb, _, _ := strings.Cut(step, " ")
		return slices.Contains([]string{
			"ask", "burst", "spellings", "pipeline", "stream", "idle", "seen", "ids", "ports", "log", "print", "exit",
		}, verb)
	}) {
		for _, line := range r.Set {
			if key, rest, _ := strings.Cut(line, " "); key == "opt" || key == "bare" {
				names = append(names, longNames(words(rest))...)
			}
		}
	}
	if len(r.Steps) != len(r.Ours) {
		return names // steps and what they tell are not in line
	}
	for i, step := range r.Steps {
		if rest, ok := strings.CutPrefix(step, "run "); ok && strings.HasPrefix(r.Ours[i], "exit 0") {
			for _, name := range longNames(words(rest)) {
				if name == "help" || name == "version" || name == "test" {
					names = append(names, name)
				}
			}
		}
	}
	return names
}

// longNames returns the long names of the options in a command line.
func longNames(args []string) []string {
	var names []string
	for _, arg := range args {
		long, isLong := strings.CutPrefix(arg, "--")
		long, _, _ = strings.Cut(long, "=")
		for _, spec := range options.Table() {
			if isLong && long == spec.Name ||
				!isLong && len(arg) > 1 && arg[0] == '-' && arg[1] == spec.Short {
				names = append(names, spec.Name)
			}
		}
	}
	return names
}

// programTests returns the text of cmd/dnscache's tests.
func programTests(t *testing.T) string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(addon.Root(), "cmd", "dnscache", "*_test.go"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("tests of cmd/dnscache: %v, %v", paths, err)
	}
	var b strings.Builder
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(text)
	}
	return b.String()
}

// inBody reports whether code has a test function whose text contains a word.
func inBody(code, test, word string) bool {
	_, body, ok := strings.Cut(code, "\nfunc "+test+"(t *testing.T) {\n")
	body, _, _ = strings.Cut(body, "\n}\n")
	return ok && strings.Contains(body, word)
}
