// Package explain tells why a name resolves in kubedns as it does, or why it does not.
//
// Use an [Explainer] to explain a name, [NewLimited] to serve explanations over HTTP, and [Command]
// for the subcommand "kubedns explain".
//
// The Explainer passes the question to the server itself, so that the answer is the one that a
// client gets. It finds the reasons with the functions by which the server decides:
// [skydns.Server.Where], [backend.Backend.Decide], [records.Build] and
// [forwarder.Forwarder.WouldAsk].
package explain

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kube-dns/kube-dns/pkg/backend"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/explain"
	"github.com/kube-dns/kube-dns/pkg/forwarder"
	"github.com/kube-dns/kube-dns/pkg/kubewatch"
	"github.com/kube-dns/kube-dns/pkg/skydns"
	"github.com/kube-dns/kube-dns/pkg/treecache"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// Explainer explains how names are answered. Its fields are parts of a kubedns and must not
// change. All except ClusterSet and Ready are required. It is safe for concurrent use.
type Explainer struct {
	// Domain is the cluster domain.
	Domain dnsname.Name
	// TTL is the TTL of the records in the cluster (--ttl).
	TTL time.Duration
	// Server is the DNS server that answers the questions.
	Server *skydns.Server
	// Backend answers for the cluster domain.
	Backend *backend.Backend
	// Tree holds the records of the cluster.
	Tree *treecache.Tree
	// ClusterSet answers for the clusterset zone. It is nil without that zone.
	ClusterSet *backend.ClusterSet
	// Watcher holds the objects of the cluster.
	Watcher *kubewatch.Watcher
	// Files is the path of the files with the objects. It is empty if they are those of an API
	// server.
	Files string
	// Forward asks upstream servers about other names.
	Forward *forwarder.Forwarder
	// Ready reports whether the live configuration is in effect. If nil, it always is.
	Ready func() bool
}

// Question is a question to explain.
type Question struct {
	// Name is a domain name. With a final dot, the search list is not used.
	Name string
	// Type is the record type; "" means A.
	Type string
	// Namespace is the namespace of the Pod whose search list is used; "" means default.
	Namespace string
	// NDots is the option ndots of resolv.conf: the search list is first applied to names with
	// fewer dots. In Pods, it is 5.
	NDots int
}

// Candidate is one of the names that a resolver with the search list tries.
type Candidate struct {
	Name   string `json:"name"`
	Status string `json:"status"`
}

// Explanation is the answer to a [Question], with the reasons for it.
type Explanation struct {
	// Findings have the answer. Its Name is the explained name: the first name in Search that has
	// an answer or, without one, the name that is most likely meant.
	explain.Findings
	// Search lists the names that were tried, in order.
	Search []Candidate `json:"search"`
	// Suggestions are similar names that exist.
	Suggestions []string `json:"suggestions,omitempty"`
	// DataAge is the time since the API server last sent anything, or since the files were
	// read, in seconds; -1 if that never happened.
	DataAge float64 `json:"dataAgeSeconds"`
	// Files is the path of the files with the objects; "" if they are those of an API server.
	Files string `json:"files,omitempty"`
}

// Explain explains a name. It asks upstream servers if the server would ask them. It returns an
// error only for an invalid question. The caller owns the result.
func (e *Explainer) Explain(ctx context.Context, q Question) (*Explanation, error) {
	typ, err := explain.ParseType(q.Type)
	if err != nil {
		return nil, err
	}
	absolute, names, err := e.candidates(&q)
	if err != nil {
		return nil, err
	}
	x := &Explanation{Findings: explain.Findings{Type: wire.TypeText(typ)}, Files: e.Files}
	similar := e.searchOnce()
	chosen, best := names[0], -1
	var reply *explain.Answer
	for _, name := range names {
		r := explain.Ask(ctx, e.Server, name, typ)
		x.Search = append(x.Search, Candidate{name.String(), r.Status})
		if rank := e.rank(name, absolute, r, similar); rank > best {
			chosen, best, reply = name, rank, r
		}
		if r.Status == "NOERROR" { // after any other status, a resolver tries the next name
			break
		}
	}
	x.Name = chosen.String()
	x.SetAnswer(reply)
	e.explain(x, chosen, typ)
	if x.Status != "NOERROR" {
		for _, name := range append([]dnsname.Name{chosen}, names...) {
			for _, s := range similar(name) {
				tried := slices.ContainsFunc(x.Search, func(c Candidate) bool { return c.Name == s })
				if !tried && len(x.Suggestions) < maxSuggestions && !slices.Contains(x.Suggestions, s) {
					x.Suggestions = append(x.Suggestions, s)
				}
			}
		}
	}
	return x, nil
}

// rank returns a number that is larger the more likely a candidate is the name that is meant. r
// is the answer about the candidate. Names with an answer come first, then names of an object
// that exists, then names that are similar to one that exists.
func (e *Explainer) rank(name, absolute dnsname.Name, r *explain.Answer, similar func(dnsname.Name) []string) int {
	labels := relative(name, e.Domain)
	n := len(labels)
	_, inside := dnsname.CutZone([]byte(name), e.Domain)
	switch {
	case r.Status == "NOERROR":
		return 1000
	case inside && r.Status == explain.NoData:
		return 900
	case inside && name == absolute:
		return 850
	case inside && n >= 3 && labels[n-1] == "svc":
		if svc, _ := e.Watcher.Service(labels[n-2], labels[n-3]); svc != nil {
			return 800
		}
		return 10 * min(len(similar(name)), 1)
	case inside:
		return 0
	case r.Status == "NXDOMAIN", r.Status == "REFUSED":
		return 1
	}
	return 100 // outside the cluster, and its servers failed
}

// explain adds the reasons for the answer about name.
func (e *Explainer) explain(x *Explanation, name dnsname.Name, typ uint16) {
	x.DataAge = -1
	if age, ok := e.dataAge(x); ok {
		x.DataAge = age.Seconds()
	}
	where := e.Server.Where([]byte(name))
	switch {
	case where.ZoneName:
		x.Addf("%s is a name that the zone %s has of itself, not of a Service", x.Name, where.Zone)
	case where.Own:
		x.Addf("the name is in the zone %s, which kubedns answers from its own records", where.Zone)
		e.explainOwn(x, name, where.Zone)
	case where.Addr.IsValid():
		x.Addf("%s is the reverse name of %v, which belongs to the cluster; the oldest Service comes first", x.Name, where.Addr)
	default:
		if where.Zone != "" {
			x.Addf("the name is in the zone %s, but a stub domain takes it away", where.Zone)
		} else {
			x.Addf("the name is outside the zone %s", e.Domain)
		}
		e.explainOutside(x, name, typ, &where)
	}
	if x.ExtendedError != "" {
		x.Addf("the answer's own reason: %s", x.ExtendedError)
	}
}

// dataAge returns the time since the API server last sent anything, and adds a reason for each
// resource whose watch is not connected.
func (e *Explainer) dataAge(x *Explanation) (age time.Duration, ok bool) {
	status := e.Watcher.Status()
	if !status.Synced {
		x.Addf("the cluster's records are not loaded yet")
	}
	for _, r := range status.Resources {
		if !r.Connected {
			x.Addf("the API server does not answer for %s since %s: %s; the records may be out of date",
				r.Resource, time.Since(r.Since).Round(time.Second), r.LastError)
		}
		if !r.LastHeard.IsZero() {
			age, ok = max(age, time.Since(r.LastHeard)), true
		}
	}
	return age, ok
}

// explainOutside tells which upstream servers are asked about a name.
func (e *Explainer) explainOutside(x *Explanation, name dnsname.Name, typ uint16, where *skydns.Where) {
	switch where.Route.Kind {
	case skydns.RouteUnavailable:
		x.Addf("no server of its stub domain can be asked: %s", where.Route.Reason)
		return
	case skydns.RouteNobody:
		x.Addf("there are no servers to ask for it: %s", strings.TrimSpace(where.Route.Reason+" (neither upstreamNameservers, --nameservers nor resolv.conf gives any)"))
		return
	}
	asked := e.Forward.WouldAsk([]byte(name), typ)
	if domain := asked.Group.Domain(); domain == "" {
		x.Addf("no stub domain has it, so the default upstream servers are asked")
	} else {
		x.Addf("the stub domain %s has it, so only the servers of that domain are asked", domain)
	}
	x.Servers = explain.Servers(asked.Group.GroupServers(), e.Forward.Stats().Upstream.Servers)
}

// candidates returns the names that a resolver in a Pod tries, in order. absolute is the one of
// them without a suffix of the search list.
func (e *Explainer) candidates(q *Question) (absolute dnsname.Name, names []dnsname.Name, err error) {
	absolute, err = explain.ParseName(q.Name)
	if err != nil {
		return "", nil, err
	}
	if strings.HasSuffix(q.Name, ".") {
		return absolute, []dnsname.Name{absolute}, nil
	}
	namespace := cmp.Or(q.Namespace, "default")
	if !dnsname.IsLabel1123(namespace) {
		return "", nil, fmt.Errorf("namespace %q is not an RFC 1123 label", namespace)
	}
	domain := e.Domain.String()
	for _, suffix := range []string{namespace + ".svc." + domain, "svc." + domain, domain} {
		if name, err := dnsname.Parse(q.Name + "." + suffix); err == nil {
			names = append(names, name)
		}
	}
	if strings.Count(q.Name, ".") >= q.NDots {
		return absolute, append([]dnsname.Name{absolute}, names...), nil
	}
	return absolute, append(names, absolute), nil
}
