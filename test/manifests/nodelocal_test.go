package manifests

import (
	"bytes"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/kube-dns/kube-dns/test/addon"
)

// The addresses of Services, as the kubelet writes them into the arguments.
var serviceHosts = strings.NewReplacer("$(KUBE_DNS_SERVICE_HOST)", "10.96.0.10", "$(KUBE_DNS_UPSTREAM_SERVICE_HOST)", "10.96.0.77", "$(NODE_ADDRESS)", "10.0.0.1")

func nodeCache(t *testing.T, objects []runtime.Object) (*appsv1.DaemonSet, corev1.Container) {
	t.Helper()
	d := find[*appsv1.DaemonSet](t, objects, "kube-dns-node")
	if n := len(d.Spec.Template.Spec.Containers); n != 1 {
		t.Fatalf("%d containers, want 1", n)
	}
	return d, d.Spec.Template.Spec.Containers[0]
}

// isOnEveryNode checks the cache on every node: an update replaces it without a gap, it has
// only the rights that it needs, and it asks cluster DNS at an address that is not its own.
func isOnEveryNode(t *testing.T, objects []runtime.Object) {
	t.Helper()
	d, c := nodeCache(t, objects)
	checkNodeUpdate(t, d, c)
	checkNodeRights(t, objects, d, c)
	checkNodeServices(t, objects, d)
	checkNodeArguments(t, c)
}

// isMeasuredOnEveryNode is isOnEveryNode, with metrics at the node's own address only: not at
// those that Pods send queries to. Prometheus finds the port in the annotations.
func isMeasuredOnEveryNode(t *testing.T, objects []runtime.Object) {
	t.Helper()
	isOnEveryNode(t, objects)
	d, c := nodeCache(t, objects)
	annotations := d.Spec.Template.Annotations
	if len(c.Env) != 1 || c.Env[0].ValueFrom.FieldRef.FieldPath != "status.hostIP" ||
		!slices.Contains(c.Args, "--metrics-address=[$("+c.Env[0].Name+")]:"+annotations["prometheus.io/port"]) || annotations["prometheus.io/scrape"] != "true" {
		t.Errorf("annotations %v, environment %v, arguments %q", annotations, c.Env, c.Args)
	}
}

// checkNodeUpdate checks that two Pods fit on a node, and that the second is ready only when
// it answers.
func checkNodeUpdate(t *testing.T, d *appsv1.DaemonSet, c corev1.Container) {
	t.Helper()
	pod, update := d.Spec.Template.Spec, d.Spec.UpdateStrategy.RollingUpdate
	if update == nil || update.MaxSurge.IntValue() != 1 || update.MaxUnavailable.IntValue() != 0 || d.Spec.MinReadySeconds < 1 {
		t.Errorf("update strategy %v, minReadySeconds %d", update, d.Spec.MinReadySeconds)
	}
	if len(c.Ports) > 0 {
		t.Errorf("ports %v would keep a second Pod from the node", c.Ports)
	}
	for _, p := range []*corev1.Probe{c.StartupProbe, c.LivenessProbe} {
		if p == nil || p.Exec == nil || !slices.Equal(p.Exec.Command, []string{"/dnscache", "--node-local-ready"}) {
			t.Errorf("probe %v: the addresses are those of the other Pod too, so only the program can say whether it is this one that answers", p)
		}
	}
	if !pod.HostNetwork || pod.DNSPolicy != corev1.DNSDefault || pod.PriorityClassName != "system-node-critical" {
		t.Errorf("hostNetwork %v, dnsPolicy %s, priority %s", pod.HostNetwork, pod.DNSPolicy, pod.PriorityClassName)
	}
	if want := []corev1.Toleration{{Operator: corev1.TolerationOpExists}}; !slices.Equal(pod.Tolerations, want) {
		t.Errorf("tolerations %v, want %v: every node needs DNS", pod.Tolerations, want)
	}
	if d.Spec.Template.Annotations["cluster-autoscaler.kubernetes.io/enable-ds-eviction"] != "false" {
		t.Error("the cluster autoscaler may end the cache before the node")
	}
	requests, limits := c.Resources.Requests, c.Resources.Limits
	if requests.Cpu().String() != "25m" || requests.Memory().String() != "24Mi" || limits.Memory().String() != "64Mi" || !limits.Cpu().IsZero() {
		t.Errorf("requests %v, limits %v: want 25m and 24Mi, 64Mi, and no limit of CPU, which would stop the supervisor's checks", requests, limits)
	}
}

// checkNodeRights checks that the cache has exactly the capabilities that it needs, no token,
// no rights in the API, and no access to the node's files.
func checkNodeRights(t *testing.T, objects []runtime.Object, d *appsv1.DaemonSet, c corev1.Container) {
	t.Helper()
	pod, s := d.Spec.Template.Spec, c.SecurityContext
	if pod.HostPID || pod.HostIPC || pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken {
		t.Errorf("hostPID %v, hostIPC %v, token %v", pod.HostPID, pod.HostIPC, pod.AutomountServiceAccountToken)
	}
	if s.Privileged != nil || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation || s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem {
		t.Errorf("it may do too much: %v", s)
	}
	if !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) ||
		!slices.Equal(s.Capabilities.Add, []corev1.Capability{"NET_ADMIN", "NET_BIND_SERVICE", "SETUID", "SETGID", "KILL"}) {
		t.Errorf("capabilities %v", s.Capabilities)
	}
	for _, v := range pod.Volumes {
		if v.ConfigMap == nil || v.ConfigMap.Optional == nil || !*v.ConfigMap.Optional {
			t.Errorf("volume %s is not a ConfigMap that may be missing", v.Name)
		}
	}
	account := find[*corev1.ServiceAccount](t, objects, pod.ServiceAccountName)
	if account.AutomountServiceAccountToken == nil || *account.AutomountServiceAccountToken {
		t.Error("the ServiceAccount's token is mounted")
	}
	for _, o := range objects {
		if b, ok := o.(*rbacv1.ClusterRoleBinding); ok {
			for _, subject := range b.Subjects {
				if subject.Name == account.Name {
					t.Errorf("%s gives rights to %s", b.Name, account.Name)
				}
			}
		}
	}
}

// checkNodeServices checks that the Services of cluster DNS and its NetworkPolicy select
// cluster DNS and not the caches, and that the NetworkPolicy lets the nodes query cluster
// DNS.
func checkNodeServices(t *testing.T, objects []runtime.Object, d *appsv1.DaemonSet) {
	t.Helper()
	if replicas := find[*corev1.Service](t, objects, "kube-dns-upstream-headless"); replicas.Spec.ClusterIP != corev1.ClusterIPNone {
		t.Errorf("the Service kube-dns-upstream-headless has the address %q", replicas.Spec.ClusterIP)
	}
	if host := find[*corev1.Service](t, objects, "kube-dns-upstream"); host.Spec.ClusterIP != "" {
		t.Errorf("the Service kube-dns-upstream has the fixed address %q, and could not be applied over that of NodeLocal DNSCache", host.Spec.ClusterIP)
	}
	for _, o := range objects {
		var selector map[string]string
		switch o := o.(type) {
		case *corev1.Service:
			selector = o.Spec.Selector
		case *networkingv1.NetworkPolicy:
			selector = o.Spec.PodSelector.MatchLabels
		default:
			continue
		}
		if !labels.SelectorFromSet(selector).Matches(labels.Set(deployment(t, objects).Spec.Template.Labels)) {
			t.Errorf("%v does not select cluster DNS", selector)
		}
		if labels.SelectorFromSet(selector).Matches(labels.Set(d.Spec.Template.Labels)) {
			t.Errorf("%v selects the caches of the nodes", selector)
		}
	}
}

// checkNodeArguments checks that the program accepts the arguments, and that it asks cluster
// DNS at an address that is not its own.
func checkNodeArguments(t *testing.T, c corev1.Container) {
	t.Helper()
	programs := t.TempDir()
	if err := addon.Build(programs, nil, "dnscache"); err != nil {
		t.Fatal(err)
	}
	args := make([]string, 0, len(c.Args))
	for _, arg := range c.Args {
		args = append(args, serviceHosts.Replace(arg))
	}
	end := slices.Index(args, "--")
	own, rest := args[:end], args[end+1:]
	if out := refusal(t, filepath.Join(programs, "dnscache"), rest); out != "" {
		t.Errorf("dnscache refuses %q: %s", rest, out)
	}
	// One option is wrong on purpose, so that nothing is started. It must be the only wrong
	// one.
	out, err := exec.Command(filepath.Join(programs, "dnscache"), append(slices.Clone(own), "--node-local-interface=a/b", "--")...).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "invalid interface name") {
		t.Errorf("dnscache %q: %v: %s", own, err, out)
	}
	list, _ := strings.CutPrefix(own[0], "--node-local=")
	for text := range strings.SplitSeq(list, ",") {
		if _, err := netip.ParseAddr(text); err != nil {
			t.Errorf("--node-local: %v", err)
		}
		for _, arg := range rest {
			if strings.HasPrefix(arg, "--server=") && strings.HasSuffix(arg, "/"+text) {
				t.Errorf("%s is the cache itself", arg)
			}
		}
	}
	domain := slices.IndexFunc(rest, func(arg string) bool { return strings.HasSuffix(arg, "/in-addr.arpa/ip6.arpa/10.96.0.77") })
	if domain < 0 {
		t.Fatalf("reverse names are not asked of cluster DNS: %q", rest)
	}
	zone := strings.Split(rest[domain], "/")[1]
	if want := "--node-local-upstream=kube-dns-upstream-headless.kube-system.svc." + zone; !slices.Contains(own, want) {
		t.Errorf("no %s in %q", want, own)
	}
}

// Components that change the addon change the caches in the same way.
func TestNodeLocalTogether(t *testing.T) {
	for _, c := range []struct {
		components []string
		want       []string
		not        string
	}{
		{[]string{"networkpolicy", "ha"}, []string{"--server=/cluster.local/in-addr.arpa/ip6.arpa/$(KUBE_DNS_UPSTREAM_SERVICE_HOST)", "-configDir=/etc/k8s/dns/dnsmasq-nanny"}, ""},
		{[]string{"clusterset"}, []string{"--server=/clusterset.local/$(KUBE_DNS_UPSTREAM_SERVICE_HOST)"}, ""},
		{[]string{"domain"}, []string{"--server=/example.internal/in-addr.arpa/ip6.arpa/$(KUBE_DNS_UPSTREAM_SERVICE_HOST)"}, "cluster.local"},
		{[]string{"dual-stack"}, []string{"--node-local=169.254.20.10,$(KUBE_DNS_SERVICE_HOST),fd00:10:96::a"}, ""},
		// No server outside the cluster is asked in clear text.
		{[]string{"tls-upstream"}, []string{"--no-resolv", "--server=$(KUBE_DNS_UPSTREAM_SERVICE_HOST)"}, "-configDir"},
	} {
		t.Run(strings.Join(c.components, "+"), func(t *testing.T) {
			objects := together(t, append([]string{"node-local"}, c.components...)...)
			isOnEveryNode(t, objects)
			_, container := nodeCache(t, objects)
			for _, want := range c.want {
				if !slices.Contains(container.Args, want) {
					t.Errorf("no %s in %q", want, container.Args)
				}
			}
			if all := strings.Join(container.Args, " "); c.not != "" && strings.Contains(all, c.not) {
				t.Errorf("%s in %q", c.not, container.Args)
			}
		})
	}
}

// TestSecondDaemonSet: the command of docs/node-local.md makes a second DaemonSet of the first
// that selects only its own Pods, and is otherwise the same.
func TestSecondDaemonSet(t *testing.T) {
	text, err := os.ReadFile("../../docs/node-local.md")
	if err != nil {
		t.Fatal(err)
	}
	_, command, found := strings.Cut(string(text), "    sed ")
	command, _, ends := strings.Cut(command, " |\n")
	if !found || !ends {
		t.Fatal("docs/node-local.md has no such command")
	}
	first, _ := nodeCache(t, together(t, "node-local"))
	first.UID, first.ResourceVersion = "1-2", "3"
	b, err := yaml.Marshal(first)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", "sed "+command)
	cmd.Stdin = bytes.NewReader(b)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	second := find[*appsv1.DaemonSet](t, decode(t, out), first.Name+"-2")
	own := labels.SelectorFromSet(second.Spec.Selector.MatchLabels)
	if !own.Matches(labels.Set(second.Spec.Template.Labels)) || own.Matches(labels.Set(first.Spec.Template.Labels)) ||
		labels.SelectorFromSet(first.Spec.Selector.MatchLabels).Matches(labels.Set(second.Spec.Template.Labels)) {
		t.Errorf("selectors %v and %v, labels %v", first.Spec.Selector, second.Spec.Selector, second.Spec.Template.Labels)
	}
	if second.UID != "" || second.ResourceVersion != "" || !reflect.DeepEqual(first.Spec.Template.Spec, second.Spec.Template.Spec) {
		t.Errorf("it differs in more than name and labels:\n%s", out)
	}
}
