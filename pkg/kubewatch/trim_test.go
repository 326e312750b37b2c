package kubewatch

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
)

// protobufs returns the decoder that is used, and the one below it.
func protobufs(tb testing.TB) (trimming, plain runtime.Serializer) {
	tb.Helper()
	factory := serializer.NewCodecFactory(newScheme()).WithoutConversion()
	of := func(f runtime.NegotiatedSerializer) runtime.Serializer {
		info, ok := runtime.SerializerInfoForMediaType(f.SupportedMediaTypes(), runtime.ContentTypeProtobuf)
		if !ok {
			tb.Fatal("no protobuf")
		}
		return info.Serializer
	}
	return of(trimmingFactory{factory}), of(factory)
}

// fullMeta is metadata with all that others write there.
func fullMeta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: "default", Name: name, GenerateName: "x-", UID: "0b2a6f6e", ResourceVersion: "77", Generation: 3,
		CreationTimestamp: metav1.Unix(1_700_000_000, 0), DeletionTimestamp: new(metav1.Unix(1_700_000_100, 0)),
		Labels: map[string]string{discoveryv1.LabelServiceName: "web", "app": "web", "": "empty"},
		Annotations: map[string]string{
			corev1.EndpointsLastChangeTriggerTime: "2026-01-01T00:00:00Z", metav1.InitialEventsAnnotationKey: "true",
			"kubectl.kubernetes.io/last-applied-configuration": strings.Repeat("x", 300),
		},
		OwnerReferences: []metav1.OwnerReference{{Kind: "Service", Name: "web"}}, Finalizers: []string{"a/b"},
		ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "m", FieldsV1: metav1.NewFieldsV1(strings.Repeat("{}", 200))}},
	}
}

func fullService() *corev1.Service {
	return &corev1.Service{
		ObjectMeta: fullMeta("web"),
		Spec: corev1.ServiceSpec{
			Ports:    []corev1.ServicePort{{Name: "http", Port: 80, Protocol: corev1.ProtocolTCP, NodePort: 30080, AppProtocol: new("x")}},
			Selector: map[string]string{"app": "web"}, ClusterIP: "10.0.0.1", ClusterIPs: []string{"10.0.0.1", "fd00::1"},
			Type: corev1.ServiceTypeLoadBalancer, ExternalIPs: []string{"192.0.2.1"}, SessionAffinity: "None", ExternalName: "x.example",
			PublishNotReadyAddresses: true, IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol},
		},
		Status: corev1.ServiceStatus{LoadBalancer: corev1.LoadBalancerStatus{Ingress: []corev1.LoadBalancerIngress{{IP: "192.0.2.1"}}}},
	}
}

func fullSlice() *discoveryv1.EndpointSlice {
	e := discoveryv1.Endpoint{
		Addresses: []string{"10.1.0.1"}, Conditions: discoveryv1.EndpointConditions{Ready: new(false), Serving: new(true), Terminating: new(true)},
		Hostname: new("web-0"), TargetRef: &corev1.ObjectReference{Kind: "Pod", Name: "web-0", UID: "1"}, NodeName: new("node-1"), Zone: new("z"),
		Hints: &discoveryv1.EndpointHints{ForZones: []discoveryv1.ForZone{{Name: "z"}}},
	}
	return &discoveryv1.EndpointSlice{
		ObjectMeta: fullMeta("web-x7k2p"), AddressType: discoveryv1.AddressTypeIPv4, Endpoints: []discoveryv1.Endpoint{e, e, {}},
		Ports: []discoveryv1.EndpointPort{{Name: new("http"), Port: new(int32(8080)), Protocol: new(corev1.ProtocolTCP), AppProtocol: new("x")}},
	}
}

func encoded(tb testing.TB, s runtime.Serializer, gv schema.GroupVersion, o runtime.Object) []byte {
	tb.Helper()
	var b bytes.Buffer
	if err := serializer.NewCodecFactory(newScheme()).EncoderForVersion(s, gv).Encode(o, &b); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// trimmedMeta empties what is left out of metadata.
func trimmedMeta(m *metav1.ObjectMeta) {
	kept := metav1.ObjectMeta{Name: m.Name, Namespace: m.Namespace, ResourceVersion: m.ResourceVersion, CreationTimestamp: m.CreationTimestamp}
	keep := func(from map[string]string, keys ...string) (to map[string]string) {
		for _, k := range keys {
			if v, ok := from[k]; ok {
				if to == nil {
					to = map[string]string{}
				}
				to[k] = v
			}
		}
		return to
	}
	kept.Labels = keep(m.Labels, discoveryv1.LabelServiceName)
	kept.Annotations = keep(m.Annotations, corev1.EndpointsLastChangeTriggerTime, metav1.InitialEventsAnnotationKey)
	*m = kept
}

// trimmed is what is left of a whole object: the slow way to get it.
func trimmed(o runtime.Object) runtime.Object {
	switch o := o.(type) {
	case *corev1.Service:
		trimmedMeta(&o.ObjectMeta)
		o.Spec = corev1.ServiceSpec{
			Ports: o.Spec.Ports, ClusterIP: o.Spec.ClusterIP, ClusterIPs: o.Spec.ClusterIPs, Type: o.Spec.Type,
			ExternalName: o.Spec.ExternalName, PublishNotReadyAddresses: o.Spec.PublishNotReadyAddresses,
		}
		o.Status = corev1.ServiceStatus{}
	case *corev1.ServiceList:
		for i := range o.Items {
			trimmed(&o.Items[i])
		}
	case *discoveryv1.EndpointSlice:
		trimmedMeta(&o.ObjectMeta)
		for i := range o.Endpoints {
			e := &o.Endpoints[i]
			*e = discoveryv1.Endpoint{Addresses: e.Addresses, Hostname: e.Hostname, Conditions: discoveryv1.EndpointConditions{Ready: e.Conditions.Ready}}
		}
	case *discoveryv1.EndpointSliceList:
		for i := range o.Items {
			trimmed(&o.Items[i])
		}
	}
	return o
}

func samples(tb testing.TB) map[string][]byte {
	tb.Helper()
	_, plain := protobufs(tb)
	core, discovery := corev1.SchemeGroupVersion, discoveryv1.SchemeGroupVersion
	list := metav1.ListMeta{ResourceVersion: "9", Continue: "more"}
	return map[string][]byte{
		"service":        encoded(tb, plain, core, fullService()),
		"services":       encoded(tb, plain, core, &corev1.ServiceList{ListMeta: list, Items: []corev1.Service{*fullService(), {}, *fullService()}}),
		"slice":          encoded(tb, plain, discovery, fullSlice()),
		"slices":         encoded(tb, plain, discovery, &discoveryv1.EndpointSliceList{ListMeta: list, Items: []discoveryv1.EndpointSlice{*fullSlice(), {}, *fullSlice()}}),
		"node":           encoded(tb, plain, core, &corev1.Node{ObjectMeta: fullMeta("node-1")}),
		"empty":          encoded(tb, plain, core, &corev1.Service{}),
		"not an object":  []byte("k8s\x00"),
		"other encoding": []byte(`{"kind":"Service","apiVersion":"v1"}`),
	}
}

func TestTrim(t *testing.T) {
	trimming, plain := protobufs(t)
	for name, data := range samples(t) {
		t.Run(name, func(t *testing.T) { sameTrimmed(t, trimming, plain, data) })
	}
	whole := samples(t)["slices"]
	for n := range whole { // cut off anywhere
		sameTrimmed(t, trimming, plain, whole[:n])
	}
	out, ok := trimObject(nil, whole, shapes())
	if !ok || len(out) > len(whole)/4 {
		t.Errorf("%d of %d octets are left (%v)", len(out), len(whole), ok)
	}
}

// sameTrimmed fails the test unless decoding what was trimmed gives the same
// as trimming what was decoded, and the input is as before.
func sameTrimmed(tb testing.TB, trimming, plain runtime.Serializer, data []byte) {
	tb.Helper()
	before := bytes.Clone(data)
	want, wantKind, wantErr := plain.Decode(data, nil, nil)
	got, gotKind, gotErr := trimming.Decode(data, nil, nil)
	if !bytes.Equal(before, data) {
		tb.Error("the input changed")
	}
	if wantErr != nil {
		// Broken in a part that is left out, it can be read.
		return
	}
	if gotErr != nil {
		tb.Fatalf("%x: %v", data, gotErr)
	}
	if diff := cmp.Diff(fmt.Sprint(wantKind), fmt.Sprint(gotKind)); diff != "" {
		tb.Error(diff)
	}
	if want := trimmed(want); !reflect.DeepEqual(want, got) {
		tb.Errorf("(-want +got)\n%s", cmp.Diff(want, got))
	}
}

func FuzzTrim(f *testing.F) {
	for _, data := range samples(f) {
		f.Add(data)
	}
	trimming, plain := protobufs(f)
	f.Fuzz(func(t *testing.T, data []byte) { sameTrimmed(t, trimming, plain, data) })
}

func BenchmarkDecodeSlice(b *testing.B) {
	trimming, plain := protobufs(b)
	s := fullSlice()
	for range 8 {
		s.Endpoints = append(s.Endpoints, s.Endpoints[0])
	}
	data := encoded(b, plain, discoveryv1.SchemeGroupVersion, s)
	for name, decoder := range map[string]runtime.Serializer{"whole": plain, "trimmed": trimming} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := decoder.Decode(data, nil, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
