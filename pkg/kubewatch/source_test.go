package kubewatch

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/treecache"
)

func TestRESTConfig(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	if _, err := RESTConfig("", "", "agent"); err == nil || !strings.Contains(err.Error(), "not running in a Pod") {
		t.Errorf("outside a Pod: %v", err)
	}
	missing := filepath.Join(t.TempDir(), "none")
	if _, err := RESTConfig(missing, "", "agent"); err == nil || !strings.Contains(err.Error(), missing) {
		t.Errorf("missing file: %v", err)
	}
	path := filepath.Join(t.TempDir(), "config")
	config := `{apiVersion: v1, kind: Config, current-context: c, contexts: [{name: c, context: {cluster: k, user: u}}],
clusters: [{name: k, cluster: {server: "https://127.0.0.1:6443"}}], users: [{name: u, user: {token: secret}}]}`
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	for master, want := range map[string]string{"": "https://127.0.0.1:6443", "https://127.0.0.1:8443": "https://127.0.0.1:8443"} {
		cfg, err := RESTConfig(path, master, "agent")
		if err != nil || cfg.Host != want || cfg.BearerToken != "secret" || cfg.UserAgent != "agent" {
			t.Errorf("master %q: %v, %v; want host %s", master, cfg, err, want)
		}
	}
}

// Checks the requests on the wire, and that JSON is understood if a server answers with it
// although protobuf was asked for.
func TestAPISources(t *testing.T) {
	var mu sync.Mutex
	var requests []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		requests = append(requests, r.URL.RequestURI())
		mu.Unlock()
		if r.Header.Get("User-Agent") != "agent" || !strings.Contains(r.Header.Get("Accept"), "protobuf") {
			t.Errorf("headers %v", r.Header)
		}
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Query().Has("watch") {
			event := metav1.WatchEvent{Type: "ADDED"}
			event.Object.Raw = []byte(`{"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","metadata":{"name":"e"}}`)
			_ = json.NewEncoder(w).Encode(event)
			return
		}
		_, _ = io.WriteString(w, `{"apiVersion":"v1","kind":"ServiceList","metadata":{"resourceVersion":"7"},"items":[{"metadata":{"name":"s"}}]}`)
	}))
	defer server.Close()
	sources, err := APISources(&rest.Config{Host: server.URL, UserAgent: "agent"})
	if err != nil {
		t.Fatal(err)
	}
	list, err := sources.Services.ListWithContext(t.Context(), metav1.ListOptions{Limit: 5})
	if err != nil || meta.LenList(list) != 1 {
		t.Fatalf("list %v, %v", list, err)
	}
	w, err := sources.Slices.WatchWithContext(t.Context(), metav1.ListOptions{ResourceVersion: "7"})
	if err != nil {
		t.Fatal(err)
	}
	event := <-w.ResultChan()
	w.Stop()
	if o, err := meta.Accessor(event.Object); err != nil || o.GetName() != "e" {
		t.Errorf("event %v, %v", event, err)
	}
	for _, lw := range []cache.ListerWatcherWithContext{sources.Endpoints, sources.Nodes, sources.ConfigMap("kube-system", "kube-dns")} {
		_, _ = lw.ListWithContext(t.Context(), metav1.ListOptions{})
	}
	want := []string{
		"/api/v1/services?limit=5",
		"/apis/discovery.k8s.io/v1/endpointslices?resourceVersion=7&watch=true",
		"/api/v1/endpoints",
		"/api/v1/nodes",
		"/api/v1/namespaces/kube-system/configmaps?fieldSelector=metadata.name%3Dkube-dns",
	}
	if diff := cmp.Diff(want, requests); diff != "" {
		t.Errorf("requests (-want +got)\n%s", diff)
	}
}

func TestConfigMapWatcher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := newFakeAPI(true, func() apiObject { return &corev1.ConfigMap{} })
		object := func(name, value string) *corev1.ConfigMap {
			return &corev1.ConfigMap{
				ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: name},
				Data:       map[string]string{"stubDomains": value},
			}
		}
		sources := Sources{ConfigMap: func(string, string) cache.ListerWatcherWithContext { return api }}
		var got []string
		w := NewConfigMapWatcher(sources, "kube-system", "kube-dns", slog.New(slog.DiscardHandler), func(s ConfigMapState) {
			if s.Found {
				got = append(got, s.Data["stubDomains"])
			} else {
				got = append(got, "none")
			}
		})
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _ = w.Run(ctx) }()
		settled(time.Second)
		for _, step := range []func(){
			func() { api.put(object("other", "x")) },
			func() { api.put(object("kube-dns", "a")) },
			func() { api.put(object("kube-dns", "a")) }, // nothing new
			func() { api.put(object("kube-dns", "b")) },
			func() { api.forget() }, // a relist brings nothing new either
			func() { api.remove(key{"kube-system", "other"}) },
			func() { api.remove(key{"kube-system", "kube-dns"}) },
		} {
			step()
			settled(5 * time.Second)
		}
		cancel()
		synctest.Wait()
		if diff := cmp.Diff([]string{"none", "a", "b", "none"}, got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

// TestConfigMapMetrics: the watch of the ConfigMap is among the metrics once it
// is exported.
func TestConfigMapMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := newFakeAPI(true, func() apiObject { return &corev1.ConfigMap{} })
		sources := Sources{
			Services: api, Slices: api,
			ConfigMap: func(string, string) cache.ListerWatcherWithContext { return api },
		}
		log := slog.New(slog.DiscardHandler)
		registry := prometheus.NewRegistry()
		w := New(Config{Sources: sources, Tree: treecache.New("\x05local\x00"), Logger: log, Registerer: registry})
		c := NewConfigMapWatcher(sources, "kube-system", "kube-dns", log, func(ConfigMapState) {})
		connected := func() map[string]float64 {
			t.Helper()
			families, err := registry.Gather()
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]float64{}
			for _, f := range families {
				if f.GetName() != "kubedns_kubernetes_connected" {
					continue
				}
				for _, m := range f.GetMetric() {
					got[m.GetLabel()[0].GetValue()] = m.GetGauge().GetValue()
				}
			}
			return got
		}
		if got := connected(); len(got) != 2 {
			t.Errorf("without a ConfigMap: %v", got)
		}
		w.Export(c)
		if got := connected(); len(got) != 3 || got["configmaps"] != 0 {
			t.Errorf("before the start: %v", got)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _ = c.Run(ctx) }()
		settled(time.Second)
		if got := connected(); got["configmaps"] != 1 {
			t.Errorf("after the start: %v", got)
		}
		cancel()
		synctest.Wait()
	})
}

func TestFindLocation(t *testing.T) {
	tests := []struct {
		name   string
		labels map[string]string
		want   Location
	}{
		{"none", nil, Location{}},
		{"half", map[string]string{corev1.LabelTopologyZone: "z"}, Location{}},
		{"halves of two families", map[string]string{corev1.LabelTopologyZone: "z", corev1.LabelFailureDomainBetaRegion: "r"}, Location{}},
		{"new", map[string]string{corev1.LabelTopologyZone: "z", corev1.LabelTopologyRegion: "r"}, Location{"z", "r"}},
		{"old", map[string]string{corev1.LabelFailureDomainBetaZone: "z", corev1.LabelFailureDomainBetaRegion: "r"}, Location{"z", "r"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			api := newFakeAPI(true, func() apiObject { return &corev1.Node{} })
			for i := range pageSize {
				api.put(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "a" + time.Duration(i).String()}})
			}
			api.put(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "b", Labels: tt.labels}}) // on the second page
			got, found, err := FindLocation(t.Context(), api, Location{})
			if err != nil || got != tt.want || found != (tt.want != Location{}) {
				t.Errorf("got %v, %t, %v; want %v", got, found, err, tt.want)
			}
		})
	}
}

// A location is awaited, kept for as long as a node has it, through failures
// and the loss of all labels too, and then replaced.
func TestFollowLocation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := newFakeAPI(true, func() apiObject { return &corev1.Node{} })
		put := func(name, zone string) {
			api.put(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{
				corev1.LabelTopologyZone: zone, corev1.LabelTopologyRegion: "r",
			}}})
		}
		ctx, cancel := context.WithCancel(t.Context())
		var got []Location
		done := make(chan struct{})
		go func() {
			defer close(done)
			FollowLocation(ctx, api, slog.New(slog.DiscardHandler), func(loc Location) { got = append(got, loc) })
		}()
		steps := []struct {
			name string
			do   func()
			want []Location
		}{
			{"forbidden", func() { api.setFail(forbidden("nodes")) }, nil},
			{"no nodes", func() { api.setFail(nil) }, nil},
			{"a node", func() { put("m", "z") }, []Location{{"z", "r"}}},
			{"one before it", func() { put("a", "y") }, []Location{{"z", "r"}}},
			{"forbidden again", func() { api.setFail(forbidden("nodes")) }, []Location{{"z", "r"}}},
			{"gone", func() { api.setFail(nil); api.remove(key{"", "m"}) }, []Location{{"z", "r"}, {"y", "r"}}},
			{"labels gone", func() { put("a", "") }, []Location{{"z", "r"}, {"y", "r"}}},
			{"labelled anew", func() { put("a", "x") }, []Location{{"z", "r"}, {"y", "r"}, {"x", "r"}}},
		}
		for _, step := range steps {
			step.do()
			time.Sleep(time.Hour)
			synctest.Wait()
			if !slices.Equal(got, step.want) {
				t.Errorf("%s: got %v, want %v", step.name, got, step.want)
			}
		}
		cancel()
		<-done
	})
}

// If a server sends Retry-After, the failure is reported at once, and the server is not asked
// before that time.
func TestPutOff(t *testing.T) {
	var asked []time.Time
	var mu sync.Mutex
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/services") {
			mu.Lock()
			asked = append(asked, time.Now())
			mu.Unlock()
		}
		w.Header().Set("Retry-After", "2")
		http.Error(w, "too many requests", http.StatusTooManyRequests)
	}))
	defer server.Close()
	sources, err := APISources(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	w := New(Config{Sources: sources, Tree: treecache.New(dnsname.MustParse("cluster.local")), Logger: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = w.Run(ctx) // it never fails
	}()
	for {
		s := w.Status().Resources[0]
		mu.Lock()
		n := len(asked)
		mu.Unlock()
		if n >= 3 {
			if s.Failures < 2 || s.Connected || s.LastError == "" {
				t.Errorf("after two refusals: %+v", s)
			}
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	cancel()
	<-done
	for i := range asked[1:] {
		if pause := asked[i+1].Sub(asked[i]); pause < 2*time.Second {
			t.Errorf("asked again after %v, want 2s at the earliest", pause)
		}
	}
}
