package objects

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/kube-dns/kube-dns/test/apiserver"
)

// TestWorst: the questions can be asked, and what they are about is there in the
// numbers that they speak of.
func TestWorst(t *testing.T) {
	s := apiserver.New()
	FillWorst(s)
	endpoints := map[string]int{}
	for _, o := range s.Objects(&discoveryv1.EndpointSlice{}) {
		slice := o.(*discoveryv1.EndpointSlice)
		endpoints[slice.Namespace+"/"+slice.Labels[discoveryv1.LabelServiceName]] += len(slice.Endpoints)
	}
	for name, want := range map[string]int{
		"big/plain": WorstEndpoints, "big/named": WorstEndpoints, "big/mixed": WorstEndpoints - 999, "shared/s9999": 1,
	} {
		if endpoints[name] != want {
			t.Errorf("%s has %d endpoints, want %d", name, endpoints[name], want)
		}
	}
	if n := len(s.Objects(&corev1.Service{})); n != 3*WorstClaimants+4 {
		t.Errorf("%d Services", n)
	}
	kinds := Cluster{Services: 1000, Endpoints: 1000}.WorstKinds()
	for _, kind := range kinds {
		if mix, err := NewMix(kind.Questions...); err != nil || len(mix.Questions()) == 0 {
			t.Errorf("%s: %v", kind.Name, err)
		}
	}
}
