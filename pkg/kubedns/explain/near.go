package explain

import (
	"cmp"
	"slices"
	"strings"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/records"
	"github.com/kube-dns/kube-dns/pkg/treecache"
)

const (
	maxSuggestions = 5
	// maxVisited is the largest number of labels that one search compares.
	maxVisited = 100_000
	// maxFound is the largest number of names that a search keeps, from which the nearest are
	// chosen.
	maxFound = 100
	// maxDistance is the largest number of changed letters that counts as a typing error.
	maxDistance = 2
)

// searchOnce returns a function that returns the result of similar, but searches only once for
// each name.
func (e *Explainer) searchOnce() func(name dnsname.Name) []string {
	found := map[dnsname.Name][]string{}
	return func(name dnsname.Name) []string {
		list, ok := found[name]
		if !ok {
			list = e.similar(name)
			found[name] = list
		}
		return list
	}
}

// similar returns names that exist and that are similar to the name of a Service: those that
// differ by a typing error, by the namespace or by the port. It returns at most
// maxSuggestions names, the nearest first.
func (e *Explainer) similar(name dnsname.Name) []string {
	zones := e.zones()
	i := slices.IndexFunc(zones, func(z zone) bool { return name.HasSuffix(z.domain) })
	if i < 0 {
		return nil
	}
	zone := zones[i]
	labels := relative(name, zone.domain)
	n := len(labels)
	if n > 0 && labels[n-1] != "svc" {
		if n < 2 || distance(labels[n-1], "svc") > 1 && n != 2 {
			return nil
		}
		if n == 2 { // SERVICE.NAMESPACE without svc
			labels = append(labels, "svc")
		} else {
			labels[n-1] = "svc"
		}
		n = len(labels)
	}
	if n < 3 {
		return nil
	}
	namespace, service, below := labels[n-2], labels[n-3], labels[:n-3]
	s := search{zone: zone, budget: maxVisited}
	s.addName(strings.Join(labels, "."), 0) // this name exists if only "svc" was wrong
	if svc, slices := zone.object(namespace, service); svc != nil && len(below) > 0 {
		s.ports(svc, slices, below)
	} else {
		s.services(service, namespace)
		s.namespaces(service, namespace)
	}
	slices.SortFunc(s.found, func(a, b found) int {
		return cmp.Or(cmp.Compare(a.distance, b.distance), cmp.Compare(a.name, b.name))
	})
	var names []string
	for _, f := range s.found[:min(len(s.found), maxSuggestions)] {
		names = append(names, f.name)
	}
	return names
}

// zone is a zone of the server, with the objects and the records in it.
type zone struct {
	domain  dnsname.Name
	names   *treecache.Snapshot
	object  func(namespace, name string) (*records.Service, []*records.Slice)
	records func(name []byte) treecache.Answer
}

// zones returns the zones of the server.
func (e *Explainer) zones() []zone {
	zones := []zone{{e.Domain, e.Tree.Snapshot(), e.Watcher.Service, e.Backend.Records}}
	if e.ClusterSet != nil {
		names := e.ClusterSet.Snapshot()
		zones = append(zones, zone{names.Zone(), names, e.Watcher.Import, e.ClusterSet.Records})
	}
	return zones
}

// found is a similar name and its distance from the name in the question.
type found struct {
	name     string
	distance int
}

// search collects similar names.
type search struct {
	zone   zone
	budget int // number of labels that may still be compared
	found  []found
}

// addName adds a name to the result if it exists. name lacks the zone, and far is its distance.
func (s *search) addName(name string, far int) {
	full, err := dnsname.Parse(name + "." + s.zone.domain.String())
	if err != nil {
		return
	}
	at := len(s.found)
	if at >= maxFound { // replace the farthest name if this one is nearer
		for i := range s.found {
			if at == len(s.found) || s.found[i].distance > s.found[at].distance {
				at = i
			}
		}
		if s.found[at].distance <= far {
			return
		}
	}
	text := full.String()
	if a := s.zone.records([]byte(full)); a.Len() == 0 || slices.ContainsFunc(s.found, func(f found) bool { return f.name == text }) {
		return
	}
	if at == len(s.found) {
		s.found = append(s.found, found{})
	}
	s.found[at] = found{text, far}
}

// labels calls visit for each Service in a namespace, or for each namespace if that is "", as
// far as the budget allows.
func (s *search) labels(namespace string, visit func(label string)) {
	s.zone.names.Labels(namespace, func(label string) bool {
		s.budget--
		visit(label)
		return s.budget > 0
	})
}

// services finds Services with similar names in the same namespace.
func (s *search) services(service, namespace string) {
	s.labels(namespace, func(label string) {
		if far := len(label) - len(service); far > maxDistance || -far > maxDistance {
			return
		}
		if d := distance(label, service); d > 0 && d <= maxDistance {
			s.addName(label+"."+namespace+".svc", d)
		}
	})
}

// namespaces finds Services with the same name in all other namespaces.
func (s *search) namespaces(service, namespace string) {
	s.labels("", func(label string) {
		if label == namespace {
			return
		}
		s.addName(service+"."+label+".svc", min(distance(label, namespace), maxDistance+1))
	})
}

// ports finds the ports and host names of a Service that are similar to the labels in below.
func (s *search) ports(svc *records.Service, list []*records.Slice, below []string) {
	base := "." + svc.Name + "." + svc.Namespace + ".svc"
	ports := slices.Clone(svc.Ports)
	want := strings.Join(below, ".")
	for _, slice := range list {
		ports = append(ports, slice.Ports...)
		for i := 0; i < slice.Len() && s.budget > 0; i++ {
			s.budget--
			if host := endpointName(svc, slice, i); host != "" && distance(host, want) <= maxDistance {
				s.addName(host+base, distance(host, want))
			}
		}
	}
	for _, p := range ports[:min(len(ports), 200)] {
		if p.Name != "" {
			name := "_" + strings.ToLower(p.Name) + "._" + p.Protocol.String()
			s.addName(name+base, distance(name, want))
		}
	}
}

// distance returns the number of letters that are wrong, missing, extra or exchanged with
// their neighbour between two texts (optimal string alignment), or 99 if their lengths
// alone differ by more than maxDistance, unless one is short.
func distance(a, b string) int {
	if d := len(a) - len(b); len(a)+len(b) > 40 && (d > maxDistance || -d > maxDistance) || len(a) > 255 || len(b) > 255 {
		return 99
	}
	var rows [3][256]int
	for j := range len(b) + 1 {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		row, prev, older := &rows[i%3], &rows[(i+2)%3], &rows[(i+1)%3]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], older[j-2]+1)
			}
		}
	}
	return rows[len(a)%3][len(b)]
}
