package churn

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kube-dns/kube-dns/test/apiserver"
)

// fault is one thing that can go wrong with an API server.
type fault struct {
	name       string
	begin, end func(c *cluster, front *apiserver.Front)
	// away is the resource, named as in an RBAC rule, about which kubedns hears nothing
	// during the fault; "" if changes go on arriving.
	away string
	logs string // what kubedns says about it
}

// streams returns a fault of lists, which are streamed or not.
func streams(name string, on bool, also func(api *apiserver.Server)) fault {
	return fault{
		name: name,
		begin: func(c *cluster, _ *apiserver.Front) {
			c.api.SetStreams(on)
			also(c.api)
			c.api.Forget()
		},
		end: func(c *cluster, _ *apiserver.Front) {
			c.api.SetStreams(true)
			c.api.BreakLists(0)
			c.api.ExpirePages(0)
		},
	}
}

// refusal returns a fault in which the API server refuses every request with a Retry-After
// header.
func refusal(status int) fault {
	return fault{
		name: fmt.Sprintf("status %d with Retry-After", status), away: "services",
		begin: func(c *cluster, _ *apiserver.Front) {
			c.api.Refuse(status)
			c.api.RetryAfter(1)
			c.api.Cut()
		},
		end: func(c *cluster, _ *apiserver.Front) {
			c.api.Refuse(0)
			c.api.RetryAfter(0)
		},
	}
}

func forbidden(resource, rule string) fault {
	return fault{
		name: resource + " forbidden", away: rule, logs: "the ClusterRole lacks a rule",
		begin: func(c *cluster, _ *apiserver.Front) {
			c.api.Deny(resource, true)
			c.api.Cut()
		},
		end: func(c *cluster, _ *apiserver.Front) { c.api.Deny(resource, false) },
	}
}

func allFaults() []fault {
	return []fault{
		forbidden("endpointslices", "endpointslices.discovery.k8s.io"),
		forbidden("services", "services"),
		streams("streams that break off", true, func(api *apiserver.Server) { api.BreakLists(3) }),
		streams("no streams any more", false, func(*apiserver.Server) {}),
		streams("pages that expire and break off", false, func(api *apiserver.Server) { api.ExpirePages(2); api.BreakLists(2) }),
		{
			name: "watches too old",
			begin: func(c *cluster, _ *apiserver.Front) {
				c.api.Forget()
				c.change()
				c.api.Forget()
			},
			end: func(*cluster, *apiserver.Front) {},
		},
		refusal(http.StatusTooManyRequests),
		refusal(http.StatusInternalServerError),
		{
			name:  "events repeated and out of order",
			begin: func(c *cluster, _ *apiserver.Front) { c.api.Stutter(true) },
			end: func(c *cluster, _ *apiserver.Front) {
				time.Sleep(200 * time.Millisecond) // so that they are sent so
				c.api.Stutter(false)
				c.api.Cut()
			},
		},
		{
			name: "no API server", away: "services",
			begin: func(_ *cluster, front *apiserver.Front) { front.Stop() },
			end: func(_ *cluster, front *apiserver.Front) {
				if err := front.Start(); err != nil {
					panic(err) // the port was ours
				}
			},
		},
	}
}

const (
	faultChanges = 300
	// away is how long a fault lasts during which nothing gets through.
	away = 3 * time.Second
)

// TestFaults causes one fault after another. While kubedns hears nothing about a resource, it
// gives the last answers, and its HTTP pages tell how old they are. After each fault, all
// answers equal those of a fresh start.
func TestFaults(t *testing.T) {
	t.Parallel()
	api := apiserver.New()
	front, err := apiserver.Open(api)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { front.Stop() })
	c := &cluster{api: api, rnd: rand.New(rand.NewPCG(1, 2))}
	c.fill()
	live := startKubedns(t, front.URL())
	watch := startAsking(t, live.addr)
	for _, f := range allFaults() {
		said, began := strings.Count(live.Log(), f.logs), time.Now()
		f.begin(c, front)
		for range faultChanges {
			c.change()
		}
		if f.away != "" {
			live.wantAway(t, f.away, began)
		}
		if f.logs != "" && strings.Count(live.Log(), f.logs) != said+1 {
			t.Errorf("%s: kubedns must say %q once more, after %d times", f.name, f.logs, said)
		}
		f.end(c, front)
		c.change()
		fresh := startKubedns(t, front.URL())
		asked := compare(t, c.sample(), live, fresh)
		fresh.Kill()
		live.wantHeard(t)
		t.Logf("%s: %d answers equal a fresh start's", f.name, asked)
		if t.Failed() {
			return
		}
	}
	watch.stop()
}

// sample returns every fourth question.
func (c *cluster) sample() []question {
	n := 0
	return slices.DeleteFunc(c.questions(), func(question) bool { n++; return n%4 != 1 })
}

// wantAway waits until kubedns reports that it has lost a resource but is still ready, and
// checks the age of the data that it reports. The fault began at began.
func (k *kubedns) wantAway(t *testing.T, resource string, began time.Time) {
	t.Helper()
	start := time.Now()
	metric := fmt.Sprintf("kubedns_kubernetes_connected{resource=%q} 0\n", resource)
	detail := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(resource) + `: .*$`)
	var verbose, metrics string
	for end := start.Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		verbose, metrics = k.get(t, k.readiness+"?verbose"), k.get(t, k.metrics)
		if strings.Contains(metrics, metric) && time.Since(start) > away {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("kubedns does not say that %s are away:\n%s", resource, verbose)
		}
	}
	t.Logf("%s", detail.FindString(verbose))
	// The resource was last heard of up to a second before the fault, or earlier on a busy
	// machine.
	if age := k.age(t, resource); age < away-time.Second || age > time.Since(began)+5*time.Second {
		t.Errorf("data of %s is %v old by the metrics, and it was lost %v ago", resource, age, time.Since(began))
	}
}

// wantHeard waits until kubedns has recently heard about all resources. Nothing changes any
// more, so only bookmarks arrive.
func (k *kubedns) wantHeard(t *testing.T) {
	t.Helper()
	for _, resource := range []string{"services", "endpointslices.discovery.k8s.io"} {
		for end := time.Now().Add(time.Minute); k.age(t, resource) > time.Second; time.Sleep(50 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("nothing is heard of %s any more", resource)
			}
		}
	}
}

// age returns how long ago kubedns last heard about a resource, according to its metrics.
func (k *kubedns) age(t *testing.T, resource string) time.Duration {
	t.Helper()
	body := k.get(t, k.metrics)
	_, rest, ok := strings.Cut(body, fmt.Sprintf("kubedns_kubernetes_last_heard_timestamp_seconds{resource=%q} ", resource))
	var seconds float64
	if _, err := fmt.Sscan(rest, &seconds); !ok || err != nil {
		t.Fatalf("no time for %s in the metrics", resource)
	}
	return time.Since(time.UnixMilli(int64(seconds * 1000)))
}

// get returns the body of a URL, whose status must be 200.
func (k *kubedns) get(t *testing.T, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %v\n%s", url, resp.StatusCode, err, body)
	}
	return string(body)
}
