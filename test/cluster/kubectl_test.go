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

// tryKubectl runs kubectl in the tests' namespace, or in kube-system if that
// is where the objects of stdin are, and returns what it printed. A -n among
// args wins.
func tryKubectl(stdin string, args ...string) (string, error) {
	where := namespace
	if strings.Contains(stdin, "namespace: "+system) {
		where = system
	}
	cmd := exec.Command(os.Getenv("KUBECTL"), append([]string{"-n", where}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

func kubectl(tb testing.TB, args ...string) string {
	tb.Helper()
	out, err := tryKubectl("", args...)
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

func apply(tb testing.TB, objects string) {
	tb.Helper()
	if _, err := tryKubectl(objects, "apply", "-f", "-"); err != nil {
		tb.Fatal(err)
	}
}

// ctl runs hack/cluster/ctl.sh.
func ctl(tb testing.TB, args ...string) string {
	tb.Helper()
	out, err := exec.Command("../../hack/cluster/ctl.sh", args...).CombinedOutput()
	if err != nil {
		tb.Fatalf("ctl.sh %v: %v: %s", args, err, out)
	}
	return string(out)
}

// eventually polls f until it returns "", and fails with its last word.
func eventually(tb testing.TB, limit time.Duration, f func() string) {
	tb.Helper()
	end := time.Now().Add(limit)
	for {
		why := f()
		if why == "" {
			return
		}
		if time.Now().After(end) {
			tb.Fatalf("not within %v: %s", limit, why)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// pod starts a pod that runs the client with args, waits until it runs, and
// deletes it with the test. spec is further YAML of the pod's spec, indented by
// two spaces.
func pod(tb testing.TB, name, spec string, args ...string) {
	tb.Helper()
	apply(tb, fmt.Sprintf(`apiVersion: v1
kind: Pod
metadata: {name: %s, labels: {app: %s}}
spec:
  terminationGracePeriodSeconds: 5
  containers:
    - {name: client, image: "kube-dns.test/client:1", imagePullPolicy: Never, args: ["%s"]}
%s`, name, name, strings.Join(args, `", "`), spec))
	tb.Cleanup(func() { _, _ = tryKubectl("", "delete", "pod", name, "--wait=false", "--ignore-not-found") })
	kubectl(tb, "wait", "pod", name, "--for=condition=Ready", "--timeout=60s")
}

// in runs the client inside a pod.
func in(pod string, args ...string) (string, error) {
	return tryKubectl("", append([]string{"exec", pod, "--", "/client"}, args...)...)
}

// wantIn waits until the client's output inside the pod holds every text.
func wantIn(tb testing.TB, pod string, args []string, texts ...string) {
	tb.Helper()
	eventually(tb, 30*time.Second, func() string {
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

// underLoad runs f while two pods ask for names on and on, and returns how
// many questions failed after one retry, and what the pods printed about them.
func underLoad(tb testing.TB, names []string, f func()) (failed int, log string) {
	tb.Helper()
	// Names of their own: nobody waits for the end of those before.
	id := time.Now().Unix()
	askers := []string{fmt.Sprintf("load-a-%d", id), fmt.Sprintf("load-b-%d", id)}
	for _, asker := range askers {
		pod(tb, asker, "", append([]string{"load", "100ms"}, names...)...)
	}
	time.Sleep(time.Second)
	f()
	time.Sleep(2 * time.Second)
	var failures, sums []string
	for _, asker := range askers {
		var last string
		for line := range strings.Lines(kubectl(tb, "logs", asker, "--tail=-1")) {
			line = strings.TrimSpace(line)
			if strings.HasPrefix(line, "asked=") {
				last = line
				continue
			}
			failures = append(failures, line)
		}
		sums = append(sums, asker+": "+last)
	}
	kubectl(tb, append([]string{"delete", "pod", "--wait=false"}, askers...)...)
	return len(failures), strings.Join(append(failures, sums...), "\n")
}

// wantNone fails if questions failed.
func wantNone(tb testing.TB, failed int, log string) {
	tb.Helper()
	if failed > 0 {
		tb.Errorf("%d failures:", failed)
	}
	tb.Log(log)
}
