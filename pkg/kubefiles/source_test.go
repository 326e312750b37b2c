package kubefiles

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/cache"

	"github.com/kube-dns/kube-dns/test/testkit"
)

func service(name, ip string) string {
	return "apiVersion: v1\nkind: Service\nmetadata: {name: " + name + "}\nspec: {clusterIP: " + ip + "}\n"
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// list returns "namespace/name@version" of what lw holds.
func list(t *testing.T, lw cache.ListerWatcherWithContext) []string {
	t.Helper()
	got, err := lw.ListWithContext(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	out := []string{}
	err = meta.EachListItem(got, func(o runtime.Object) error {
		obj := o.(object)
		out = append(out, obj.GetNamespace()+"/"+obj.GetName()+"@"+obj.GetResourceVersion())
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestOpenErrors(t *testing.T) {
	tests := []struct {
		name    string
		content string
		want    []string // each in the error
	}{
		{"empty", " \n", []string{"x.yaml: the file is empty"}},
		{"syntax", "a: [", []string{"x.yaml: document 1"}},
		{"second document", service("a", "None") + "---\n{", []string{"x.yaml: document 2"}},
		{"no kind", "metadata: {name: a}", []string{"x.yaml: document 1: apiVersion or kind is missing"}},
		{"scalar", "hello", []string{"x.yaml: document 1"}},
		{"wrong type", "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: 80}", []string{"x.yaml: document 1", "ports"}},
		{
			"import", "apiVersion: multicluster.x-k8s.io/v1beta1\nkind: ServiceImport\nmetadata: {name: a}\nspec: {type: Other, ports: [{port: 0}]}",
			[]string{"ServiceImport a: spec.type", "ServiceImport a: spec.ports[0].port"},
		},
		{
			"import of the wrong shape", "apiVersion: multicluster.x-k8s.io/v1alpha1\nkind: ServiceImport\nmetadata: {name: a}\nspec: {ports: [{port: x}]}",
			[]string{"ServiceImport a: spec"},
		},
		{"address", service("a", "1.2.3"), []string{"x.yaml: document 1: Service a: spec.clusterIP", `"1.2.3"`}},
		{
			"several",
			service("a", "1.2.3") + "---\n" + service("B", "None"),
			[]string{"document 1: Service a: spec.clusterIP", `document 2: Service B: metadata.name`},
		},
		{"duplicate", service("a", "None") + "---\n" + service("a", "None"), []string{"x.yaml: document 2: Service default/a is already defined in", "x.yaml: document 1"}},
		{
			"duplicate in a typed list", "apiVersion: v1\nkind: ServiceList\nitems: [{metadata: {name: a}}, {metadata: {name: a}}]",
			[]string{"x.yaml: document 1: items[1]: Service default/a is already defined in"},
		},
		{"duplicate key", "apiVersion: v1\nkind: Service\nkind: Service\n", []string{"document 1", `"kind"`}},
		{
			"in a list",
			"apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: [{port: 0}]}}",
			[]string{"x.yaml: document 1: items[0]: Service a: spec.ports[0].port"},
		},
		{
			"slice",
			"apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: a}\naddressType: IPv4\nendpoints: [{addresses: ['fd00::1']}, {addresses: [1.2.3.4], hostname: a.b}]",
			[]string{"endpoints[0].addresses[0]", "endpoints[1].hostname"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.yaml")
			write(t, path, tt.content)
			_, err := Open(Config{Path: path, Logger: slog.New(slog.DiscardHandler)})
			if err == nil {
				t.Fatalf("no error for\n%s", tt.content)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q lacks %q", err, want)
				}
			}
		})
	}
}

func TestOpenMissing(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{dir, filepath.Join(dir, "none.yaml")} {
		if _, err := Open(Config{Path: path, Logger: slog.New(slog.DiscardHandler)}); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("Open(%s) = %v, want an error that names it", path, err)
		}
	}
}

// A folder with all that is understood, in every form.
func TestOpen(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.yaml"), "# only a comment\n---\n"+service("a", "None")+"---\n# nothing\n---\n"+service("b", "10.0.0.1"))
	write(t, filepath.Join(dir, "b.json"), `{"apiVersion":"v1","kind":"Service","metadata":{"name":"c","namespace":"other"},"spec":{"clusterIP":"None"}}
{"apiVersion":"v1","kind":"Node","metadata":{"name":"n"},"spec":{"nope":1}}`)
	write(t, filepath.Join(dir, "c.yml"), `apiVersion: v1
kind: List
items:
- apiVersion: discovery.k8s.io/v1
  kind: EndpointSlice
  metadata: {name: a-1, labels: {kubernetes.io/service-name: a}}
  addressType: IPv4
- {apiVersion: apps/v1, kind: Deployment, metadata: {name: d}}
- {apiVersion: v1, kind: ConfigMap, metadata: {name: kube-dns, namespace: kube-system}, data: {a: b}}
- {apiVersion: v1, kind: ConfigMap, metadata: {name: other, namespace: kube-system}}
- {apiVersion: v1, kind: Endpoints, metadata: {name: a}, subsets: [{addresses: [{ip: 10.1.1.1}]}]}
- apiVersion: v1
  kind: Endpoints
  metadata: {name: b}
  subsets: [{addresses: [{ip: 10.1.1.1, hostname: h}, {ip: 'fd00::1'}], notReadyAddresses: [{ip: 10.1.1.2}], ports: [{name: p, port: 80}]}]
---
apiVersion: v1
kind: ServiceList
items:
- metadata: {name: d}
  spec: {clusterIP: None}
`)
	write(t, filepath.Join(dir, ".hidden.yaml"), "nonsense")
	write(t, filepath.Join(dir, "README.md"), "nonsense")
	var log bytes.Buffer
	s, err := Open(Config{Path: dir, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		lw   cache.ListerWatcherWithContext
		want []string
	}{
		{"services", s.Services(), []string{"default/a@1", "default/b@1", "default/d@1", "other/c@1"}},
		{"slices", s.Slices(), []string{"default/a-1@1", "default/b:endpoints-0-v4@1", "default/b:endpoints-0-v6@1"}},
		{"nodes", s.Nodes(), []string{"/n@1"}},
		{"configmap", s.ConfigMap("kube-system", "kube-dns"), []string{"kube-system/kube-dns@1"}},
		{"no configmap", s.ConfigMap("default", "kube-dns"), []string{}},
	} {
		if diff := cmp.Diff(tt.want, list(t, tt.lw)); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", tt.name, diff)
		}
	}
	if !strings.Contains(log.String(), `files=3 `) || !strings.Contains(log.String(), `skipped=1 skipped_kinds="apps/v1 Deployment"`) {
		t.Errorf("the log does not say what was loaded and skipped:\n%s", log.String())
	}
	if got := log.String(); !strings.Contains(got, `document 2: unknown field \"spec.nope\"`) || !strings.Contains(got, "b.json") {
		t.Errorf("the log does not name the unknown field and its place:\n%s", got)
	}
}

func TestExamples(t *testing.T) {
	var log bytes.Buffer
	s, err := Open(Config{Path: "../../manifests/examples", Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(list(t, s.Services())); n < 6 {
		t.Errorf("%d services in the examples", n)
	}
	if strings.Contains(log.String(), "WARN") {
		t.Errorf("the examples are not clean:\n%s", log.String())
	}
}

// started returns a running source over a folder with one file, and its path.
func started(t *testing.T, content string) (*Source, string) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "x.yaml")
	write(t, path, content)
	s, err := Open(Config{Path: dir, Logger: slog.New(slog.DiscardHandler), Poll: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Run(ctx)
	}()
	t.Cleanup(func() { cancel(); <-done })
	return s, path
}

// currentProblem returns why the current files are not loaded.
func (s *Source) currentProblem() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.problem
}

func TestReload(t *testing.T) {
	s, path := started(t, service("a", "10.0.0.1")+"---\n"+service("b", "10.0.0.2"))
	has := func(want ...string) func() bool {
		return func() bool { return cmp.Equal(want, list(t, s.Services())) }
	}
	testkit.Eventually(t, "the first state", has("default/a@1", "default/b@1"))

	// In place: b changes, a keeps its version.
	write(t, path, service("a", "10.0.0.1")+"---\n"+service("b", "10.0.0.3"))
	testkit.Eventually(t, "b changed", has("default/a@1", "default/b@2"))

	// Atomically: c comes, b goes.
	write(t, path+".tmp", service("a", "10.0.0.1")+"---\n"+service("c", "10.0.0.2"))
	if err := os.Rename(path+".tmp", path); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "c in b's place", has("default/a@1", "default/c@3"))

	// Nothing at all, as between opening a file and writing it.
	write(t, path, "")
	testkit.Eventually(t, "an error about an empty file", func() bool { return s.currentProblem() != nil })
	write(t, path, service("a", "10.0.0.1")+"---\n"+service("c", "10.0.0.2"))
	testkit.Eventually(t, "no error after it was written", func() bool { return s.currentProblem() == nil })

	// Half a document: the last good state stays and the error is told.
	write(t, path, service("a", "10.0.0.1")+"---\napiVersion: v1\nkind: {")
	testkit.Eventually(t, "an error", func() bool { return s.currentProblem() != nil })
	if !has("default/a@1", "default/c@3")() {
		t.Errorf("after a torn write: %v", list(t, s.Services()))
	}

	// The file goes away: the same.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "an error about the folder", func() bool { return strings.Contains(s.currentProblem().Error(), "no file named") })

	// What was offered all along is back: no error, no new versions.
	write(t, path, service("a", "10.0.0.1")+"---\n"+service("c", "10.0.0.2"))
	testkit.Eventually(t, "no error", func() bool { return s.currentProblem() == nil })
	if !has("default/a@1", "default/c@3")() {
		t.Errorf("after the file came back: %v", list(t, s.Services()))
	}
}

// A ConfigMap volume: files are links through ..data, which is swapped.
func TestReloadVolume(t *testing.T) {
	dir := t.TempDir()
	for i, ip := range []string{"10.0.0.1", "10.0.0.2"} {
		version := filepath.Join(dir, []string{"..1", "..2"}[i])
		if err := os.Mkdir(version, 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(version, "x.yaml"), service("a", ip))
	}
	link := func(target, name string) {
		t.Helper()
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	link("..1", "..data")
	link("..data/x.yaml", "x.yaml")
	s, err := Open(Config{Path: dir, Logger: slog.New(slog.DiscardHandler), Poll: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Run(ctx)
	}()
	defer func() { cancel(); <-done }()
	link("..2", "..new")
	if err := os.Rename(filepath.Join(dir, "..new"), filepath.Join(dir, "..data")); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the second version", func() bool { return cmp.Equal([]string{"default/a@2"}, list(t, s.Services())) })
}

// ServiceImports are read in both versions of their API, whatever else they say, and a
// slice may belong to one of them alone.
func TestImports(t *testing.T) {
	var log bytes.Buffer
	path := filepath.Join(t.TempDir(), "x.yaml")
	write(t, path, `apiVersion: multicluster.x-k8s.io/v1beta1
kind: ServiceImport
metadata: {name: a, namespace: ns1}
spec: {type: ClusterSetIP, ips: [10.7.0.1], ports: [{port: 80}], sessionAffinity: None, ipFamilies: [IPv4]}
status: {clusters: [{cluster: ca}], conditions: [{type: Ready}]}
---
apiVersion: multicluster.x-k8s.io/v1alpha1
kind: ServiceImport
metadata: {name: b.c}
spec: {type: Headless}
---
apiVersion: multicluster.x-k8s.io/v2
kind: ServiceImport
metadata: {name: later}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: a-1, namespace: ns1, labels: {multicluster.kubernetes.io/service-name: a}}
addressType: IPv4
endpoints: [{addresses: [10.9.0.1]}]
`)
	s, err := Open(Config{Path: path, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := list(t, s.Imports()[0]), []string{"default/b.c@1", "ns1/a@1"}; !slices.Equal(got, want) {
		t.Errorf("imports %v, want %v", got, want)
	}
	if strings.Contains(log.String(), "level=WARN") {
		t.Errorf("warnings:\n%s", &log)
	}
	if !strings.Contains(log.String(), `skipped=1 skipped_kinds="multicluster.x-k8s.io/v2 ServiceImport"`) {
		t.Errorf("skipped:\n%s", &log)
	}
}
