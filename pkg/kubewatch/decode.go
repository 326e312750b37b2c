package kubewatch

import (
	"bytes"
	"sync"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kube-dns/kube-dns/pkg/records"
	"github.com/kube-dns/kube-dns/pkg/serviceimport"
)

// decoder turns encoded Services and EndpointSlices into items, with the same result
// as the generated decoders: a field that occurs again replaces a single value, is
// appended to a list, or is merged into a message. It leaves data of any other
// unusual form to the generated decoders. Field numbers are those of the API's
// generated.proto files, which never change.
//
// It is safe for concurrent use, and keeps no reference to the data it is given.
type decoder struct {
	converter converter
	empty     *metav1.ObjectMeta
	kinds     map[typeMeta]*decodable
	drafts    sync.Pool // of *draft
}

// typeMeta identifies a kind of object.
type typeMeta struct{ apiVersion, kind string }

// decodable is one kind of object that the decoder knows.
type decodable struct {
	gvk  schema.GroupVersionKind
	item itemFunc
	list bool
}

// itemFunc decodes one object with the help of a draft and returns its item, or nil
// if it cannot decode it.
type itemFunc func(dr *draft, data []byte) runtime.Object

func newDecoder() *decoder {
	d := &decoder{empty: &metav1.ObjectMeta{}, kinds: map[typeMeta]*decodable{}}
	add := func(gv schema.GroupVersion, name string, item itemFunc) {
		for _, list := range []bool{false, true} {
			if list {
				name += "List"
			}
			d.kinds[typeMeta{gv.String(), name}] = &decodable{gvk: gv.WithKind(name), item: item, list: list}
		}
	}
	add(corev1.SchemeGroupVersion, "Service", d.serviceItem)
	add(discoveryv1.SchemeGroupVersion, "EndpointSlice", d.sliceItem)
	return d
}

// draft holds the decoded fields of one object. Its byte slices share memory with the
// encoded data.
type draft struct {
	namespace, name, version []byte        // of the object; version is the resource version
	created                  metav1.Time   // the creation time
	trigger                  []byte        // the annotation that parseTrigger reads
	end                      bool          // of a bookmark: the initial events are complete
	service                  serviceFields // of a Service
	slice                    sliceFields   // of an EndpointSlice
}

// maxDraft is the largest list of endpoints, in elements, whose memory is kept for
// the next object. It is the largest number of endpoints that the API allows in a
// slice.
const maxDraft = 1000

// reset empties d but keeps the memory of its lists.
func (d *draft) reset() {
	endpoints := emptied(d.slice.endpoints)
	if cap(endpoints) > maxDraft {
		endpoints = nil
	}
	*d = draft{
		service: serviceFields{clusterIPs: emptied(d.service.clusterIPs), ports: emptied(d.service.ports)},
		slice:   sliceFields{endpoints: endpoints, ports: emptied(d.slice.ports)},
	}
}

// emptied returns list without elements. Its memory no longer refers to anything.
func emptied[T any](list []T) []T {
	clear(list)
	return list[:0]
}

// magic begins every protobuf message of the Kubernetes API.
const magic = "k8s\x00"

// decode returns the item, or the list of items, that data encodes, or nil if a
// generated decoder must decode it. The caller must not change the kind returned.
func (d *decoder) decode(data []byte) (runtime.Object, *schema.GroupVersionKind) {
	data, ok := bytes.CutPrefix(data, []byte(magic))
	if !ok {
		return nil, nil
	}
	kind, object := d.envelope(data)
	if kind == nil {
		return nil, nil
	}
	dr, _ := d.drafts.Get().(*draft)
	if dr == nil {
		dr = &draft{}
	}
	defer func() {
		dr.reset() // drops its references to data
		d.drafts.Put(dr)
	}()
	if kind.list {
		if list := d.list(dr, object, kind.item); list != nil {
			return list, &kind.gvk
		}
		return nil, nil
	}
	if it := kind.item(dr, object); it != nil {
		return it, &kind.gvk
	}
	return nil, nil
}

// envelope returns the kind and the encoded object in a runtime.Unknown. kind is nil
// if the decoder does not know it.
func (d *decoder) envelope(data []byte) (kind *decodable, object []byte) {
	var types []byte
	m := message{rest: data}
	for m.next() {
		switch m.number {
		case 1:
			m.broken = m.broken || types != nil
			types = m.bytes()
		case 2:
			object = m.bytes()
		}
	}
	if m.broken || len(object) == 0 {
		return nil, nil
	}
	var apiVersion, name []byte
	m = message{rest: types}
	for m.next() {
		switch m.number {
		case 1:
			apiVersion = m.bytes()
		case 2:
			name = m.bytes()
		}
	}
	if m.broken {
		return nil, nil
	}
	return d.kinds[typeMeta{string(apiVersion), string(name)}], object
}

// list decodes a list. It returns nil if it cannot decode one of the items.
func (d *decoder) list(dr *draft, data []byte, item itemFunc) *metainternalversion.List {
	list := &metainternalversion.List{}
	m := message{rest: data}
	for m.next() {
		switch m.number {
		case 1:
			m.broken = m.broken || list.ListMeta.Unmarshal(m.bytes()) != nil
		case 2:
			it := item(dr, m.bytes())
			if it == nil {
				return nil
			}
			list.Items = append(list.Items, it)
		}
	}
	if m.broken {
		return nil
	}
	return list
}

// serviceItem is the itemFunc of Services.
func (d *decoder) serviceItem(dr *draft, data []byte) runtime.Object {
	dr.reset()
	if !dr.readService(d, data) {
		return nil
	}
	it := newItem[*records.Service](d, dr)
	it.value, it.kept = d.converter.service(it.key, dr.created, &dr.service), true
	return it
}

// sliceItem is the itemFunc of EndpointSlices.
func (d *decoder) sliceItem(dr *draft, data []byte) runtime.Object {
	dr.reset()
	if !dr.readSlice(d, data) {
		return nil
	}
	it := newItem[sliceValue](d, dr)
	it.value, it.kept = d.converter.slice(it.key.name, &dr.slice)
	it.trigger = parseTrigger(dr.trigger)
	return it
}

// reencoded converts an object of type T that is decoded already, as those of files are. It encodes
// the object and decodes the result with read, so that there is one way to read objects, wherever
// they come from.
func reencoded[T interface{ Marshal() ([]byte, error) }, V any](obj any, read itemFunc) (c conversion[V]) {
	in, ok := obj.(T)
	if !ok {
		return c
	}
	if data, err := in.Marshal(); err == nil {
		if it, ok := read(&draft{}, data).(*item[V]); ok {
			c = conversion[V]{it.value, it.kept, true}
		}
	}
	return c
}

// convertService converts a Service.
func (d *decoder) convertService(obj any) conversion[*records.Service] {
	return reencoded[*corev1.Service, *records.Service](obj, d.serviceItem)
}

// convertSlice converts an EndpointSlice. A slice that belongs to no Service or
// ServiceImport, or that holds names instead of addresses, is not kept.
func (d *decoder) convertSlice(obj any) conversion[sliceValue] {
	return reencoded[*discoveryv1.EndpointSlice, sliceValue](obj, d.sliceItem)
}

// newItem returns an item with the metadata of a draft.
func newItem[V any](d *decoder, dr *draft) *item[V] {
	return &item[V]{
		ObjectMeta: d.empty, end: dr.end, version: string(dr.version),
		key: key{d.converter.shared.intern(dr.namespace), string(dr.name)},
	}
}

func (d *draft) readService(in *decoder, data []byte) bool {
	m := message{rest: data}
	for m.next() {
		switch m.number {
		case 1:
			m.broken = !d.readMeta(m.bytes()) || m.broken
		case 2:
			m.broken = !d.readSpec(in, m.bytes()) || m.broken
		}
	}
	return !m.broken
}

func (d *draft) readMeta(data []byte) bool {
	m := message{rest: data}
	for m.next() {
		switch m.number {
		case 1:
			d.name = m.bytes()
		case 3:
			d.namespace = m.bytes()
		case 6:
			d.version = m.bytes()
		case 8:
			m.broken = d.created.Unmarshal(m.bytes()) != nil || m.broken
		case 11:
			name, value, ok := mapEntry(m.bytes())
			m.broken = m.broken || !ok
			switch string(name) {
			case discoveryv1.LabelServiceName:
				d.slice.service = value
			case serviceimport.LabelServiceName:
				d.slice.imported = value
			case serviceimport.LabelSourceCluster:
				d.slice.cluster = value
			}
		case 12:
			name, value, ok := mapEntry(m.bytes())
			m.broken = m.broken || !ok
			switch string(name) {
			case corev1.EndpointsLastChangeTriggerTime:
				d.trigger = value
			case tolerateUnready:
				d.service.tolerateUnready = value
			case metav1.InitialEventsAnnotationKey:
				d.end = string(value) == "true"
			}
		}
	}
	return !m.broken
}

func (d *draft) readSpec(in *decoder, data []byte) bool {
	s := &d.service
	m := message{rest: data}
	for m.next() {
		switch m.number {
		case 1:
			p, _, ok := in.port(m.bytes())
			m.broken = m.broken || !ok
			s.ports = append(s.ports, p)
		case 3:
			s.clusterIP = m.bytes()
		case 4:
			s.kind = m.bytes()
		case 10:
			s.externalName = m.bytes()
		case 13:
			s.publishNotReady = m.bool()
		case 18:
			s.clusterIPs = append(s.clusterIPs, m.bytes())
		}
	}
	return !m.broken
}

// port decodes a ServicePort or an EndpointPort, which have the same fields. numbered
// reports whether the port has a number.
func (d *decoder) port(data []byte) (p records.Port, numbered, ok bool) {
	var name, protocol []byte
	number := int32(0)
	m := message{rest: data}
	for m.next() {
		switch m.number {
		case 1:
			name = m.bytes()
		case 2:
			protocol = m.bytes()
		case 3:
			number, numbered = int32(m.int()), true
		}
	}
	return d.converter.port(name, protocol, number), numbered, !m.broken
}

func (d *draft) readSlice(in *decoder, data []byte) bool {
	s := &d.slice
	m := message{rest: data}
	for m.next() {
		switch m.number {
		case 1:
			m.broken = !d.readMeta(m.bytes()) || m.broken
		case 2:
			m.broken = !d.readEndpoint(m.bytes()) || m.broken
		case 3:
			p, numbered, ok := in.port(m.bytes())
			m.broken = m.broken || !ok
			if numbered {
				s.ports = append(s.ports, p)
			}
		case 4:
			s.addressType = m.bytes()
		}
	}
	return !m.broken
}

func (d *draft) readEndpoint(data []byte) bool {
	list, first := d.slice.endpoints, len(d.slice.endpoints)
	var hostname []byte
	ready := true
	m := message{rest: data}
	for m.next() {
		switch m.number {
		case 1:
			list = append(list, records.Endpoint{Addr: parseAddr(m.bytes())})
		case 2:
			conditions := message{rest: m.bytes()}
			for conditions.next() {
				if conditions.number == 1 {
					ready = conditions.bool()
				}
			}
			m.broken = m.broken || conditions.broken
		case 3:
			hostname = m.bytes()
		}
	}
	name := ""
	if len(hostname) > 0 && len(list) > first {
		name = string(hostname)
	}
	for i := first; i < len(list); i++ {
		list[i].Hostname, list[i].Ready = name, ready
	}
	d.slice.endpoints = list
	return !m.broken
}
