//go:build cluster

package cluster

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

const (
	system    = "kube-system"
	addonApp  = "kube-dns"
	clusterIP = "10.96.0.10"
	manifests = "../../manifests"
)

// pods returns the pods with the label k8s-app=app that are not being deleted.
func pods(tb testing.TB, app string) []corev1.Pod {
	tb.Helper()
	return slices.DeleteFunc(allPods(tb, app), func(p corev1.Pod) bool { return p.DeletionTimestamp != nil })
}

// allPods is pods including those that are being deleted.
func allPods(tb testing.TB, app string) []corev1.Pod {
	tb.Helper()
	var list corev1.PodList
	out, err := get("/api/v1/namespaces/" + system + "/pods?labelSelector=" + url.QueryEscape("k8s-app="+app))
	if err == nil {
		err = json.Unmarshal(out, &list)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return list.Items
}

// thePod waits until there is exactly one pod and it has an address, and returns it.
func thePod(tb testing.TB, app string) corev1.Pod {
	tb.Helper()
	var found corev1.Pod
	eventually(tb, 3*time.Minute, func() string {
		list := pods(tb, app)
		if len(list) != 1 || list[0].Status.PodIP == "" {
			return fmt.Sprintf("%d pods of %s, want one with an address", len(list), app)
		}
		found = list[0]
		return ""
	})
	return found
}

// restarts returns the restart count of each container, summed over all pods of the app.
func restarts(tb testing.TB, app string) map[string]int {
	tb.Helper()
	counts := map[string]int{}
	for _, p := range pods(tb, app) {
		for _, c := range p.Status.ContainerStatuses {
			counts[c.Name] += int(c.RestartCount)
		}
	}
	return counts
}

// unready returns the containers that are not ready.
func unready(tb testing.TB, app string) []string {
	tb.Helper()
	var names []string
	for _, p := range pods(tb, app) {
		for _, c := range p.Status.ContainerStatuses {
			if !c.Ready {
				names = append(names, c.Name)
			}
		}
	}
	return names
}

// awaitReady waits until want pods are there and every container is ready.
func awaitReady(tb testing.TB, app string, want int, limit time.Duration) {
	tb.Helper()
	eventually(tb, limit, func() string {
		list := pods(tb, app)
		if len(list) != want {
			return fmt.Sprintf("%d pods of %s, want %d", len(list), app, want)
		}
		for _, p := range list {
			if len(p.Status.ContainerStatuses) != len(p.Spec.Containers) {
				return p.Name + " is not started"
			}
		}
		if names := unready(tb, app); len(names) > 0 {
			return fmt.Sprintf("not ready: %v", names)
		}
		return ""
	})
}

// wantRestarted checks that, since before, this container was restarted and no other.
func wantRestarted(tb testing.TB, app, container string, before map[string]int) {
	tb.Helper()
	after := restarts(tb, app)
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if restarted := after[name] > before[name]; restarted != (name == container) {
			tb.Errorf("%s: %d restarts, before %d; only %q should be restarted", name, after[name], before[name], container)
		}
	}
}

// process returns the id, in the node's PID namespace, of a program in a pod.
func process(tb testing.TB, p corev1.Pod, program string) string {
	tb.Helper()
	for pid := range strings.FieldsSeq(ctl(tb, "in", "pgrep", "-x", program)) {
		group, err := tryCtl("in", "cat", "/proc/"+pid+"/cgroup")
		if err == nil && strings.Contains(group, string(p.UID)) { // another pod's may be gone
			return pid
		}
	}
	tb.Fatalf("no %s runs in %s", program, p.Name)
	return ""
}

// freeze stops a program in a pod, and waits until each of its threads has stopped: on
// a busy node that takes a moment, in which the program may still answer.
func freeze(tb testing.TB, p corev1.Pod, program string) {
	tb.Helper()
	pid := process(tb, p, program)
	ctl(tb, "in", "kill", "-STOP", pid)
	eventually(tb, time.Minute, func() string {
		states, err := tryCtl("in", "sh", "-c", "grep -h ^State: /proc/"+pid+"/task/*/status")
		if err != nil {
			return err.Error()
		}
		for line := range strings.Lines(states) {
			if !strings.HasPrefix(line, "State:\tT") {
				return program + " still runs: " + line
			}
		}
		return ""
	})
}

// logs returns everything that a container printed. If the container is being restarted, this
// includes the end of the log of its previous run.
func logs(tb testing.TB, app, container string) string {
	tb.Helper()
	var text string
	for _, p := range pods(tb, app) {
		out, err := get("/api/v1/namespaces/" + system + "/pods/" + p.Name + "/log?container=" + container)
		if err == nil { // it may not run yet
			text += string(out)
		}
	}
	return text
}

// variant installs a changed second addon beside the first, under its own name and without a
// Service, and removes it at the end of the test. Its pods have the label k8s-app=NAME.
func variant(tb testing.TB, name string, change func(*appsv1.Deployment)) {
	tb.Helper()
	variantOf(tb, manifests, name, change)
}

// variantOf is variant for the Deployment of an overlay.
func variantOf(tb testing.TB, folder, name string, change func(*appsv1.Deployment)) {
	tb.Helper()
	d, err := deploymentOf(folder, name, change)
	if err != nil {
		tb.Fatal(err)
	}
	apply(tb, d)
	tb.Cleanup(func() { _, _ = tryKubectl("", "-n", system, "delete", "deployment", name, "--wait=false") })
}

// deploymentOf returns the changed Deployment of a folder as a document.
func deploymentOf(folder, name string, change func(*appsv1.Deployment)) (string, error) {
	out, err := tryKubectl("", "kustomize", folder)
	if err != nil {
		return "", err
	}
	for doc := range strings.SplitSeq(out, "\n---\n") {
		var d appsv1.Deployment
		if err := yaml.Unmarshal([]byte(doc), &d); err != nil || d.Kind != "Deployment" {
			continue
		}
		d.Name = name
		d.Labels = map[string]string{"k8s-app": name}
		d.Spec.Selector.MatchLabels = map[string]string{"k8s-app": name}
		d.Spec.Template.Labels = map[string]string{"k8s-app": name}
		// Nothing waits for these pods to end.
		grace := int64(1)
		d.Spec.Template.Spec.TerminationGracePeriodSeconds = &grace
		change(&d)
		text, err := yaml.Marshal(&d)
		return string(text), err
	}
	return "", fmt.Errorf("no Deployment in %s", folder)
}

// container returns the named container of a Deployment.
func container(d *appsv1.Deployment, name string) *corev1.Container {
	for i := range d.Spec.Template.Spec.Containers {
		if c := &d.Spec.Template.Spec.Containers[i]; c.Name == name {
			return c
		}
	}
	panic("no container " + name)
}

// askAt asks a server for a name and returns the response code and the
// answers' data, or what went wrong. A cut answer is asked for again over TCP.
func askAt(server, name string, qtype uint16) string {
	q := new(dns.Msg)
	q.SetQuestion(name, qtype)
	client := dns.Client{Timeout: 5 * time.Second} // as resolvers wait
	m, _, err := client.Exchange(q, server)
	if err == nil && m.Truncated {
		client.Net = "tcp"
		m, _, err = client.Exchange(q, server)
	}
	if err != nil {
		return err.Error()
	}
	text := []string{dns.RcodeToString[m.Rcode]}
	for _, rr := range m.Answer {
		text = append(text, strings.TrimPrefix(rr.String(), rr.Header().String()))
	}
	return strings.Join(text, " ")
}

// askKubedns asks the kubedns of a pod for a name's IPv4 addresses and returns
// them, or what went wrong. kubedns listens on the pod's loopback interface
// alone, so dig runs in the pod's network namespace. It asks again over TCP
// where an answer is truncated.
func askKubedns(tb testing.TB, p corev1.Pod, name string) string {
	tb.Helper()
	out, err := tryCtl("in", "nsenter", "-t", process(tb, p, "kubedns"), "-n",
		"dig", "+short", "+tries=1", "+time=5", "@127.0.0.1", "-p", "10053", name, "A")
	if err != nil {
		return err.Error()
	}
	return out
}

// wantOfKubedns waits until the kubedns of a pod answers with the address want.
func wantOfKubedns(tb testing.TB, p corev1.Pod, name, want string) {
	tb.Helper()
	eventually(tb, 5*time.Minute, func() string {
		if got := askKubedns(tb, p, name); !strings.Contains(got, want) {
			return fmt.Sprintf("kubedns of %s for %s: %s, want %s", p.Name, name, got, want)
		}
		return ""
	})
}

// wantAt waits until a server answers a question about addresses as wanted.
func wantAt(tb testing.TB, server, name, want string) {
	tb.Helper()
	eventually(tb, 5*time.Minute, func() string {
		if got := askAt(server, name, dns.TypeA); !strings.Contains(got, want) {
			return fmt.Sprintf("%s for %s: %s, want %s", server, name, got, want)
		}
		return ""
	})
}
