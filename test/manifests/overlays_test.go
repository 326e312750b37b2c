package manifests

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kube-dns/kube-dns/test/addon"
)

// kubectlPath finds kubectl once: KUBECTL, or the one that the script builds.
var kubectlPath = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("KUBECTL"); path != "" {
		return path, nil
	}
	cmd := exec.Command("../../hack/kube-binaries.sh", "kubectl")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	return filepath.Join(strings.TrimSpace(string(out)), "kubectl"), err
})

func kubectl(tb testing.TB) string {
	tb.Helper()
	path, err := kubectlPath()
	if err != nil {
		tb.Fatal("building kubectl: ", err)
	}
	return path
}

// kustomize renders a folder as `kubectl apply -k` would.
func kustomize(t *testing.T, dir string) []runtime.Object {
	t.Helper()
	cmd := exec.Command(kubectl(t), "kustomize", dir)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("kubectl kustomize %s: %v: %s", dir, err, stderr.String())
	}
	return decode(t, out)
}

// together renders the base with several components.
func together(t *testing.T, components ...string) []runtime.Object {
	t.Helper()
	dir := t.TempDir()
	if err := addon.Kustomization(dir, components...); err != nil {
		t.Fatal(err)
	}
	return kustomize(t, dir)
}

// find returns the object of that type and name.
func find[T interface {
	runtime.Object
	GetName() string
}](t *testing.T, objects []runtime.Object, name string) T {
	t.Helper()
	for _, o := range objects {
		if o, ok := o.(T); ok && o.GetName() == name {
			return o
		}
	}
	var none T
	t.Fatalf("no %T named %s", none, name)
	return none
}

func deployment(t *testing.T, objects []runtime.Object) *appsv1.Deployment {
	t.Helper()
	return find[*appsv1.Deployment](t, objects, "kube-dns")
}

func args(t *testing.T, objects []runtime.Object, container string) []string {
	t.Helper()
	for _, c := range deployment(t, objects).Spec.Template.Spec.Containers {
		if c.Name == container {
			return c.Args
		}
	}
	t.Fatalf("no container %s", container)
	return nil
}

// differences has, for each component, a check of the difference that the component makes.
var differences = map[string]func(*testing.T, []runtime.Object){
	"autopath":      isCompleting("cluster"),
	"autopath-all":  isCompleting("all"),
	"autoscaler":    isAutoscaled,
	"clusterset":    isMultiCluster,
	"direct":        isDirect,
	"domain":        isOtherDomain,
	"dual-stack":    isDualStack,
	"federations":   isFederated,
	"ha":            isRedundant,
	"hpa":           isHorizontallyScaled,
	"ipv6":          isIPv6,
	"kubedns-port":  isReachable,
	"monitoring":    isMonitored,
	"networkpolicy": isGuarded,
	"node-local":    isOnEveryNode,
	"scrape":        isScraped,

	"node-local-metrics": isMeasuredOnEveryNode,

	"servicemonitor": isMonitoredByService,
	"vpa":            isSized,
	"tls-upstream":   isEncrypted,
}

// Every overlay renders to consistent objects, and makes the difference that it is meant to
// make.
func TestOverlays(t *testing.T) {
	programs := t.TempDir()
	if err := addon.Build(programs, nil, "kubedns", "dnscache", "exechealthz"); err != nil {
		t.Fatal(err)
	}
	left := maps.Clone(differences)
	folders, err := os.ReadDir(root + "/overlays")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range folders {
		t.Run(f.Name(), func(t *testing.T) {
			differs, known := differences[f.Name()]
			if !known {
				t.Fatal("no test knows what this overlay is for")
			}
			delete(left, f.Name())
			objects := kustomize(t, filepath.Join(root, "overlays", f.Name()))
			check(t, programs, objects)
			differs(t, objects)
		})
	}
	for name := range left {
		t.Errorf("overlay %s is gone", name)
	}
	t.Run("none", func(t *testing.T) {
		objects := kustomize(t, root)
		check(t, programs, objects)
		if !slices.Contains(args(t, objects, "kubedns"), loopbackOnly) {
			t.Error("kubedns answers at the Pod's address")
		}
	})
	t.Run("together", func(t *testing.T) {
		objects := together(t, "domain", "direct", "clusterset", "autopath", "federations", "ha", "monitoring", "networkpolicy", "scrape")
		check(t, programs, objects)
		for _, differs := range []func(*testing.T, []runtime.Object){isDirect, isOtherDomain, isMultiCluster, isCompleting("cluster"), isFederated, isRedundant, isGuarded, isMonitored, isScraped} {
			differs(t, objects)
		}
	})
}

// check checks what must hold for every overlay.
func check(t *testing.T, programs string, objects []runtime.Object) {
	t.Helper()
	checkNames(t, objects)
	checkProbes(t, deployment(t, objects))
	checkSecurity(t, deployment(t, objects))
	checkToken(t, deployment(t, objects))
	checkLoopback(t, deployment(t, objects))
	for _, c := range deployment(t, objects).Spec.Template.Spec.Containers {
		program, _, _ := strings.Cut(c.Image, ":")
		if out := refusal(t, filepath.Join(programs, program), c.Args); out != "" {
			t.Errorf("%s refuses %q: %s", program, c.Args, out)
		}
	}
}

// checkNames checks that the names on which clients of a kube-dns installation rely stay the
// same, so that apply over an existing installation works.
func checkNames(t *testing.T, objects []runtime.Object) {
	t.Helper()
	s, d := find[*corev1.Service](t, objects, "kube-dns"), deployment(t, objects)
	if s.Namespace != "kube-system" || d.Namespace != "kube-system" {
		t.Errorf("Service in %s, Deployment in %s, want kube-system", s.Namespace, d.Namespace)
	}
	for _, labels := range []map[string]string{s.Spec.Selector, d.Spec.Selector.MatchLabels} {
		if len(labels) != 1 || labels["k8s-app"] != "kube-dns" {
			t.Errorf("selector %v, want k8s-app=kube-dns alone", labels)
		}
	}
	var ports []string
	for _, p := range s.Spec.Ports {
		ports = append(ports, fmt.Sprintf("%s %d/%s", p.Name, p.Port, p.Protocol))
	}
	if want := []string{"dns 53/UDP", "dns-tcp 53/TCP"}; !slices.Equal(ports, want) {
		t.Errorf("ports %v, want %v", ports, want)
	}
}

// checkProbes checks that probes request only paths from exechealthz's own arguments. A probe
// on any other path would restart a healthy container for ever.
func checkProbes(t *testing.T, d *appsv1.Deployment) {
	t.Helper()
	served := map[string]bool{"8081/readiness": true, "8080/metrics": true}
	for _, c := range d.Spec.Template.Spec.Containers {
		for _, arg := range c.Args {
			if url, ok := strings.CutPrefix(arg, "--url="); ok {
				served["8080"+url] = true
			}
		}
	}
	probes := 0
	for _, c := range d.Spec.Template.Spec.Containers {
		for _, p := range []*corev1.Probe{c.LivenessProbe, c.ReadinessProbe} {
			if p == nil {
				continue
			}
			probes++
			if got := p.HTTPGet.Port.String() + p.HTTPGet.Path; !served[got] {
				t.Errorf("%s: nothing serves %s", c.Name, got)
			}
		}
	}
	if probes != 4 {
		t.Errorf("%d probes, want 4", probes)
	}
}

// checkSecurity checks that the containers have no root, no capabilities and no writable file
// system.
func checkSecurity(t *testing.T, d *appsv1.Deployment) {
	t.Helper()
	for _, c := range d.Spec.Template.Spec.Containers {
		s := c.SecurityContext
		if s == nil || s.RunAsNonRoot == nil || !*s.RunAsNonRoot || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation ||
			s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem {
			t.Errorf("%s may do too much: %v", c.Name, s)
			continue
		}
		if s.Capabilities == nil || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) || len(s.Capabilities.Add) > 0 {
			t.Errorf("%s keeps capabilities: %v", c.Name, s.Capabilities)
		}
	}
}

// tokenPath is where client-go looks for the ServiceAccount's token.
const tokenPath = "/var/run/secrets/kubernetes.io/serviceaccount"

// checkToken checks that only kubedns's container has the ServiceAccount's token, together
// with the other files that client-go needs.
func checkToken(t *testing.T, d *appsv1.Deployment) {
	t.Helper()
	pod := d.Spec.Template.Spec
	if pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken {
		t.Error("every container gets the ServiceAccount's token")
	}
	secret := map[string]bool{}
	for _, v := range pod.Volumes {
		if v.Secret != nil || v.HostPath != nil {
			t.Errorf("volume %s is a Secret or a folder of the node", v.Name)
		}
		if v.Projected == nil {
			continue
		}
		var files []string
		for _, s := range v.Projected.Sources {
			switch {
			case s.ServiceAccountToken != nil:
				secret[v.Name] = true
				files = append(files, s.ServiceAccountToken.Path)
			case s.ConfigMap != nil:
				files = append(files, s.ConfigMap.Items[0].Path)
			case s.DownwardAPI != nil:
				files = append(files, s.DownwardAPI.Items[0].Path)
			}
		}
		if want := []string{"token", "ca.crt", "namespace"}; !slices.Equal(files, want) {
			t.Errorf("volume %s holds %v, want %v", v.Name, files, want)
		}
	}
	if len(secret) != 1 {
		t.Errorf("%d volumes hold a token, want 1", len(secret))
	}
	for _, c := range pod.Containers {
		has := slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool {
			return secret[m.Name] && m.MountPath == tokenPath && m.ReadOnly
		})
		if want := c.Name == "kubedns"; has != want {
			t.Errorf("%s: token mounted: %v, want %v", c.Name, has, want)
		}
	}
}

const loopbackOnly = "--dns-bind-address=127.0.0.1"

// checkLoopback checks that kubedns's DNS port is reachable at the Pod's address if and only
// if the container declares it.
func checkLoopback(t *testing.T, d *appsv1.Deployment) {
	t.Helper()
	for _, c := range d.Spec.Template.Spec.Containers {
		if c.Name != "kubedns" {
			continue
		}
		declared := slices.ContainsFunc(c.Ports, func(p corev1.ContainerPort) bool { return p.ContainerPort == 10053 })
		if bound := slices.Contains(c.Args, loopbackOnly); bound == declared {
			t.Errorf("kubedns bound to loopback: %v, port 10053 declared: %v", bound, declared)
		}
	}
}

// isCompleting returns a check that kubedns completes names with a mode, and needs no
// additional rights.
func isCompleting(mode string) func(*testing.T, []runtime.Object) {
	return func(t *testing.T, objects []runtime.Object) {
		t.Helper()
		if got := args(t, objects, "kubedns"); !slices.Contains(got, "--autopath="+mode) {
			t.Errorf("kubedns %q", got)
		}
		for _, rule := range find[*rbacv1.ClusterRole](t, objects, "kube-dns-addon").Rules {
			if slices.Contains(rule.Resources, "pods") {
				t.Errorf("rule %v", rule)
			}
		}
	}
}

// isMultiCluster checks that kubedns answers for ServiceImports and may read them, and that
// dnscache sends questions about their names to kubedns.
func isMultiCluster(t *testing.T, objects []runtime.Object) {
	t.Helper()
	if got := args(t, objects, "kubedns"); !slices.Contains(got, "--clusterset-domain=clusterset.local.") {
		t.Errorf("kubedns %q", got)
	}
	if got := args(t, objects, "dnscache"); !slices.Contains(got, "--server=/clusterset.local/127.0.0.1#10053") {
		t.Errorf("dnscache %q", got)
	}
	want := rbacv1.PolicyRule{APIGroups: []string{"multicluster.x-k8s.io"}, Resources: []string{"serviceimports"}, Verbs: []string{"list", "watch"}}
	role := find[*rbacv1.ClusterRole](t, objects, "kube-dns-addon")
	if !slices.ContainsFunc(role.Rules, func(rule rbacv1.PolicyRule) bool { return reflect.DeepEqual(rule, want) }) {
		t.Errorf("rules %v, want %v among them", role.Rules, want)
	}
}

func isReachable(t *testing.T, objects []runtime.Object) {
	t.Helper()
	if got := args(t, objects, "kubedns"); slices.ContainsFunc(got, func(arg string) bool { return strings.HasPrefix(arg, "--dns-bind-address") }) {
		t.Errorf("kubedns is bound to one address: %q", got)
	}
	if declared := ports(t, objects); !declared["10053/UDP"] || !declared["10053/TCP"] {
		t.Errorf("ports %v, want 10053 among them", declared)
	}
}

// refusal checks arguments with the program's own parser. It returns the error, or "" if
// there is none. dnscache has an option for that; the other two programs get one additional
// wrong flag, which must be the only error.
func refusal(t *testing.T, program string, args []string) string {
	t.Helper()
	wrong, complaint := "--test", "syntax check OK"
	switch filepath.Base(program) {
	case "kubedns":
		wrong, complaint = "--negative-ttl=-7s", "--negative-ttl=-7s"
	case "exechealthz":
		wrong, complaint = "--port=-7", "--port=-7"
	}
	out, err := exec.Command(program, append(slices.Clone(args), wrong)...).CombinedOutput()
	if (err == nil) != (wrong == "--test") {
		return fmt.Sprintf("%v: %s", err, out)
	}
	lines := slices.DeleteFunc(strings.Split(strings.TrimSpace(string(out)), "\n"), func(line string) bool {
		return strings.Contains(line, "--help") // where to read more
	})
	if len(lines) != 1 || !strings.Contains(lines[0], complaint) {
		return string(out)
	}
	return ""
}

// TestRefusal: the check of arguments can fail.
func TestRefusal(t *testing.T) {
	programs := t.TempDir()
	if err := addon.Build(programs, nil, "kubedns", "dnscache", "exechealthz"); err != nil {
		t.Fatal(err)
	}
	for program, args := range map[string][]string{
		"kubedns":     {"--domain=-."},
		"dnscache":    {"--cache-size=many"},
		"exechealthz": {"--cmd=true", "--cmd=true"},
	} {
		if refusal(t, filepath.Join(programs, program), args) == "" {
			t.Errorf("%s is said to accept %q", program, args)
		}
		if refusal(t, filepath.Join(programs, program), []string{"--nosuch"}) == "" {
			t.Errorf("%s is said to accept --nosuch", program)
		}
	}
}

func isDirect(t *testing.T, objects []runtime.Object) {
	t.Helper()
	got := args(t, objects, "dnscache")
	for _, want := range []string{"--", "-configDir=/etc/k8s/dns/dnsmasq-nanny", "--server=/cluster.local/127.0.0.1#10053"} {
		if !slices.Contains(got, want) {
			t.Errorf("dnscache has no %s: %q", want, got)
		}
	}
	if slices.Contains(got, "--no-resolv") {
		t.Error("dnscache has --no-resolv, and so no way to the node's resolvers")
	}
}

func isOtherDomain(t *testing.T, objects []runtime.Object) {
	t.Helper()
	if ip := find[*corev1.Service](t, objects, "kube-dns").Spec.ClusterIP; ip != "10.0.0.10" {
		t.Errorf("clusterIP %s", ip)
	}
	for _, container := range []string{"kubedns", "dnscache", "healthz"} {
		got := strings.Join(args(t, objects, container), " ")
		if container == "dnscache" && strings.Contains(got, "-configDir=") {
			continue // direct's arguments are changed by hack/render.sh
		}
		if strings.Contains(got, "cluster.local") || !strings.Contains(got, "example.internal") {
			t.Errorf("%s: %s", container, got)
		}
	}
}

func isDualStack(t *testing.T, objects []runtime.Object) {
	t.Helper()
	s := find[*corev1.Service](t, objects, "kube-dns")
	if len(s.Spec.ClusterIPs) != 2 || s.Spec.ClusterIPs[0] != s.Spec.ClusterIP || len(s.Spec.IPFamilies) != 2 {
		t.Errorf("clusterIP %s, clusterIPs %v, families %v", s.Spec.ClusterIP, s.Spec.ClusterIPs, s.Spec.IPFamilies)
	}
}

func isFederated(t *testing.T, objects []runtime.Object) {
	t.Helper()
	if find[*corev1.ConfigMap](t, objects, "kube-dns").Data["federations"] == "" {
		t.Error("no federations")
	}
	role := find[*rbacv1.ClusterRole](t, objects, "kube-dns-addon")
	if !slices.ContainsFunc(role.Rules, func(r rbacv1.PolicyRule) bool {
		return slices.Equal(r.Resources, []string{"nodes"}) && slices.Equal(r.Verbs, []string{"list"})
	}) {
		t.Errorf("the role's rules are %v, want one with nodes: [list]", role.Rules)
	}
}

func isRedundant(t *testing.T, objects []runtime.Object) {
	t.Helper()
	d := deployment(t, objects)
	if d.Spec.Replicas == nil || *d.Spec.Replicas != 2 || d.Spec.Strategy.RollingUpdate.MaxUnavailable.IntValue() != 0 {
		t.Errorf("replicas %v, strategy %v", d.Spec.Replicas, d.Spec.Strategy)
	}
	pod := d.Spec.Template.Spec
	if pod.Affinity == nil || pod.Affinity.PodAntiAffinity == nil || len(pod.TopologySpreadConstraints) != 1 {
		t.Errorf("affinity %v, spread %v", pod.Affinity, pod.TopologySpreadConstraints)
	}
	budget := find[*policyv1.PodDisruptionBudget](t, objects, "kube-dns")
	if budget.Spec.MaxUnavailable.IntValue() != 1 || budget.Spec.Selector.MatchLabels["k8s-app"] != "kube-dns" {
		t.Errorf("budget %v", budget.Spec)
	}
}

func isIPv6(t *testing.T, objects []runtime.Object) {
	t.Helper()
	s := find[*corev1.Service](t, objects, "kube-dns")
	if !strings.Contains(s.Spec.ClusterIP, ":") || !slices.Equal(s.Spec.IPFamilies, []corev1.IPFamily{corev1.IPv6Protocol}) {
		t.Errorf("clusterIP %s, families %v", s.Spec.ClusterIP, s.Spec.IPFamilies)
	}
}

// isEncrypted checks that kubedns asks over TLS, each server with the name of its
// certificate, and that dnscache asks only kubedns.
func isEncrypted(t *testing.T, objects []runtime.Object) {
	t.Helper()
	found := false
	for _, arg := range args(t, objects, "kubedns") {
		list, ok := strings.CutPrefix(arg, "--nameservers=")
		if !ok {
			continue
		}
		found = true
		for server := range strings.SplitSeq(list, ",") {
			if !strings.HasPrefix(server, "tls://") || !strings.Contains(server, "%") {
				t.Errorf("server %s is not authenticated by its name", server)
			}
		}
	}
	if !found {
		t.Error("kubedns asks the node's resolvers")
	}
	if !slices.Contains(args(t, objects, "dnscache"), "--no-resolv") {
		t.Error("dnscache asks the node's resolvers")
	}
}
