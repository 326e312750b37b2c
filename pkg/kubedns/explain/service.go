package explain

import (
	"cmp"
	"strings"
	"time"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/records"
	"github.com/kube-dns/kube-dns/pkg/treecache"
)

// explainOwn explains a name in one of the zones that the server is authoritative for.
func (e *Explainer) explainOwn(x *Explanation, name, zone dnsname.Name) {
	labels := relative(name, zone)
	if zone != e.Domain {
		x.Addf("the records come from ServiceImports (multi-cluster Services)")
		if n := len(labels); n >= 3 && labels[n-1] == "svc" {
			svc, slices := e.Watcher.Import(labels[n-2], labels[n-3])
			e.explainObject(x, "ServiceImport", labels, svc, slices)
		}
		return
	}
	_, rule := e.Backend.Decide([]byte(name))
	x.Addf("rule: %s", rule)
	if target := e.completedTo(x, name); target != "" {
		x.Addf("the name does not exist, and autopath completes it: %s is the first name with records that the search list of a Pod leads to", target)
	}
	n := len(labels)
	if n == 0 || labels[n-1] != "svc" {
		if n > 0 && labels[n-1] != "pod" {
			x.Addf("the label before the zone is %q; names of Services end in svc.%s, names of Pods in pod.%s", labels[n-1], zone, zone)
		}
		return
	}
	if n < 3 {
		x.Addf("the name has no Service label; names of Services are SERVICE.NAMESPACE.svc.%s", zone)
		return
	}
	namespace, service := labels[n-2], labels[n-3]
	if service == "*" || namespace == "*" {
		return
	}
	svc, slices := e.Watcher.Service(namespace, service)
	e.explainObject(x, "Service", labels, svc, slices)
}

// completedTo returns the name to which autopath completes name, according to the answer in x;
// "" if it does not.
func (e *Explainer) completedTo(x *Explanation, name dnsname.Name) string {
	if len(x.Answer) == 0 || e.Backend.Records([]byte(name)).Status != treecache.NoSuchName {
		return ""
	}
	const fields = 5 // owner, TTL, class, type and data
	record := strings.SplitN(x.Answer[0], "\t", fields)
	if len(record) != fields || record[3] != "CNAME" {
		return ""
	}
	return record[4]
}

// relative returns the labels of name that stand before zone, leftmost first.
func relative(name, zone dnsname.Name) []string {
	text := strings.TrimSuffix(strings.TrimSuffix(name.String(), "."), strings.TrimSuffix(zone.String(), "."))
	if text = strings.TrimSuffix(text, "."); text == "" {
		return nil
	}
	return strings.Split(text, ".")
}

// explainObject explains a name of a Service or ServiceImport (kind), which has the labels
// before the zone. svc is nil if that object does not exist.
func (e *Explainer) explainObject(x *Explanation, kind string, labels []string, svc *records.Service, slices []*records.Slice) {
	n := len(labels)
	namespace, service := labels[n-2], labels[n-3]
	if svc == nil {
		x.Addf("there is no %s %s in namespace %s", kind, service, namespace)
		return
	}
	age := "unknown age"
	if svc.Created != 0 {
		age = "created " + max(time.Since(time.Unix(svc.Created, 0)).Round(time.Second), 0).String() + " ago"
	}
	x.Addf("%s %s/%s exists: %s, %s; its records have a TTL of %s", kind, namespace, service, kindText(svc), age, e.TTL)
	var problems []string
	if ttl := uint32(e.TTL / time.Second); kind == "Service" {
		_, problems = records.Build(svc, slices, len(e.Domain), ttl)
	} else {
		_, problems = records.BuildImport(svc, slices, len(e.ClusterSet.Snapshot().Zone()), ttl)
	}
	for _, p := range problems {
		x.Addf("left out: %s", p)
	}
	if svc.Kind == records.Headless || svc.Kind == records.ClusterSetHeadless {
		explainSlices(x, labels[:n-3], svc, slices)
	} else if len(labels) > 3 {
		explainPorts(x, labels[:n-3], svc.Ports)
	}
}

func kindText(svc *records.Service) string {
	switch svc.Kind {
	case records.ExternalName:
		return "ExternalName " + svc.ExternalName
	case records.Headless:
		return "headless (clusterIP: None), so it has a record for each endpoint that is published"
	case records.ClusterSetHeadless:
		return "headless, so it has a record for each endpoint that is ready"
	case records.UnknownImport:
		return "of an unknown type"
	}
	var addrs []string
	for _, a := range svc.ClusterIPs {
		addrs = append(addrs, a.String())
	}
	list := strings.Join(addrs, ", ")
	if svc.Kind == records.ClusterSetIP {
		return "ClusterSetIP " + cmp.Or(list, "without an address") + " (answered whether or not endpoints are ready)"
	}
	return "ClusterIP " + list + " (it is answered whether or not endpoints are ready)"
}

// maxEndpoints is the largest number of endpoints that are described one by one. An endpoint
// whose host name is in the question is always described.
const maxEndpoints = 50

// explainSlices tells which endpoints of a headless Service have records. below holds the
// labels before the name of the Service.
func explainSlices(x *Explanation, below []string, svc *records.Service, slices []*records.Slice) {
	if len(slices) == 0 {
		x.Addf("it has no EndpointSlices: no Pod matches its selector, or nobody made one (a headless Service without endpoints has no records)")
		return
	}
	host := ""
	if len(below) > 0 && !strings.HasPrefix(below[0], "_") {
		host = below[0]
		if svc.Kind == records.ClusterSetHeadless {
			host = strings.Join(below, ".")
		}
	}
	if svc.PublishNotReady {
		x.Addf("the Service publishes endpoints that are not ready (spec.publishNotReadyAddresses, or the annotation tolerate-unready-endpoints)")
	}
	shown, ready, published, found := 0, 0, 0, 0
	owners := map[string]int{}
	for _, s := range slices {
		for i := range s.Len() {
			ep := s.At(i)
			if ep.Ready {
				ready++
			}
			if svc.Publishes(ep) {
				published++
				owners[endpointName(svc, s, i)]++
			}
			matches := host == "" || endpointName(svc, s, i) == host
			if matches && host != "" {
				found++
			}
			if matches && shown < maxEndpoints {
				shown++
				x.Addf("endpoint %v%s in EndpointSlice %s: %s", ep.Addr, hostText(svc, s, i), s.Name, endpointState(svc, ep))
			}
		}
		if len(below) > 0 && host == "" || len(below) > 1 && svc.Kind == records.Headless {
			explainPorts(x, below, s.Ports)
		}
	}
	x.Addf("%d EndpointSlices: %d endpoints ready, %d published in DNS", len(slices), ready, published)
	switch {
	case host != "" && found == 0 && svc.Kind == records.ClusterSetHeadless:
		x.Addf("no endpoint has the name %q: the names are HOST.CLUSTER, with the endpoint's host name, or its address with dashes, and the label multicluster.kubernetes.io/source-cluster of its EndpointSlice", host)
	case host != "" && found == 0:
		x.Addf("no endpoint has the host name %q: a Pod needs spec.hostname and spec.subdomain, as StatefulSets set them; others are named by a hash", host)
	case host != "" && owners[host] > 1:
		x.Addf("%d endpoints share the host name %q, so the answer has all their addresses", owners[host], host)
	case published == 0:
		x.Addf("no endpoint is published, so the Service has no records")
	}
}

// endpointName returns the name below svc that endpoint i of s has, whether or not it is
// published; "" if it has none, or one that is a hash.
func endpointName(svc *records.Service, s *records.Slice, i int) string {
	switch svc.Kind {
	case records.Headless:
		return strings.ToLower(s.At(i).Hostname)
	case records.ClusterSetHeadless:
		return records.ImportedName(s, i)
	}
	return ""
}

func hostText(svc *records.Service, s *records.Slice, i int) string {
	switch name := endpointName(svc, s, i); {
	case name == "":
		return ""
	case svc.Kind == records.ClusterSetHeadless:
		return " (name " + name + ")"
	default:
		return " (host name " + s.At(i).Hostname + ")"
	}
}

func endpointState(svc *records.Service, ep records.Endpoint) string {
	switch {
	case ep.Ready:
		return "ready, published"
	case svc.Publishes(ep):
		return "not ready, but published because the Service says so"
	}
	return "not ready (conditions.ready is false), so it is not published; the conditions serving and terminating do not count"
}

// explainPorts tells which ports a Service has, if the labels before its name ask for one.
func explainPorts(x *Explanation, below []string, ports []records.Port) {
	if !strings.HasPrefix(below[len(below)-1], "_") {
		x.Addf("names below this Service are _PORT._PROTOCOL; endpoints have names only below headless Services")
		return
	}
	var list []string
	for _, p := range ports {
		if p.Name != "" {
			list = append(list, "_"+strings.ToLower(p.Name)+"._"+p.Protocol.String())
		}
	}
	if len(list) == 0 {
		x.Addf("no port has a name, so there are no names of ports (SRV)")
		return
	}
	x.Addf("the named ports are %s", strings.Join(list[:min(len(list), 20)], ", "))
}
