//go:build cluster

package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

const namespace = "dns-test"

// kubectl runs kubectl in the tests' namespace and returns what it printed;
// stdin may be "".
func tryKubectl(stdin string, args ...string) (string, error) {
	cmd := exec.Command(os.Getenv("KUBECTL"), append([]string{"-n", namespace}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

func kubectl(t testing.TB, args ...string) string {
	t.Helper()
	out, err := tryKubectl("", args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func apply(t testing.TB, objects string) {
	t.Helper()
	if _, err := tryKubectl(objects, "apply", "-f", "-"); err != nil {
		t.Fatal(err)
	}
}

// ctl runs hack/cluster/ctl.sh.
func ctl(t testing.TB, args ...string) string {
	t.Helper()
	out, err := exec.Command("../../hack/cluster/ctl.sh", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("ctl.sh %v: %v: %s", args, err, out)
	}
	return string(out)
}

// eventually polls f until it returns "", and fails with its last word.
func eventually(t testing.TB, limit time.Duration, f func() string) {
	t.Helper()
	end := time.Now().Add(limit)
	for {
		why := f()
		if why == "" {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", limit, why)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// pod starts a pod that runs the client with args, waits until it runs, and
// deletes it with the test. spec is further YAML of the pod's spec, indented by
// two spaces.
func pod(t testing.TB, name, spec string, args ...string) {
	t.Helper()
	apply(t, fmt.Sprintf(`apiVersion: v1
kind: Pod
metadata: {name: %s, labels: {app: %s}}
spec:
  terminationGracePeriodSeconds: 5
  containers:
    - {name: client, image: "kube-dns.test/client:1", imagePullPolicy: Never, args: ["%s"]}
%s`, name, name, strings.Join(args, `", "`), spec))
	t.Cleanup(func() { _, _ = tryKubectl("", "delete", "pod", name, "--wait=false", "--ignore-not-found") })
	kubectl(t, "wait", "pod", name, "--for=condition=Ready", "--timeout=60s")
}

// in runs the client inside a pod.
func in(pod string, args ...string) (string, error) {
	return tryKubectl("", append([]string{"exec", pod, "--", "/client"}, args...)...)
}

// wantIn waits until the client's output inside the pod holds every text.
func wantIn(t testing.TB, pod string, args []string, texts ...string) {
	t.Helper()
	eventually(t, 30*time.Second, func() string {
		out, err := in(pod, args...)
		if err != nil {
			return err.Error()
		}
		for _, text := range texts {
			if !strings.Contains(out, text) {
				return fmt.Sprintf("%v in %s: no %q in %s", args, pod, text, out)
			}
		}
		return ""
	})
}

// restarts returns the restart count of each of the addon's containers, all
// pods added up.
func restarts(t testing.TB) map[string]string {
	t.Helper()
	out := kubectl(t, "-n", "kube-system", "get", "pods", "-l", "k8s-app=kube-dns", "-o",
		`jsonpath={range .items[*].status.containerStatuses[*]}{.name}={.restartCount}{"\n"}{end}`)
	counts := map[string]string{}
	for line := range strings.Lines(out) {
		name, n, _ := strings.Cut(strings.TrimSpace(line), "=")
		counts[name] += n + " "
	}
	return counts
}

// underLoad runs f while a pod asks for names on and on, and returns how many
// questions failed after one retry.
func underLoad(t testing.TB, names []string, f func()) (failed int, log string) {
	t.Helper()
	args := append([]string{"load", "100ms"}, names...)
	pod(t, "load", "", args...)
	time.Sleep(time.Second)
	f()
	time.Sleep(time.Second)
	log = kubectl(t, "logs", "load", "--tail=-1")
	kubectl(t, "delete", "pod", "load", "--wait=true")
	return strings.Count(log, " failed "), log
}
