// Package arch tests the import rules of the module: which package may depend on what. Each
// rule is a decision; to change one, give the reason in the commit.
package arch

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/kube-dns/kube-dns"

// pkg is what `go list -json` says of one package.
type pkg struct {
	ImportPath string
	Dir        string
	Doc        string
	Standard   bool
	GoFiles    []string
	Imports    []string
	Deps       []string
}

// rule forbids the packages that match `who` (paths inside the module; a final slash includes
// everything below) to depend, directly or indirectly, on what `deny` names.
type rule struct {
	name string
	who  []string
	deny []string
	// direct limits the rule to direct imports.
	direct bool
}

var core = []string{
	"pkg/dnsname", "pkg/treecache", "pkg/records", "pkg/wire", "pkg/autopath",
	"pkg/answercache", "pkg/dnsmasq/options", "pkg/dnsconfig", "pkg/resolvconf",
}

var rules = []rule{
	{
		name:   "the policy of the node's cache has no I/O, lock or goroutine helper",
		who:    []string{"pkg/nodelocal/policy"},
		deny:   []string{"net", "net/", "os", "os/", "syscall", "sync", "sync/", "context", "log/", "golang.org/x/", module + "/"},
		direct: true,
	},
	{
		name: "the supervisor of the node's cache links nothing that answers queries",
		who:  []string{"pkg/nodelocal"},
		deny: []string{module + "/pkg/forwarder", module + "/pkg/upstream", module + "/pkg/listener", module + "/pkg/dnsmasq/", "k8s.io/"},
	},
	{
		name: "only the node's mode changes the kernel's network",
		who:  []string{"cmd/kubedns", "cmd/exechealthz", "pkg/forwarder", "pkg/listener", "pkg/netif"},
		deny: []string{module + "/pkg/nodelocal"},
	},
	{
		name: "the core has no socket, logger, process or goroutine helper",
		who:  core,
		deny: []string{"net", "net/http", "log", "log/slog", "os/exec", "os/signal", "golang.org/x/sys/", "golang.org/x/sync/", "k8s.io/", "github.com/prometheus/"},
		// fmt imports os, so only the imports that a package itself writes are checked.
		direct: true,
	},
	{
		name: "the core imports no edge",
		who:  core,
		deny: []string{
			module + "/cmd/", module + "/pkg/listener", module + "/pkg/kubewatch", module + "/pkg/kubefiles",
			module + "/pkg/upstream", module + "/pkg/forwarder", module + "/pkg/skydns", module + "/pkg/backend",
		},
	},
	{
		name: "records, the tree and the names know no DNS messages",
		who:  []string{"pkg/dnsname", "pkg/treecache", "pkg/records", "pkg/backend"},
		deny: []string{module + "/pkg/wire", "github.com/miekg/dns"},
	},
	{
		name: "the server sees nothing of Kubernetes",
		who:  []string{"pkg/skydns", "pkg/backend", "pkg/forwarder", "pkg/upstream", "pkg/listener"},
		deny: []string{"k8s.io/", module + "/pkg/kubewatch", module + "/pkg/kubefiles"},
	},
	{
		// backend builds the records of the API server's own name like those of any Service.
		name: "what a Service is, the DNS server does not know",
		who:  []string{"pkg/skydns", "pkg/forwarder", "pkg/upstream", "pkg/listener"},
		deny: []string{module + "/pkg/records", module + "/pkg/backend"},
	},
	{
		name: "the listener knows no DNS",
		who:  []string{"pkg/listener"},
		deny: []string{module + "/pkg/wire", module + "/pkg/dnsname", "github.com/miekg/dns", "golang.org/x/net/dns/"},
	},
	{
		name: "configuration needs the standard library and names only",
		who:  []string{"pkg/dnsconfig", "pkg/dnsmasq/options"},
		deny: []string{"k8s.io/", "github.com/miekg/dns", "github.com/spf13/", "sigs.k8s.io/"},
	},
	{
		name: "the policy of asking servers has no I/O, lock or goroutine helper",
		who:  []string{"pkg/upstream/policy"},
		deny: []string{
			"net", "net/", "os", "os/", "syscall", "sync", "sync/", "context", "log/", "math/rand", "math/rand/v2", "crypto/",
			"golang.org/x/", module + "/pkg/dnsname", module + "/pkg/upstream/transport", module + "/pkg/upstream/route", module + "/pkg/internal/",
		},
		direct: true,
	},
	{
		name: "transports and routes know no policy, and routes no transport",
		who:  []string{"pkg/upstream/transport", "pkg/upstream/route"},
		deny: []string{module + "/pkg/upstream/policy", module + "/pkg/upstream"},
	},
	{
		name:   "routes have no sockets",
		who:    []string{"pkg/upstream/route"},
		deny:   []string{module + "/pkg/upstream/transport", "net", "golang.org/x/sys/"},
		direct: true,
	},
	{
		name: "kubedns and exechealthz link nothing of dnsmasq",
		who:  []string{"cmd/kubedns", "cmd/exechealthz", "pkg/forwarder", "pkg/skydns", "pkg/upstream"},
		deny: []string{module + "/pkg/dnsmasq/", module + "/pkg/dnscache/"},
	},
	{
		name:   "what dnscache's options mean is decided without I/O",
		who:    []string{"pkg/dnscache/config"},
		deny:   []string{"net", "os", "syscall", "log/", "golang.org/x/sys/", module + "/pkg/listener"},
		direct: true,
	},
	{
		name: "dnscache links nothing of Kubernetes",
		who:  []string{"cmd/dnscache"},
		deny: []string{"k8s.io/", "sigs.k8s.io/", module + "/pkg/skydns", module + "/pkg/treecache"},
	},
	{
		name: "exechealthz links nothing of Kubernetes",
		who:  []string{"cmd/exechealthz"},
		deny: []string{"k8s.io/", "sigs.k8s.io/", module + "/pkg/skydns", module + "/pkg/listener"},
	},
	{
		name:   "no package logs through a global logger or reads the generated clientset",
		who:    []string{"pkg/", "cmd/"},
		deny:   []string{"log", "expvar", "k8s.io/client-go/kubernetes"},
		direct: true,
	},
}

// clientGo names the only packages that may import client-go themselves.
var clientGo = []string{"pkg/kubewatch", "pkg/kubefiles"}

// topLevel is everything that the root folder may contain, apart from dotfiles.
var topLevel = []string{
	"cmd", "pkg", "images", "manifests", "hack", "test", "docs",
	"go.mod", "go.sum", "Makefile", "README.md", "LICENSE", "bin", "dist",
	"CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md",
}

func TestImportRules(t *testing.T) {
	packages := list(t)
	for _, r := range rules {
		t.Run(strings.ReplaceAll(r.name, " ", "-"), func(t *testing.T) {
			for path, p := range packages {
				if !matches(r.who, strings.TrimPrefix(path, module+"/")) {
					continue
				}
				has := p.Deps
				if r.direct {
					has = p.Imports
				}
				for _, dep := range has {
					if matches(r.deny, dep) {
						t.Errorf("%s must not import %s: %s", path, dep, r.name)
					}
				}
			}
		})
	}
}

func TestClientGoStaysAtTheEdge(t *testing.T) {
	for path, p := range list(t) {
		inside := strings.TrimPrefix(path, module+"/")
		if slices.Contains(clientGo, inside) || !strings.HasPrefix(inside, "pkg/") && !strings.HasPrefix(inside, "cmd/") {
			continue
		}
		for _, dep := range p.Imports {
			if strings.HasPrefix(dep, "k8s.io/client-go") {
				t.Errorf("%s imports %s; only %v may", path, dep, clientGo)
			}
		}
	}
}

// TestPolicyHasNoClock: the policy of asking servers gets the time from its caller, so that
// its scenario files give the same result on every machine.
func TestPolicyHasNoClock(t *testing.T) {
	files, err := filepath.Glob("../../pkg/upstream/policy/*.go")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"time.Now", "time.Since", "time.Until", "time.Sleep", "time.After", "time.NewT", "time.Tick", "go func", "<-"} {
			if strings.Contains(string(src), word) {
				t.Errorf("%s contains %q: the policy has no clock and no goroutines", file, word)
			}
		}
	}
}

func TestEveryRuleHasItsPackages(t *testing.T) {
	packages := list(t)
	var named []string
	for _, r := range rules {
		named = append(named, r.who...)
	}
	for _, who := range append(named, clientGo...) {
		if strings.HasSuffix(who, "/") {
			continue
		}
		if _, ok := packages[module+"/"+who]; !ok {
			t.Errorf("a rule names %s, which is no package", who)
		}
	}
}

func TestOnePackageComment(t *testing.T) {
	for path, p := range list(t) {
		if strings.HasPrefix(path, module+"/cmd/") || len(p.GoFiles) == 0 {
			continue
		}
		comments := 0
		for _, name := range p.GoFiles {
			src, err := os.ReadFile(filepath.Join(p.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if documented(string(src)) {
				comments++
			}
		}
		if comments != 1 {
			t.Errorf("%s has %d package comments, want 1", path, comments)
		}
	}
}

// documented says whether a comment stands directly above the package clause.
func documented(src string) bool {
	before, _, found := strings.Cut("\n"+src, "\npackage ")
	if !found {
		return false
	}
	lines := strings.Split(before, "\n")
	last := strings.TrimSpace(lines[len(lines)-1])
	return strings.HasPrefix(last, "//") && !strings.HasPrefix(last, "//go:") || strings.HasSuffix(last, "*/")
}

func TestTopLevel(t *testing.T) {
	entries, err := os.ReadDir("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && !slices.Contains(topLevel, e.Name()) {
			t.Errorf("%s does not belong at the top level", e.Name())
		}
	}
}

func TestModuleFileHasNoReplace(t *testing.T) {
	data, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(data, []byte("\nreplace")) {
		t.Error("go.mod has a replace directive: users of the module would not get it")
	}
}

// matches says whether path is one of names, or lies below one that ends in a
// slash.
func matches(names []string, path string) bool {
	return slices.ContainsFunc(names, func(n string) bool {
		return path == n || strings.HasSuffix(n, "/") && strings.HasPrefix(path, n)
	})
}

// list returns the module's packages by import path.
func list(t *testing.T) map[string]pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,Doc,Standard,GoFiles,Imports,Deps", "./...")
	cmd.Dir = "../.."
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	packages := make(map[string]pkg)
	dec := json.NewDecoder(bytes.NewReader(out))
	for {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("go list: %v", err)
		}
		packages[p.ImportPath] = p
	}
	if len(packages) == 0 {
		t.Fatal("go list named no packages")
	}
	return packages
}
