package kubewatch

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/kube-dns/kube-dns/pkg/records"
)

// ServiceImports come as JSON, in the version that the server knows. An object of the wrong
// shape affects neither the list nor other objects.
func TestImportsOverHTTP(t *testing.T) {
	const good = `{"metadata":{"namespace":"ns1","name":"shop","creationTimestamp":"2026-01-02T03:04:05Z","managedFields":[{"manager":"m"}]},
		"spec":{"type":"ClusterSetIP","ips":["10.7.0.1","fd00:7::1"],"ports":[{"name":"http","port":80,"appProtocol":"http"}],"ipFamilies":["IPv6"],"sessionAffinity":"ClientIP"},
		"status":{"clusters":[{"cluster":"ca"}]}}`
	bad := []string{
		`{"metadata":{"namespace":"ns1","name":"text"},"spec":{"type":"ClusterSetIP","ports":[{"port":"http"}]}}`,
		`{"metadata":{"namespace":"ns1","name":"list"},"spec":["x"]}`,
		`{"metadata":{"namespace":"ns1","name":"large"},"spec":{"type":"Headless","ports":[{"port":99999999999}]}}`,
		`{"metadata":{"namespace":"ns1","name":"none"}}`,
		`{"metadata":{"namespace":"ns1","name":"null"},"spec":null}`,
	}
	var accept atomic.Pointer[string]
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text := r.Header.Get("Accept")
		accept.Store(&text)
		w.Header().Set("Content-Type", "application/json")
		if !strings.HasPrefix(r.URL.Path, "/apis/multicluster.x-k8s.io/v1alpha1/serviceimports") {
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(`404 page not found`))
			return
		}
		_, _ = w.Write([]byte(`{"apiVersion":"multicluster.x-k8s.io/v1alpha1","kind":"ServiceImportList","metadata":{"resourceVersion":"7"},"items":[` +
			good + "," + strings.Join(bad, ",") + "]}"))
	}))
	defer server.Close()
	sources, err := APISources(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	source := newImportSource(sources.Imports, slog.New(slog.DiscardHandler))
	c := &converter{}
	f := newFeed[*records.Service](source, newHealth("serviceimports", slog.New(slog.DiscardHandler)), c.convertImport, serviceSink{newClusterState()})
	list, err := f.list(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := *accept.Load(); strings.Contains(got, "protobuf") {
		t.Errorf("Accept: %s", got)
	}
	kinds := map[string]records.Kind{}
	for _, it := range list.(*metainternalversion.List).Items[0].(*batch[*records.Service]).items {
		kinds[it.key.name] = it.value.Kind
		if it.key.name == "shop" && (len(it.value.ClusterIPs) != 2 || len(it.value.Ports) != 1 || it.value.Ports[0].Protocol != records.TCP ||
			it.value.Created != time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Unix()) {
			t.Errorf("shop is %+v", it.value)
		}
	}
	if len(kinds) != 6 || kinds["shop"] != records.ClusterSetIP {
		t.Errorf("kinds %v", kinds)
	}
	for name, kind := range kinds {
		if name != "shop" && kind != records.UnknownImport {
			t.Errorf("%s has kind %v", name, kind)
		}
	}
}
