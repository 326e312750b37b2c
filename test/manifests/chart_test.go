package manifests

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
)

const chart = root + "/chart"

// helmPath builds helm once.
var helmPath = sync.OnceValues(func() (string, error) {
	cmd := exec.Command("../../hack/tools.sh", "release")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	return filepath.Join(strings.TrimSpace(string(out)), "helm"), err
})

// helm runs helm without any of the user's settings. It returns what helm prints,
// and the error with what helm says about it.
func helm(t *testing.T, args ...string) ([]byte, error) {
	t.Helper()
	path, err := helmPath()
	if err != nil {
		t.Fatal("building helm: ", err)
	}
	home := t.TempDir()
	cmd := exec.Command(path, args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "KUBECONFIG=" + filepath.Join(home, "none")}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("helm %s: %w: %s%s", args[0], err, out, &stderr)
	}
	return out, err
}

// template renders the chart with values, which are written as YAML.
func template(t *testing.T, values string) ([]byte, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(file, []byte(values), 0o600); err != nil {
		t.Fatal(err)
	}
	return helm(t, "template", "kube-dns", chart, "--namespace", "kube-system", "--kube-version", "v1.34.0", "--values", file)
}

// contents returns each object as indented JSON, by kind, namespace and name.
func contents(t *testing.T, objects []runtime.Object) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, o := range objects {
		object, err := meta.Accessor(o)
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.MarshalIndent(o, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		key := fmt.Sprintf("%s %s/%s", o.GetObjectKind().GroupVersionKind().Kind, object.GetNamespace(), object.GetName())
		if _, twice := found[key]; twice {
			t.Errorf("%s occurs twice", key)
		}
		found[key] = string(text)
	}
	return found
}

// sameObjects reports each difference with the lines that only one side has.
func sameObjects(t *testing.T, got, want []runtime.Object) {
	t.Helper()
	chart, kustomize := contents(t, got), contents(t, want)
	for key, text := range kustomize {
		other, there := chart[key]
		if !there {
			t.Errorf("the chart lacks %s", key)
		} else if other != text {
			t.Errorf("%s differs:\nchart only: %q\nkustomize only: %q", key, only(other, text), only(text, other))
		}
		delete(chart, key)
	}
	for key := range chart {
		t.Errorf("only the chart has %s", key)
	}
}

func only(a, b string) (lines []string) {
	others := strings.Split(b, "\n")
	for line := range strings.SplitSeq(a, "\n") {
		if !slices.Contains(others, line) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// choices are, for each component, the values with which the chart renders the same objects.
var choices = map[string]string{
	"autopath":      "autopath: cluster",
	"autopath-all":  "autopath: all",
	"autoscaler":    "autoscaler: {enabled: true}",
	"clusterset":    "clustersetDomain: clusterset.local",
	"direct":        "direct: true",
	"domain":        "domain: example.internal\nclusterIP: 10.0.0.10",
	"dual-stack":    "service: {clusterIPs: [10.96.0.10, 'fd00:10:96::a'], ipFamilies: [IPv4, IPv6], ipFamilyPolicy: RequireDualStack}",
	"federations":   "config: {federations: {prod: prod.example.com}}",
	"ha":            "replicas: 2\nspread: true",
	"hpa":           "hpa: {enabled: true}",
	"ipv6":          "clusterIP: 'fd00:10:96::a'\nservice: {ipFamilies: [IPv6], ipFamilyPolicy: SingleStack}",
	"kubedns-port":  "kubednsPort: true",
	"monitoring":    "monitoring: {enabled: true}",
	"networkpolicy": "networkPolicy: {enabled: true}",
	"node-local":    "nodeLocal: {enabled: true}",
	"scrape":        "scrape: {enabled: true}",

	"node-local-metrics": "nodeLocal: {enabled: true, metrics: true}",

	"servicemonitor": "monitoring: {enabled: true, serviceMonitor: true}",
	"vpa":            "vpa: {enabled: true}",
	"tls-upstream":   "nameservers: ['tls://192.0.2.53%dns.example.net', 'tls://198.51.100.53%dns.example.net']",
}

// The chart renders what kustomize renders for the same choices: nothing chosen,
// each component, and components together.
func TestChartEqualsKustomize(t *testing.T) {
	combinations := [][]string{
		nil,
		{"direct", "clusterset", "autopath"},
		{"ha", "monitoring", "networkpolicy", "scrape"},
		{"ipv6", "direct", "ha", "federations"},
		{"dual-stack", "tls-upstream", "clusterset", "networkpolicy"},
		{"domain", "kubedns-port", "scrape", "tls-upstream"},
		{"node-local", "direct", "clusterset", "dual-stack", "ha", "networkpolicy", "scrape"},
		{"node-local", "domain", "tls-upstream"},
		{"node-local-metrics", "clusterset", "dual-stack", "tls-upstream", "scrape"},
		{"servicemonitor", "vpa", "hpa", "scrape"},
	}
	folders, err := os.ReadDir(root + "/components")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range folders {
		if _, known := choices[f.Name()]; !known {
			t.Errorf("no values of the chart are known to give the component %s", f.Name())
			continue
		}
		combinations = append(combinations, []string{f.Name()})
	}
	for _, components := range combinations {
		t.Run(strings.Join(components, "+"), func(t *testing.T) {
			values := []string{"images: {tag: latest}"}
			for _, c := range components {
				values = append(values, choices[c])
			}
			out, err := template(t, strings.Join(values, "\n"))
			if err != nil {
				t.Fatal(err)
			}
			want := kustomize(t, root)
			if len(components) > 0 {
				want = together(t, components...)
			}
			sameObjects(t, decode(t, out), want)
		})
	}
}

// The chart's options that no component has.
func TestChartValues(t *testing.T) {
	out, err := template(t, `
images:
  tag: v9
  kubedns: {repository: images.example/dns/kubedns}
  dnscache: {repository: dnscache, tag: v8}
  pullSecrets: [pull]
config:
  stubDomains: {corp.example: [10.0.0.53, "10.0.0.54:5353"]}
  upstreamNameservers: [10.1.0.53]
extraArgs: {dnscache: [--log-queries]}
nodeSelector: {kubernetes.io/os: linux, pool: system}
podAnnotations: {note: "1"}
replicas: 0
`)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"image: images.example/dns/kubedns:v9", "image: dnscache:v8", "image: exechealthz:v9", "- name: pull",
		`stubDomains: "{\"corp.example\":[\"10.0.0.53\",\"10.0.0.54:5353\"]}"`, `upstreamNameservers: "[\"10.1.0.53\"]"`,
		`- "--log-queries"`, "pool: system", `note: "1"`, "replicas: 0\n",
	} {
		if !bytes.Contains(out, []byte(want)) {
			t.Errorf("not rendered: %s", want)
		}
	}
	decode(t, out)
}

// Invalid values are refused with a message that names the value.
func TestChartRefuses(t *testing.T) {
	for values, want := range map[string]string{
		"domain: 'cluster local'": "domain",
		"clusterIP: ten":          "clusterIP",
		"replicas: two":           "replicas",
		"{autoscaler: {enabled: true}, hpa: {enabled: true}}":              "only one",
		"hpa: {enabled: true, maxReplicas: 0}":                             "maxReplicas",
		"vpa: {enabled: true, updateMode: Auto}":                           "updateMode",
		"vpa: {enabled: true, updateMode: Off}":                            "updateMode",
		"domain: a_b.local":                                                "domain",
		"clustersetDomain: cluster_set.local":                              "clustersetDomain",
		"clustersetDomain: cluster.local":                                  "must not be equal to, above or below domain",
		"clustersetDomain: set.cluster.local.":                             "must not be equal to, above or below domain",
		"clustersetDomain: local":                                          "must not be equal to, above or below domain",
		"clusterIP: 10.96.0.256":                                           "clusterIP",
		"hpa: {enabled: true, minReplicas: 5, maxReplicas: 2}":             "hpa.minReplicas is larger",
		"{replicas: 3, hpa: {enabled: true}}":                              "replicas: leave it empty",
		"{replicas: 3, autoscaler: {enabled: true}}":                       "replicas: leave it empty",
		"images: {tag: 'a b'}":                                             "tag",
		"images: {kubedns: {repository: 'a b'}}":                           "repository",
		"config: {stubDomains: {a_b.example: [10.0.0.1]}}":                 "stubDomains",
		"config: {stubDomains: {a.example.: [10.0.0.1]}}":                  "stubDomains",
		"config: {stubDomains: {a.example: ['10.0.0.1 10.0.0.2']}}":        "stubDomains",
		"config: {upstreamNameservers: ['10.0.0.1,10.0.0.2']}":             "upstreamNameservers",
		"config: {federations: {a: b.example.}}":                           "federations",
		"nameservers: ['10.0.0.1 10.0.0.2']":                               "nameservers",
		"replica: 2":                                                       "replica",
		"config: {stubdomains: {}}":                                        "stubdomains",
		"config: {stubDomains: {corp.example: 10.0.0.1}}":                  "stubDomains",
		"images: {kubedns: {name: x}}":                                     "images",
		"service: {ipFamilies: [ipv4]}":                                    "ipFamilies",
		"service: {clusterIPs: [10.0.0.10, 'fd00:10:96::a']}":              "must be clusterIP",
		"direct: 'yes'":                                                    "direct",
		"nodeLocal: {enabled: true, addresses: [169.254.20]}":              "addresses",
		"nodeLocal: {enabled: true, address: 169.254.20.10}":               "address",
		"nodeLocal: {enabled: true, addresses: [], serviceAddress: false}": "at least one address",
	} {
		out, err := template(t, values)
		if err == nil {
			t.Errorf("%s: rendered:\n%s", values, out)
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want the message to contain %q", values, err, want)
		}
	}
}

// The schema knows every value that values.yaml documents, and no other.
func TestChartLint(t *testing.T) {
	out, err := helm(t, "lint", "--strict", "--quiet", chart)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(out, []byte("WARNING")) || bytes.Contains(out, []byte("ERROR")) {
		t.Errorf("helm lint: %s", out)
	}
}
