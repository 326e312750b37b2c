//go:build cluster

package cluster

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

const namespace = "dns-test"

// kubectlLimit ends a kubectl that hangs. No command of the tests takes that long.
const kubectlLimit = 4 * time.Minute

// tryKubectl runs kubectl in the tests' namespace, or in kube-system if that
// is where the objects of stdin are, and returns what it printed. A -n among
// args wins.
func tryKubectl(stdin string, args ...string) (string, error) {
	where := namespace
	if strings.Contains(stdin, "namespace: "+system) {
		where = system
	}
	ctx, cancel := context.WithTimeout(context.Background(), kubectlLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Getenv("KUBECTL"), append([]string{"-n", where}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return string(out), fmt.Errorf("kubectl %s: not within %v: %s", strings.Join(args, " "), kubectlLimit, out)
	}
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
	out, err := tryCtl(args...)
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

func tryCtl(args ...string) (string, error) {
	out, err := exec.Command("../../hack/cluster/ctl.sh", args...).CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("ctl.sh %v: %w: %s", args, err, out)
	}
	return string(out), nil
}

// eventually polls f until it returns "". After limit it fails the test with f's last result.
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
	start(tb, []string{name}, spec, args...)
}

// start is pod for several of the same.
func start(tb testing.TB, names []string, spec string, args ...string) {
	tb.Helper()
	var b strings.Builder
	for _, name := range names {
		fmt.Fprintf(&b, `---
apiVersion: v1
kind: Pod
metadata: {name: %s, labels: {app: %s}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
    - {name: client, image: "kube-dns.test/client:1", imagePullPolicy: Never, args: ["%s"]}
%s`, name, name, strings.Join(args, `", "`), spec)
	}
	apply(tb, b.String())
	tb.Cleanup(func() {
		_, _ = tryKubectl("", append([]string{"delete", "pod", "--wait=false", "--ignore-not-found"}, names...)...)
	})
	kubectl(tb, append([]string{"wait", "pod", "--for=condition=Ready", "--timeout=3m"}, names...)...)
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

// underLoad runs f while two pods keep asking for names. It returns how many questions failed
// after one retry, and what the pods printed about them.
func underLoad(tb testing.TB, names []string, f func()) (failed int, log string) {
	tb.Helper()
	// The pods have new names, because nothing waits for the end of the previous ones.
	id := time.Now().UnixMilli()
	askers := []string{fmt.Sprintf("load-a-%d", id), fmt.Sprintf("load-b-%d", id)}
	start(tb, askers, "", append([]string{"load", "100ms"}, names...)...)
	time.Sleep(time.Second) // what follows falls into questions
	f()
	time.Sleep(time.Second) // and so does what it left behind
	failures, sums := asked(tb, askers)
	kubectl(tb, append([]string{"delete", "pod", "--wait=false"}, askers...)...)
	return len(failures), strings.Join(append(failures, sums...), "\n")
}

// asked returns the output of pods that run load: a line for each question that failed, and
// the last totals of each pod.
func asked(tb testing.TB, askers []string) (failures, sums []string) {
	tb.Helper()
	for _, asker := range askers {
		last := "asked=0"
		for line := range strings.Lines(kubectl(tb, "logs", asker, "--tail=-1")) {
			line = strings.TrimSpace(line)
			if strings.HasPrefix(line, "asked=") {
				last = line
				continue
			}
			failures = append(failures, line)
		}
		if strings.HasPrefix(last, "asked=0") {
			tb.Errorf("%s asked nothing", asker)
		}
		sums = append(sums, asker+": "+last)
	}
	return failures, sums
}

// wantNone fails the test if questions failed.
func wantNone(tb testing.TB, failed int, log string) {
	tb.Helper()
	if failed > 0 {
		tb.Errorf("%d failures:", failed)
	}
	tb.Log(log)
}
