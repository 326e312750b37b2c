//go:build cluster

package cluster

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// forward forwards a port of a Pod by kubectl port-forward, until the test ends, and
// returns the local address.
func forward(t *testing.T, pod string, port int) string {
	t.Helper()
	cmd := exec.Command(os.Getenv("KUBECTL"), "-n", system, "port-forward", "pod/"+pod, fmt.Sprintf(":%d", port), "--address=127.0.0.1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	found := make(chan string, 1)
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if m := regexp.MustCompile(`Forwarding from (127\.0\.0\.1:\d+) ->`).FindStringSubmatch(lines.Text()); m != nil {
				found <- m[1]
			}
		}
	}()
	select {
	case address := <-found:
		return address
	case <-time.After(time.Minute):
		t.Fatal("kubectl port-forward forwards nothing")
		return ""
	}
}

// askPage makes an HTTP request and returns the status and the body.
func askPage(method, url string) (int, string, error) {
	req, err := http.NewRequest(method, url, http.NoBody)
	if err != nil {
		return 0, "", err
	}
	resp, err := (&http.Client{Timeout: time.Minute}).Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

// wantPage asks until a page has the status and the text.
func wantPage(t *testing.T, method, url string, status int, text string) {
	t.Helper()
	eventually(t, time.Minute, func() string {
		got, body, err := askPage(method, url)
		if err != nil || got != status || !strings.Contains(body, text) {
			return fmt.Sprintf("%s %s: %d %v, want %d with %q: %s", method, url, got, err, status, text, body)
		}
		return ""
	})
}

// Through kubectl port-forward, an operator sees and changes what is logged, sees the
// status page and has a name explained; nobody else does, over the Pod's address.
func testPortForward(t *testing.T) {
	p := pods(t, "kube-dns")[0]
	kubedns, dnscache := forward(t, p.Name, 6060), forward(t, p.Name, 10054)
	for _, address := range []string{kubedns, dnscache} {
		wantPage(t, http.MethodGet, "http://"+address+"/log", http.StatusOK, "queries=off")
		wantPage(t, http.MethodPost, "http://"+address+"/log?queries=on&name=forwarded.dns-test.svc.cluster.local&for=1m", http.StatusOK, "queries=on name=forwarded")
	}
	wantAt(t, p.Status.PodIP+":53", "forwarded.dns-test.svc.cluster.local.", "NXDOMAIN")
	for _, container := range []string{"kubedns", "dnscache"} {
		eventually(t, time.Minute, func() string {
			out := kubectl(t, "-n", system, "logs", p.Name, "-c", container, "--tail=200")
			for line := range strings.Lines(out) {
				if strings.Contains(line, "query answered") && strings.Contains(line, "name=forwarded.dns-test.svc.cluster.local. type=A") && strings.Contains(line, "rcode=NXDOMAIN") {
					return ""
				}
			}
			return "the log of " + container + " does not have the query: " + out
		})
	}
	for _, address := range []string{kubedns, dnscache} {
		wantPage(t, http.MethodPost, "http://"+address+"/log?queries=off", http.StatusOK, "queries=off")
	}
	wantPage(t, http.MethodGet, "http://"+kubedns+"/status?name=web.dns-test", http.StatusOK, "web.dns-test.svc.cluster.local. A: <span class=\"ok\">NOERROR</span>")
	wantPage(t, http.MethodGet, "http://"+kubedns+"/status", http.StatusOK, `<th scope="row">endpointslices.discovery.k8s.io</th><td><span class="ok">connected</span>`)
	wantPage(t, http.MethodGet, "http://"+kubedns+"/explain?name=web.dns-test", http.StatusOK, "STATUS: NOERROR")
	wantPage(t, http.MethodPost, "http://"+p.Status.PodIP+":10054/log?queries=on", http.StatusForbidden, "port-forward")
	if status, _, err := askPage(http.MethodGet, "http://"+p.Status.PodIP+":6060/status"); err == nil {
		t.Errorf("the status page is at the Pod's address: %d", status)
	}
}
