package kubefiles

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	serializer "k8s.io/apimachinery/pkg/runtime/serializer/json"

	"github.com/kube-dns/kube-dns/pkg/internal/jsonfault"
	"github.com/kube-dns/kube-dns/pkg/serviceimport"
)

// object is an object of any kind that is read.
type object interface {
	runtime.Object
	metav1.Object
}

// position says where in the files an object is.
type position struct {
	file     string
	document int // from 1
	item     int // index in a list; -1 if the document is not a list
}

// String returns the position in the form "FILE: document N: items[I]".
func (p position) String() string {
	s := fmt.Sprintf("%s: document %d", p.file, p.document)
	if p.item >= 0 {
		s += fmt.Sprintf(": items[%d]", p.item)
	}
	return s
}

// located is an object, its kind and its position.
type located struct {
	object   object
	kind     string
	position position
}

// documentDecoder turns documents into objects and collects the results. Use
// newDocumentDecoder.
type documentDecoder struct {
	strict runtime.Decoder

	objects  []located
	errs     []error
	warnings []string
	skipped  map[string]int // "apps/v1 Deployment" -> number of objects
}

func newDocumentDecoder() *documentDecoder {
	scheme := runtime.NewScheme()
	scheme.AddKnownTypes(corev1.SchemeGroupVersion,
		&corev1.Service{}, &corev1.Endpoints{}, &corev1.Node{}, &corev1.ConfigMap{}) //nolint:staticcheck // files may hold Endpoints
	scheme.AddKnownTypes(discoveryv1.SchemeGroupVersion, &discoveryv1.EndpointSlice{})
	serviceimport.AddToScheme(scheme)
	return &documentDecoder{
		strict: serializer.NewSerializerWithOptions(serializer.DefaultMetaFactory, scheme, scheme,
			serializer.SerializerOptions{Strict: true}),
		skipped: map[string]int{},
	}
}

// header holds the fields of a document that decide how to decode it, and its name for messages.
type header struct {
	APIVersion string             `json:"apiVersion"`
	Kind       string             `json:"kind"`
	Items      *[]json.RawMessage `json:"items"`
	Metadata   json.RawMessage    `json:"metadata"`
}

// named returns a space and the name in the metadata of h, or nothing if it has none.
func named(h *header) string {
	var metadata struct{ Name, Namespace string }
	if json.Unmarshal(h.Metadata, &metadata) != nil || metadata.Name == "" {
		return ""
	}
	return " " + quoted(strings.TrimPrefix(metadata.Namespace+"/"+metadata.Name, "/"))
}

// decodeDocument decodes one document or, if it is a list, its items. outer is the
// type of the items of a typed list, and otherwise empty.
func (d *documentDecoder) decodeDocument(at position, data []byte, outer metav1.TypeMeta) {
	var h header
	if err := json.Unmarshal(data, &h); err != nil {
		d.errs = append(d.errs, fmt.Errorf("%s: %w", at, jsonfault.Explain(err)))
		return
	}
	if h.Kind == "" && h.APIVersion == "" && outer.Kind != "" {
		// The items of a typed list, such as the API returns, have no type of
		// their own.
		h.APIVersion, h.Kind = outer.APIVersion, outer.Kind
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
			d.decodeDocument(position{at.file, at.document, i}, item, inner)
		}
		return
	}
	of := metav1.TypeMeta{APIVersion: h.APIVersion, Kind: h.Kind}
	if !wanted(of) {
		d.skipped[h.APIVersion+" "+h.Kind]++
		return
	}
	gvk := of.GroupVersionKind()
	decoded, _, err := d.strict.Decode(data, &gvk, nil)
	if strict, ok := runtime.AsStrictDecodingError(err); ok && decoded != nil {
		for _, e := range strict.Errors() {
			d.warnings = append(d.warnings, fmt.Sprintf("%s: %v", at, e))
		}
		err = nil
	}
	obj, ok := decoded.(object)
	if err != nil || !ok {
		d.errs = append(d.errs, fmt.Errorf("%s: %s%s: %w", at, h.Kind, named(&h), jsonfault.Explain(err)))
		return
	}
	if obj.GetNamespace() == "" && h.Kind != "Node" {
		obj.SetNamespace(metav1.NamespaceDefault)
	}
	obj.SetManagedFields(nil)
	faults, warnings := check(obj)
	for _, w := range warnings {
		d.warnings = append(d.warnings, fmt.Sprintf("%s: %s %s: %s", at, h.Kind, quoted(obj.GetName()), w))
	}
	for _, f := range faults {
		d.errs = append(d.errs, fmt.Errorf("%s: %s %s: %s", at, h.Kind, quoted(obj.GetName()), f))
	}
	d.objects = append(d.objects, located{obj, h.Kind, at})
}

// wanted reports whether objects of type t are read.
func wanted(t metav1.TypeMeta) bool {
	switch t.APIVersion + " " + t.Kind {
	case "v1 Service", "v1 Endpoints", "v1 Node", "v1 ConfigMap", "discovery.k8s.io/v1 EndpointSlice":
		return true
	}
	group, version, _ := strings.Cut(t.APIVersion, "/")
	return t.Kind == serviceimport.Kind && group == serviceimport.Group && slices.Contains(serviceimport.Versions(), version)
}

// quoted returns a name as it is, or in quotes if it holds anything that could control a
// terminal or begin another line.
func quoted(name string) string {
	if q := strconv.QuoteToASCII(name); q != `"`+name+`"` {
		return q
	}
	return name
}
