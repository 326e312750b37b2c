//go:build cluster

package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// lookups is what programs in a Pod look up names with: Go's resolver, the client's
// walk of the search list, and the C libraries' getaddrinfo.
type lookups map[string]func(name string) (string, error)

// lookupsAt returns the lookups of a Pod in the namespace default whose DNS server is
// that of p. getaddrinfo runs on this machine with the same resolv.conf.
func lookupsAt(t *testing.T, client string, p corev1.Pod) lookups {
	t.Helper()
	const search = "default.svc.cluster.local svc.cluster.local cluster.local"
	pod(t, client, fmt.Sprintf("  dnsPolicy: None\n  dnsConfig: {nameservers: [%s], searches: [%s], options: [{name: ndots, value: \"5\"}]}\n",
		p.Status.PodIP, strings.ReplaceAll(search, " ", ", ")), "sleep")
	dir := t.TempDir()
	conf := filepath.Join(dir, "resolv.conf")
	text := "nameserver " + p.Status.PodIP + "\nsearch " + search + "\noptions ndots:5\n"
	nss := filepath.Join(dir, "nsswitch.conf")
	for path, text := range map[string]string{conf: text, nss: "hosts: dns\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l := lookups{
		"Go":     func(name string) (string, error) { return in(client, "lookup", name) },
		"search": func(name string) (string, error) { return in(client, "search", name) },
	}
	for library, compiler := range map[string][]string{"glibc": {"gcc"}, "musl": {"musl-gcc", "-static"}} {
		program := filepath.Join(dir, library)
		args := append(compiler[1:], "-O1", "-o", program, "../resolvers/testdata/gai.c")
		if out, err := exec.Command(compiler[0], args...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		l[library] = func(name string) (string, error) {
			script := `mount --bind "$1" /etc/resolv.conf && mount --bind "$2" /etc/nsswitch.conf && exec "$3" "$4"`
			out, err := exec.Command("unshare", "-m", "sh", "-c", script, "sh", conf, nss, program, name).CombinedOutput()
			return string(out), err
		}
	}
	return l
}

// countQuestions counts the packets that reach port 53 of a Pod from others. The
// result reads the count.
func countQuestions(t *testing.T, p corev1.Pod) func() int {
	t.Helper()
	inside := []string{"in", "nsenter", "-t", process(t, p, "dnscache"), "-n"}
	ctl(t, append(inside, "iptables", "-w", "-I", "INPUT", "!", "-i", "lo", "-p", "udp", "--dport", "53", "-j", "ACCEPT")...)
	return func() int {
		for line := range strings.Lines(ctl(t, append(inside, "iptables", "-w", "-nvxL", "INPUT")...)) {
			if strings.Contains(line, "dpt:53") {
				n, err := strconv.Atoi(strings.Fields(line)[0])
				if err != nil {
					t.Fatal(err)
				}
				return n
			}
		}
		t.Fatal("the rule that counts is gone")
		return 0
	}
}

// With the component autopath-all every lookup that the search list leads to takes one
// question for each family, whatever the resolver, and the ConfigMap changes it at run
// time. A Pod starts with it as with any other component.
func testAutopath(t *testing.T) {
	const app = "autopath"
	set := func(data string) {
		t.Helper()
		apply(t, fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, namespace: %s}\ndata: %s\n", app, system, data))
	}
	set("{}")
	t.Cleanup(func() { _, _ = tryKubectl("", "-n", system, "delete", "configmap", app, "--ignore-not-found") })
	variantOf(t, manifests+"/overlays/autopath-all", app, func(d *appsv1.Deployment) {
		d.Spec.Template.Spec.Volumes[0].ConfigMap.Name = app
	})
	awaitReady(t, app, 1, 5*time.Minute)
	p := thePod(t, app)
	questions := countQuestions(t, p)
	programs := lookupsAt(t, "autopath-client", p)
	// asked looks a name up with every program and returns the most questions.
	asked := func(name, want string) int {
		t.Helper()
		most := 0
		for program, lookup := range programs {
			before := questions()
			out, err := lookup(name)
			n := questions() - before
			if err != nil || !strings.Contains(out, want) {
				t.Errorf("%s in %s: %v %s, want %s", name, program, err, out, want)
			}
			t.Logf("%s in %s: %d questions", name, program, n)
			most = max(most, n)
		}
		return most
	}
	const outside, inside, address = "www.example.com", "web.dns-test", "198.51.100.7"
	if n, m := asked(outside, address), asked(inside, "10.96."); n != 2 || m != 2 {
		t.Errorf("autopath=all: %d questions for %s, %d for %s, want 2", n, outside, m, inside)
	}
	for _, mode := range []struct {
		name            string
		outside, inside int
	}{{"cluster", 8, 2}, {"off", 8, 4}, {"all", 2, 2}} {
		set("{autopath: " + strconv.Quote(mode.name) + "}")
		last := ""
		eventually(t, 3*time.Minute, func() string { // the kubelet takes a minute to hand it over
			before := questions()
			if _, err := programs["search"](outside); err != nil {
				return err.Error()
			}
			n := questions() - before
			before = questions()
			if _, err := programs["search"](inside); err != nil {
				return err.Error()
			}
			last = fmt.Sprintf("%d questions for %s, %d for %s", n, outside, questions()-before, inside)
			if last != fmt.Sprintf("%d questions for %s, %d for %s", mode.outside, outside, mode.inside, inside) {
				return last
			}
			return ""
		})
		t.Logf("autopath=%s: %s", mode.name, last)
	}
}
