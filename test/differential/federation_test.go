package differential

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// federations are those of all stacks. One has a namespace's name, one a
// domain that is no domain, one the cluster's own.
var federations = map[string]string{
	"myfed": "example.com", "prod": "fed.example.org", "odd": "a..b", "inside": "cluster.local", "deep": strings.Repeat("d23456789.", 20) + "example",
}

var label1035 = regexp.MustCompile(`^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$`)

// federated answers, unless an endpoint has that very name and its Service comes first, for
// <service>.<namespace>.<federation>.svc.cluster.local, nil for other names: a CNAME to the
// Service in this cluster if it has endpoints or needs none, else to this zone of the
// federation. No record may be kept.
func (m *model) federated(name string, typ uint16, seen []string) []answer {
	rest, ok := strings.CutSuffix(name, ".svc.cluster.local.")
	labels := strings.Split(rest, ".")
	if !ok || len(labels) != 3 || !label1035.MatchString(labels[0]) || !label1123.MatchString(labels[1]) {
		return nil
	}
	domain, ok := m.federations[labels[2]]
	if !ok {
		return nil
	}
	if host := m.services[labels[1]+"."+labels[2]]; host != nil && len(host.labelled(labels[0])) > 0 {
		if local := m.services[labels[0]+"."+labels[1]]; local == nil || !local.before(host) {
			return nil
		}
	}
	target := rest + ".svc." + m.place + "." + domain + "."
	s := m.services[labels[0]+"."+labels[1]]
	switch {
	case s != nil && (s.kind != "ClusterIP" || s.endpoints):
		target = s.full()
	case m.place == "", !isName(domain), len(target) > 254:
		return nodata()
	}
	all := m.follow(name, target, typ, seen)
	for i := range all {
		for j, record := range all[i].Answer {
			fields := strings.Split(record, " ")
			fields[1] = "0"
			all[i].Answer[j] = strings.Join(fields, " ")
		}
		slices.Sort(all[i].Answer)
	}
	return all
}

// before says which of two Services comes first.
func (s *service) before(o *service) bool {
	path := func(s *service) string {
		return string(rune(len(s.name))) + s.name + string(rune(len(s.namespace))) + s.namespace
	}
	return cmp.Or(cmp.Compare(s.created, o.created), cmp.Compare(path(s), path(o))) < 0
}

// placeOf returns zone.region of the first of nodes that has both, by the
// labels of today or by those before them, "" if none has.
func placeOf(nodes []*corev1.Node) string {
	slices.SortFunc(nodes, func(a, b *corev1.Node) int { return cmp.Compare(a.Name, b.Name) })
	for _, n := range nodes {
		for _, prefix := range []string{"topology.kubernetes.io/", "failure-domain.beta.kubernetes.io/"} {
			if zone, region := n.Labels[prefix+"zone"], n.Labels[prefix+"region"]; zone != "" && region != "" {
				return strings.ToLower(zone + "." + region)
			}
		}
	}
	return ""
}
