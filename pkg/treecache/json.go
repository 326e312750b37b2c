package treecache

import (
	"bufio"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// rawWeight is the weight that dumps show: a record's weight before the shares are computed.
const rawWeight = 10

// jsonRecord is an entry as kube-dns's /cache shows it: only non-zero fields.
type jsonRecord struct {
	Host     string `json:"host,omitempty"`
	Port     uint16 `json:"port,omitempty"`
	Priority uint16 `json:"priority,omitempty"`
	Weight   uint16 `json:"weight,omitempty"`
	TTL      uint32 `json:"ttl,omitempty"`
}

// WriteJSON writes forward trees as kube-dns's /cache does: at each level an object with
// ChildNodes and Entries, keys sorted, indented with tabs. The labels of the zones are levels too.
// No zone may contain another. It keeps only one Service's records in memory at a time.
func WriteJSON(w io.Writer, snapshots ...*Snapshot) error {
	d := dumper{w: bufio.NewWriter(w)}
	zones := make([]zoneDump, 0, len(snapshots))
	for _, s := range snapshots {
		labels := strings.Split(strings.TrimSuffix(s.zone.String(), "."), ".")
		slices.Reverse(labels)
		zones = append(zones, zoneDump{labels, s})
	}
	d.zones(zones)
	d.raw("\n")
	if d.err != nil {
		return d.err
	}
	return d.w.Flush()
}

// zoneDump is a zone with those of its labels, the topmost first, that have not been written.
type zoneDump struct {
	labels   []string
	snapshot *Snapshot
}

// dumper writes one dump. After an error it writes nothing more.
type dumper struct {
	w     *bufio.Writer
	depth int
	err   error
}

func (d *dumper) raw(text string) {
	if d.err == nil {
		_, d.err = d.w.WriteString(text)
	}
}

func (d *dumper) value(v any) {
	b, err := json.Marshal(v)
	if d.err == nil {
		d.err = err
	}
	d.raw(string(b))
}

// object writes an object whose members are keys, in this order.
func (d *dumper) object(keys []string, member func(i int)) {
	if len(keys) == 0 {
		d.raw("{}")
		return
	}
	d.raw("{")
	d.depth++
	for i, k := range keys {
		if i > 0 {
			d.raw(",")
		}
		d.newline()
		d.value(k)
		d.raw(": ")
		member(i)
	}
	d.depth--
	d.newline()
	d.raw("}")
}

func (d *dumper) newline() {
	d.raw("\n")
	for range d.depth {
		d.raw("\t")
	}
}

// node writes one tree node of two maps.
func (d *dumper) node(kids []string, kid func(i int), entries []string, entry func(i int)) {
	d.object([]string{"ChildNodes", "Entries"}, func(i int) {
		if i == 0 {
			d.object(kids, kid)
		} else {
			d.object(entries, entry)
		}
	})
}

// zones writes the nodes of the labels of zones that are below the same node, and their trees.
func (d *dumper) zones(zones []zoneDump) {
	if len(zones) == 1 && (len(zones[0].labels) == 0 || zones[0].labels[0] == "") {
		d.dir(zones[0].snapshot.zone, &zones[0].snapshot.top)
		return
	}
	below := map[string][]zoneDump{}
	for _, z := range zones {
		below[z.labels[0]] = append(below[z.labels[0]], zoneDump{z.labels[1:], z.snapshot})
	}
	labels := slices.Sorted(maps.Keys(below))
	d.node(labels, func(i int) { d.zones(below[labels[i]]) }, nil, nil)
}

func (d *dumper) dir(zone dnsname.Name, dir *dir) {
	kids, kidNodes := sorted(&dir.nodes)
	entries, entryNodes := sorted(&dir.entries)
	d.node(kids, func(i int) {
		if n := kidNodes[i]; n.dir != nil {
			d.dir(zone, n.dir)
		} else {
			d.set(zone, n.set)
		}
	}, entries, func(i int) {
		s := entryNodes[i].set
		r := jsonRecord{Priority: s.priority, Weight: rawWeight, TTL: s.ttl}
		if s.alias != "" {
			r.Host = strings.TrimSuffix(s.alias.String(), ".")
		} else {
			r.Host = s.hostAddr(0).String()
		}
		d.value(r)
	})
}

// sorted returns the labels of a trie in order, with their nodes.
func sorted(t *trie[string, node]) ([]string, []*node) {
	labels := make([]string, 0, t.size)
	byLabel := make(map[string]*node, t.size)
	t.from(0, func(label string, n *node) bool {
		labels = append(labels, label)
		byLabel[label] = n
		return true
	})
	slices.Sort(labels)
	nodes := make([]*node, len(labels))
	for i, l := range labels {
		nodes[i] = byLabel[l]
	}
	return labels, nodes
}

// set writes an owner's node with its hosts as entries and its ports below.
func (d *dumper) set(zone dnsname.Name, s *Set) {
	var protocols []string
	for i := range s.ports { // ordered by protocol
		label := "_" + s.ports[i].protocol.String()
		if s.ports[i].protocol != 0 && !slices.Contains(protocols, label) { // 0: see clusterset.go
			protocols = append(protocols, label)
		}
	}
	slices.Sort(protocols)
	all := Answer{Status: Found, zone: zone, part: part{set: s, view: viewHosts, hi: int32(s.numHosts())}}
	hosts, records := s.dump(all)
	d.node(protocols, func(i int) {
		var ports []string
		for j := range s.ports {
			if p := &s.ports[j]; p.protocol.String() == protocols[i][1:] {
				ports = append(ports, "_"+p.name)
			}
		}
		d.node(ports, func(j int) {
			labels, services := s.dump(s.service(zone, s.port(protocols[i], ports[j])))
			d.node(nil, nil, labels, func(k int) { d.value(services[k]) })
		}, nil, nil)
	}, hosts, func(i int) { d.value(records[i]) })
}

// entryLabel returns the label under which kube-dns keeps the record. Records of multi-cluster
// Services, which it does not have, are kept under the labels of their host.
func (r *Record) entryLabel() string {
	switch {
	case r.hashed:
		return string(appendHashLabel(nil, r.hash)[1:])
	case r.nested:
		labels := strings.Split(r.label, ".")
		slices.Reverse(labels)
		return strings.Join(labels, ".")
	case r.label == "" && r.Addr.IsValid():
		return HashLabel(r.Addr)
	}
	return r.label
}

// dump returns the records of an answer in order of their entry labels. If several
// records share a label, all but the first get their address or port appended,
// since a JSON object cannot have a key twice.
func (s *Set) dump(a Answer) ([]string, []jsonRecord) {
	byLabel := make(map[string]jsonRecord)
	for i := range a.Len() {
		r := a.At(i)
		if r.Repeat && !r.Addr.IsValid() {
			continue
		}
		j := jsonRecord{
			Host: r.Target().String(), Port: r.Port, Priority: r.Priority, Weight: rawWeight, TTL: r.TTL,
		}
		label, other := r.entryLabel(), ""
		switch {
		case r.Addr.IsValid():
			j.Host = r.Addr.String()
			other = j.Host
		case a.view == viewNode: // an entry for each address, as in kube-dns
			for h := range s.numHosts() {
				byLabel[HashLabel(s.hostAddr(h))] = j
			}
			continue
		default:
			other = strconv.Itoa(int(r.Port))
		}
		if _, taken := byLabel[label]; taken {
			label += " " + other
		}
		byLabel[label] = j
	}
	labels := slices.Sorted(maps.Keys(byLabel))
	records := make([]jsonRecord, len(labels))
	for i, l := range labels {
		records[i] = byLabel[l]
	}
	return labels, records
}
