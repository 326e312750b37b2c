package kubewatch

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"

	"github.com/kube-dns/kube-dns/pkg/records"
	"github.com/kube-dns/kube-dns/pkg/serviceimport"
)

// protobufs returns the decoders that are used, and those below them.
func protobufs(tb testing.TB) (direct, plain runtime.SerializerInfo) {
	tb.Helper()
	factory := serializer.NewCodecFactory(newScheme()).WithoutConversion()
	of := func(f runtime.NegotiatedSerializer) runtime.SerializerInfo {
		info, ok := runtime.SerializerInfoForMediaType(f.SupportedMediaTypes(), runtime.ContentTypeProtobuf)
		if !ok {
			tb.Fatal("no protobuf")
		}
		return info
	}
	return of(compactFactory{factory, newDecoder()}), of(factory)
}

// fullMeta is metadata with all that others write there.
func fullMeta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: "default", Name: name, GenerateName: "x-", UID: "0b2a6f6e", ResourceVersion: "77", Generation: 3,
		CreationTimestamp: metav1.Unix(1_700_000_000, 0), DeletionTimestamp: new(metav1.Unix(1_700_000_100, 0)),
		Labels: map[string]string{
			discoveryv1.LabelServiceName: "web", "app": "web", "": "empty",
			serviceimport.LabelServiceName: "shop", serviceimport.LabelSourceCluster: "ca.reg",
		},
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

// empty is a sink that keeps nothing.
type empty[V any] struct{}

func (empty[V]) shareKept(_ key, value V) V { return value }
func (empty[V]) set(*item[V])               {}
func (empty[V]) remove(key)                 {}
func (empty[V]) replace([]*item[V])         {}

// compacted is the item of a decoded object: the slow way to get it.
func compacted(tb testing.TB, o runtime.Object) any {
	tb.Helper()
	c := &converter{}
	var it any
	var err error
	switch o := o.(type) {
	case *item[sliceValue], *item[*records.Service]:
		return o
	case *discoveryv1.EndpointSlice:
		it, err = newStore(nil, c.convertSlice, empty[sliceValue]{}).compact(o)
	case *corev1.Service:
		var service *item[*records.Service]
		service, err = newStore(nil, c.convertService, empty[*records.Service]{}).compact(o)
		service.trigger, it = time.Time{}, service // nobody asks a Service for it
	default:
		return o
	}
	if err != nil {
		tb.Fatal(err)
	}
	return it
}

// kept is what is left of a decoded object or list.
func kept(tb testing.TB, o runtime.Object) any {
	tb.Helper()
	switch o.(type) {
	case *discoveryv1.EndpointSliceList, *corev1.ServiceList, *metainternalversion.List:
	default:
		return compacted(tb, o)
	}
	accessor, err := meta.ListAccessor(o)
	if err != nil {
		tb.Fatal(err)
	}
	out := []any{accessor.GetResourceVersion(), accessor.GetContinue()}
	err = meta.EachListItem(o, func(o runtime.Object) error {
		out = append(out, compacted(tb, o))
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

// isItem reports whether a decoded object is an item.
func isItem(o runtime.Object) bool {
	switch o.(type) {
	case *item[sliceValue], *item[*records.Service]:
		return true
	}
	return false
}

// enveloped returns data as the API wraps an object of that kind.
func enveloped(tb testing.TB, gv schema.GroupVersion, kind string, data []byte) []byte {
	tb.Helper()
	wrapped, err := (&runtime.Unknown{TypeMeta: runtime.TypeMeta{APIVersion: gv.String(), Kind: kind}, Raw: data}).Marshal()
	if err != nil {
		tb.Fatal(err)
	}
	return append([]byte(magic), wrapped...)
}

// bare returns the encoding of several objects one after the other: of one
// object in which every field comes several times.
func bare(tb testing.TB, objects ...interface{ Marshal() ([]byte, error) }) []byte {
	tb.Helper()
	var all []byte
	for _, o := range objects {
		data, err := o.Marshal()
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, data...)
	}
	return all
}

// sample is encoded data, and whether an item or a list of items comes of it.
type sample struct {
	data   []byte
	direct bool
}

func samples(tb testing.TB) map[string]sample {
	tb.Helper()
	_, info := protobufs(tb)
	plain := info.Serializer
	core, discovery := corev1.SchemeGroupVersion, discoveryv1.SchemeGroupVersion
	list := metav1.ListMeta{ResourceVersion: "9", Continue: "more"}
	other := &corev1.Service{Spec: corev1.ServiceSpec{ClusterIP: "None", Ports: []corev1.ServicePort{{Name: "x", Protocol: "X"}}}}
	other.Name, other.CreationTimestamp = "other", metav1.Unix(5, 0)
	names := fullSlice()
	names.AddressType = discoveryv1.AddressTypeFQDN
	names.Annotations = map[string]string{corev1.EndpointsLastChangeTriggerTime: "now"}
	relabelled := testSlice("web-2", "else", "010.0.0.1", "x", "::ffff:10.0.0.9", "fd00::1")
	relabelled.Ports = append(relabelled.Ports, discoveryv1.EndpointPort{}, discoveryv1.EndpointPort{Port: new(int32(-1))})
	slice := bare(tb, fullSlice())
	tolerant := &corev1.ServiceList{}
	for _, value := range []string{"true", "T", "1", "false", "", "yes", " true"} {
		s := corev1.Service{Spec: corev1.ServiceSpec{ClusterIP: "None", PublishNotReadyAddresses: value == "yes"}}
		s.Name, s.Annotations = "tolerant", map[string]string{tolerateUnready: value, "x": "true"}
		tolerant.Items = append(tolerant.Items, s)
	}
	return map[string]sample{
		"tolerant":       {encoded(tb, plain, core, tolerant), true},
		"service":        {encoded(tb, plain, core, fullService()), true},
		"services":       {encoded(tb, plain, core, &corev1.ServiceList{ListMeta: list, Items: []corev1.Service{*fullService(), {}, *other}}), true},
		"slice":          {encoded(tb, plain, discovery, fullSlice()), true},
		"slices":         {encoded(tb, plain, discovery, &discoveryv1.EndpointSliceList{ListMeta: list, Items: []discoveryv1.EndpointSlice{*fullSlice(), {}, *relabelled}}), true},
		"names":          {encoded(tb, plain, discovery, names), true},
		"merged service": {enveloped(tb, core, "Service", bare(tb, fullService(), other)), true},
		"merged slice":   {enveloped(tb, discovery, "EndpointSlice", bare(tb, fullSlice(), relabelled)), true},
		"merged list":    {enveloped(tb, core, "ServiceList", bare(tb, &corev1.ServiceList{ListMeta: list}, &corev1.ServiceList{ListMeta: metav1.ListMeta{Continue: "x"}})), true},
		"more fields":    {enveloped(tb, discovery, "EndpointSlice", append(bytes.Clone(slice), "\xa8\x3f\xff\xff\x03\xad\x3f1234\xa9\x3f12345678\xaa\x3f\x01x"...)), true},
		"a group":        {enveloped(tb, discovery, "EndpointSlice", append(bytes.Clone(slice), "\xab\x3f\xac\x3f"...)), false},
		"a long varint":  {enveloped(tb, discovery, "EndpointSlice", append(bytes.Clone(slice), "\xa8\x3f\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"...)), false},
		"a huge number":  {enveloped(tb, discovery, "EndpointSlice", append(bytes.Clone(slice), "\x8a\x80\x80\x80\x80\x01\x00"...)), false},
		"another type":   {enveloped(tb, discovery, "EndpointSlice", append(bytes.Clone(slice), "\x20\x01"...)), false},
		"node":           {encoded(tb, plain, core, &corev1.Node{ObjectMeta: fullMeta("node-1")}), false},
		"empty":          {encoded(tb, plain, core, &corev1.Service{}), true},
		"nothing":        {enveloped(tb, core, "Service", nil), false},
		"not an object":  {[]byte(magic), false},
		"other encoding": {[]byte(`{"kind":"Service","apiVersion":"v1"}`), false},
	}
}

func TestDecode(t *testing.T) {
	direct, plain := protobufs(t)
	for name, s := range samples(t) {
		t.Run(name, func(t *testing.T) {
			got := sameDecoded(t, direct.Serializer, plain.Serializer, s.data)
			_, isList := got.(*metainternalversion.List)
			if direct := isList || isItem(got); direct != s.direct {
				t.Errorf("got %T, directly: %t; want %t", got, direct, s.direct)
			}
		})
	}
	whole := samples(t)["slices"].data
	for n := range whole { // cut off anywhere
		sameDecoded(t, direct.Serializer, plain.Serializer, whole[:n])
	}
}

// TestTolerateUnready: the annotation means publishNotReadyAddresses, from
// protobuf as from decoded objects.
func TestTolerateUnready(t *testing.T) {
	direct, plain := protobufs(t)
	for _, tt := range []struct {
		annotation string
		field      bool
		want       bool
	}{
		{"", false, false},
		{"", true, true},
		{"true", false, true},
		{"True", false, true},
		{"1", false, true},
		{"true", true, true},
		{"false", false, false},
		{"false", true, true},
		{"yes", false, false},
	} {
		s := &corev1.Service{Spec: corev1.ServiceSpec{ClusterIP: "None", PublishNotReadyAddresses: tt.field}}
		s.Name, s.Annotations = "s", map[string]string{tolerateUnready: tt.annotation}
		decoded := sameDecoded(t, direct.Serializer, plain.Serializer, encoded(t, plain.Serializer, corev1.SchemeGroupVersion, s))
		it, ok := decoded.(*item[*records.Service])
		if !ok {
			t.Fatalf("decoded a %T", decoded)
		}
		if got := it.value.PublishNotReady; got != tt.want {
			t.Errorf("annotation %q, field %v: %v, want %v", tt.annotation, tt.field, got, tt.want)
		}
	}
}

// sameDecoded fails the test unless decoding directly gives the same as
// compacting what was decoded the ordinary way, and the input is as before. It
// returns what was decoded directly.
func sameDecoded(tb testing.TB, direct, plain runtime.Serializer, data []byte) runtime.Object {
	tb.Helper()
	input := bytes.Clone(data)
	want, wantKind, wantErr := plain.Decode(data, nil, nil)
	got, gotKind, gotErr := direct.Decode(input, nil, nil)
	if !bytes.Equal(input, data) {
		tb.Error("the input changed")
	}
	if wantErr != nil {
		// Broken in a part that is left out, it can be read.
		return got
	}
	if gotErr != nil {
		tb.Fatalf("%x: %v", data, gotErr)
	}
	clear(input) // nothing that is kept may be part of it
	if diff := cmp.Diff(fmt.Sprint(wantKind), fmt.Sprint(gotKind)); diff != "" {
		tb.Error(diff)
	}
	if want, got := kept(tb, want), kept(tb, got); !reflect.DeepEqual(want, got) {
		tb.Errorf("%x\ngot  %s\nwant %s", data, described(got), described(want))
	}
	return got
}

// described returns all that is in what kept returned, as text.
func described(v any) string {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	var b strings.Builder
	for _, v := range list {
		switch it := v.(type) {
		case *item[*records.Service]:
			fmt.Fprintf(&b, "%v %q %v %t: %t %+v\n", it.key, it.version, it.trigger, it.end, it.kept, it.value)
		case *item[sliceValue]:
			fmt.Fprintf(&b, "%v %q %v %t: %t %q %q", it.key, it.version, it.trigger, it.end, it.kept, it.value.service, it.value.imported)
			for _, part := range it.value.parts {
				plain := *part
				plain.SetCluster(nil) // whose address differs
				fmt.Fprintf(&b, " %+v of %q", plain, part.Cluster())
			}
			b.WriteByte('\n')
		default:
			fmt.Fprintf(&b, "%+v\n", v)
		}
	}
	return b.String()
}

func FuzzDecode(f *testing.F) {
	for _, s := range samples(f) {
		f.Add(s.data)
	}
	direct, plain := protobufs(f)
	f.Fuzz(func(t *testing.T, data []byte) { sameDecoded(t, direct.Serializer, plain.Serializer, data) })
}

// events returns encoded events of a watch, and whether their objects are parts
// of them.
func events(tb testing.TB) map[string]sample {
	tb.Helper()
	event := func(what, raw string) *metav1.WatchEvent {
		return &metav1.WatchEvent{Type: what, Object: runtime.RawExtension{Raw: []byte(raw)}}
	}
	return map[string]sample{
		"added":        {bare(tb, event("ADDED", "object")), true},
		"other type":   {bare(tb, event("OTHER", "object")), true},
		"more fields":  {append(bare(tb, event("DELETED", "object")), "\x1a\x01x\x20\x05"...), true},
		"no type":      {bare(tb, event("", "object")), true},
		"no object":    {bare(tb, event("ADDED", "")), false},
		"two events":   {bare(tb, event("ADDED", "object"), event("MODIFIED", "another")), false},
		"cut off":      {bare(tb, event("ADDED", "object"))[:12], false},
		"another type": {[]byte("\x08\x05\x12\x03\x0a\x01x"), false},
		"two objects":  {[]byte("\x0a\x05ADDED\x12\x06\x0a\x01x\x0a\x01y"), true},
		"nothing":      {nil, false},
	}
}

// sameEvent fails the test unless the two decoders say the same of an event. It
// reports whether the object is part of data.
func sameEvent(tb testing.TB, direct, plain runtime.Serializer, data []byte) bool {
	tb.Helper()
	var got, want metav1.WatchEvent
	_, _, wantErr := plain.Decode(data, nil, &want)
	out, _, gotErr := direct.Decode(data, nil, &got)
	if wantErr != nil {
		return false
	}
	if gotErr != nil || out != runtime.Object(&got) || !reflect.DeepEqual(got, want) {
		tb.Errorf("%x: got %v, %v; want %v", data, got, gotErr, want)
	}
	if len(data) == 0 || len(got.Object.Raw) == 0 {
		return false
	}
	before := bytes.Clone(got.Object.Raw)
	for i := range data {
		data[i] ^= 0xff
	}
	return !bytes.Equal(before, got.Object.Raw)
}

func TestDecodeEvent(t *testing.T) {
	direct, plain := protobufs(t)
	for name, s := range events(t) {
		if got := sameEvent(t, direct.StreamSerializer.Serializer, plain.StreamSerializer.Serializer, s.data); got != s.direct {
			t.Errorf("%s: the object is part of it: %t, want %t", name, got, s.direct)
		}
	}
	// Whatever else a stream might hold is decoded as ever.
	if _, _, err := direct.StreamSerializer.Decode([]byte("x"), nil, &metav1.Status{}); err == nil {
		t.Error("a broken status was decoded")
	}
}

func FuzzDecodeEvent(f *testing.F) {
	for _, s := range events(f) {
		f.Add(s.data)
	}
	direct, plain := protobufs(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		sameEvent(t, direct.StreamSerializer.Serializer, plain.StreamSerializer.Serializer, bytes.Clone(data))
	})
}

// largeSlice is a slice of ten endpoints as controllers write it.
func largeSlice(tb testing.TB) []byte {
	tb.Helper()
	_, plain := protobufs(tb)
	s := fullSlice()
	e := s.Endpoints[0]
	e.Hostname = nil
	s.Endpoints = nil
	for range 10 {
		s.Endpoints = append(s.Endpoints, e)
	}
	return encoded(tb, plain.Serializer, discoveryv1.SchemeGroupVersion, s)
}

// The memory that one slice takes while it is decoded is what is kept of it: the
// item, its name and version, the slice, its list of endpoints, and the value
// with its list of parts.
func TestDecodeAllocs(t *testing.T) {
	if raceEnabled {
		t.Log("the race detector allocates on its own; only that it works is seen")
	}
	direct, _ := protobufs(t)
	data := largeSlice(t)
	got := testing.AllocsPerRun(100, func() {
		if _, _, err := direct.Serializer.Decode(data, nil, nil); err != nil {
			t.Fatal(err)
		}
	})
	if got > 7 && !raceEnabled {
		t.Errorf("a slice takes %v allocations, want at most 7", got)
	}
}

func BenchmarkDecodeSlice(b *testing.B) {
	direct, plain := protobufs(b)
	data := largeSlice(b)
	for name, decoder := range map[string]runtime.Serializer{"whole": plain.Serializer, "direct": direct.Serializer} {
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
