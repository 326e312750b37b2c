package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/test/addon"
)

// kubedns is a running kubedns.
type kubedns struct {
	*addon.Process

	addr      string
	readiness string
}

// startKubeDNS starts kubedns as the user. It does not wait for anything.
func (c *cluster) startKubeDNS(t *testing.T, user string, args ...string) *kubedns {
	t.Helper()
	return start(t, "kubedns", nil, append([]string{"--kubecfg-file=" + c.kubeconfig(t, user)}, args...)...)
}

// start starts program, of the folder of our programs, with more environment
// and arguments. It does not wait for anything.
func start(t *testing.T, program string, env []string, args ...string) *kubedns {
	t.Helper()
	ports := addon.FreePorts(t, 2)
	return &kubedns{
		Process: addon.StartEnv(t, env, filepath.Join(os.Getenv(ourBin), program), append([]string{
			"--dns-bind-address=127.0.0.1", fmt.Sprintf("--dns-port=%d", ports[0]), fmt.Sprintf("--healthz-port=%d", ports[1]),
			"--debug-address=", "--nameservers=none",
		}, args...)...),
		addr:      fmt.Sprintf("127.0.0.1:%d", ports[0]),
		readiness: fmt.Sprintf("http://127.0.0.1:%d/readiness", ports[1]),
	}
}

// end checks that kubedns ends well and that nothing went wrong inside.
func (d *kubedns) end(t *testing.T) {
	t.Helper()
	d.Running(t)
	if code := d.Stop(t, 30*time.Second); code != 0 {
		t.Errorf("kubedns: exit code %d", code)
	}
	for _, bad := range []string{"DATA RACE", "panic:", "goroutine "} {
		if strings.Contains(d.Log(), bad) {
			t.Errorf("kubedns wrote %q", bad)
		}
	}
}

// ready returns the status of /readiness, 0 when it cannot be asked.
func (d *kubedns) ready(t *testing.T) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.readiness, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}

func (d *kubedns) waitReady(t *testing.T) {
	t.Helper()
	status := 0
	eventually(t, time.Minute, func() bool {
		d.Running(t)
		status = d.ready(t)
		return status == http.StatusOK
	}, func() string { return fmt.Sprint("/readiness returns ", status) })
}

// ask returns the rcode and the records of one answer, sorted, as "TYPE rdata".
func (d *kubedns) ask(network, name string, qtype uint16) ([]string, error) {
	q := new(dns.Msg).SetQuestion(name, qtype)
	client := &dns.Client{Net: network, Timeout: 20 * time.Second, UDPSize: 1232}
	q.SetEdns0(1232, false)
	r, _, err := client.Exchange(q, d.addr)
	if err != nil {
		return nil, err
	}
	got := []string{dns.RcodeToString[r.Rcode]}
	for _, rr := range r.Answer {
		got = append(got, dns.TypeToString[rr.Header().Rrtype]+" "+strings.TrimPrefix(rr.String(), rr.Header().String()))
	}
	slices.Sort(got[1:])
	return got, nil
}

// want waits until both UDP and TCP answer with rcode and records.
func (d *kubedns) want(t *testing.T, name string, qtype uint16, want ...string) {
	t.Helper()
	slices.Sort(want[1:])
	for _, network := range []string{"udp", "tcp"} {
		var got []string
		var err error
		eventually(t, time.Minute, func() bool {
			d.Running(t)
			got, err = d.ask(network, name, qtype)
			return err == nil && slices.Equal(got, want)
		}, func() string {
			return fmt.Sprintf("%s %s over %s: %v (-want +got)\n%s", name, dns.TypeToString[qtype], network, err, cmp.Diff(want, got))
		})
	}
}

// always fails the test if, for a while, any answer is not the wanted one.
func (d *kubedns) always(t *testing.T, during time.Duration, name string, qtype uint16, want ...string) {
	t.Helper()
	for end := time.Now().Add(during); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		d.Running(t)
		if got, err := d.ask("udp", name, qtype); err != nil || !slices.Equal(got, want) {
			t.Fatalf("%s: got %v, %v, want %v for %s", name, got, err, want, during)
		}
	}
}
