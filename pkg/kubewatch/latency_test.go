package kubewatch

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// latencies returns how many changes were measured for a kind, and their sum.
func (f *fixture) latencies(t *testing.T, kind string) (count uint64, sum float64) {
	t.Helper()
	families, err := f.cfg.Registerer.(*prometheus.Registry).Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != "kubedns_kubernetes_dns_programming_duration_seconds" {
			continue
		}
		for _, m := range family.GetMetric() {
			if m.GetLabel()[0].GetValue() == kind {
				return m.GetHistogram().GetSampleCount(), m.GetHistogram().GetSampleSum()
			}
		}
	}
	t.Fatalf("no series of kind %s", kind)
	return 0, 0
}

// The latency is measured once for each change that has a time and an effect, and never for
// lists.
func TestProgrammingLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, true)
		annotated := func(s *discoveryv1.EndpointSlice, ago time.Duration) *discoveryv1.EndpointSlice {
			s.Annotations = map[string]string{corev1.EndpointsLastChangeTriggerTime: time.Now().Add(-ago).Format(time.RFC3339Nano)}
			return s
		}
		f.services.put(testService("web", "10.96.0.1"))
		f.services.put(testService("db", "None"))
		f.slices.put(annotated(testSlice("db-1", "db", "10.0.0.1"), time.Hour))
		f.run(t)
		defer f.stop()
		settled(time.Minute)
		check := func(when, kind string, wantCount uint64, wantSum float64) {
			t.Helper()
			count, sum := f.latencies(t, kind)
			if count != wantCount || sum < wantSum || sum > wantSum+2*burst.Seconds() {
				t.Errorf("%s: %s: %d changes, %v s; want %d, %v s", when, kind, count, sum, wantCount, wantSum)
			}
		}
		check("after the list", kindHeadless, 0, 0)

		f.slices.put(annotated(testSlice("db-1", "db", "10.0.0.2"), 3*time.Second))
		settled(time.Minute)
		check("a change", kindHeadless, 1, 3)
		again := testSlice("db-1", "db", "10.0.0.2")
		again.Labels["other"] = "label"
		f.slices.put(annotated(again, time.Hour))
		f.slices.put(testSlice("db-2", "db", "10.0.0.3")) // no time
		settled(time.Minute)
		check("nothing to measure", kindHeadless, 1, 3)

		f.slices.put(annotated(testSlice("web-1", "web", "10.0.0.4"), -time.Second)) // another clock
		f.slices.put(annotated(testSlice("none-1", "none", "10.0.0.5"), time.Second))
		settled(time.Minute)
		check("a slice of another kind", kindClusterIP, 1, 0)
		f.slices.forget()
		settled(time.Minute)
		check("after a relist", kindHeadless, 1, 3)
		check("after a relist", kindClusterIP, 1, 0)
	})
}
