package kubefiles

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	serializer "k8s.io/apimachinery/pkg/runtime/serializer/json"

	"github.com/kube-dns/kube-dns/pkg/serviceimport"
)

// object is any of the kinds that are read.
type object interface {
	runtime.Object
	metav1.Object
}

// place says where in the files an object is.
type place struct {
	file     string
	document int
	item     int // in a list; -1 outside
}

// String returns the place as people write it.
func (p place) String() string {
	s := fmt.Sprintf("%s: document %d", p.file, p.document)
	if p.item >= 0 {
		s += fmt.Sprintf(": items[%d]", p.item)
	}
	return s
}

// found is an object and where it was.
type found struct {
	object object
	place  place
}

// decoder turns documents into objects. The zero value is not usable.
type decoder struct {
	strict runtime.Decoder

	objects  []found
	errs     []error
	warnings []string
	skipped  map[string]int // "apps/v1 Deployment" -> how many
}

func newDecoder() *decoder {
	scheme := runtime.NewScheme()
	scheme.AddKnownTypes(corev1.SchemeGroupVersion,
		&corev1.Service{}, &corev1.Endpoints{}, &corev1.Node{}, &corev1.ConfigMap{}) //nolint:staticcheck // files may hold Endpoints
	scheme.AddKnownTypes(discoveryv1.SchemeGroupVersion, &discoveryv1.EndpointSlice{})
	serviceimport.AddToScheme(scheme)
	return &decoder{
		strict: serializer.NewSerializerWithOptions(serializer.DefaultMetaFactory, scheme, scheme,
			serializer.SerializerOptions{Strict: true}),
		skipped: map[string]int{},
	}
}

// header is what must be known of a document before it can be decoded.
type header struct {
	metav1.TypeMeta `json:",inline"`
	Items           *[]json.RawMessage `json:"items"`
}

// add decodes one document and, in a list, what it lists.
func (d *decoder) add(at place, data []byte, outer metav1.TypeMeta) {
	var h header
	if err := json.Unmarshal(data, &h); err != nil {
		d.errs = append(d.errs, fmt.Errorf("%s: %w", at, err))
		return
	}
	if h.Kind == "" && h.APIVersion == "" && outer.Kind != "" {
		// Items of a typed list, as the API itself returns one, do not say
		// what they are.
		h.TypeMeta = outer
	}
	if h.Kind == "" || h.APIVersion == "" {
		d.errs = append(d.errs, fmt.Errorf("%s: apiVersion or kind is missing", at))
		return
	}
	if kind, ok := strings.CutSuffix(h.Kind, "List"); ok && h.Items != nil && at.item < 0 {
		inner := metav1.TypeMeta{}
		if kind != "" {
			inner = metav1.TypeMeta{APIVersion: h.APIVersion, Kind: kind}
		}
		for i, item := range *h.Items {
			d.add(place{at.file, at.document, i}, item, inner)
		}
		return
	}
	if !wanted(h.TypeMeta) {
		d.skipped[h.APIVersion+" "+h.Kind]++
		return
	}
	gvk := h.GroupVersionKind()
	decoded, _, err := d.strict.Decode(data, &gvk, nil)
	if strict, ok := runtime.AsStrictDecodingError(err); ok && decoded != nil {
		for _, e := range strict.Errors() {
			d.warnings = append(d.warnings, fmt.Sprintf("%s: %v", at, e))
		}
		err = nil
	}
	obj, ok := decoded.(object)
	if err != nil || !ok {
		d.errs = append(d.errs, fmt.Errorf("%s: %s: %w", at, h.Kind, err))
		return
	}
	if obj.GetNamespace() == "" && h.Kind != "Node" {
		obj.SetNamespace(metav1.NamespaceDefault)
	}
	obj.SetManagedFields(nil)
	faults, warnings := check(obj)
	for _, w := range warnings {
		d.warnings = append(d.warnings, fmt.Sprintf("%s: %s %s: %s", at, h.Kind, obj.GetName(), w))
	}
	for _, f := range faults {
		d.errs = append(d.errs, fmt.Errorf("%s: %s %s: %s", at, h.Kind, obj.GetName(), f))
	}
	d.objects = append(d.objects, found{obj, at})
}

// wanted reports whether t is one of the kinds that are read.
func wanted(t metav1.TypeMeta) bool {
	switch t.APIVersion + " " + t.Kind {
	case "v1 Service", "v1 Endpoints", "v1 Node", "v1 ConfigMap", "discovery.k8s.io/v1 EndpointSlice":
		return true
	}
	group, version, _ := strings.Cut(t.APIVersion, "/")
	return t.Kind == serviceimport.Kind && group == serviceimport.Group && slices.Contains(serviceimport.Versions(), version)
}
