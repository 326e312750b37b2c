// Package explain says why a name resolves in kubedns as it does, or why it does not.
//
// An [Explainer] puts the question to the server itself, so that the answer is the one a
// client gets, and tells the reasons by the functions with which the server decides:
// [skydns.Server.Where], [backend.Backend.Decide], [records.Build] and
// [forwarder.Forwarder.WouldAsk]. Use [Handler] to serve it over HTTP, and [Command] for
// the subcommand "kubedns explain".
package explain

import (
	"context"
	"errors"
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

// Explainer explains names. Its fields are the parts of a kubedns and do not change; all
// but ClusterSet and Ready must be set. It is safe for concurrent use.
type Explainer struct {
	// Domain is the cluster domain.
	Domain dnsname.Name
	// TTL is --ttl.
	TTL time.Duration
	// Server answers.
	Server *skydns.Server
	// Backend answers for the cluster domain.
	Backend *backend.Backend
	// Tree holds the records of the cluster.
	Tree *treecache.Tree
	// ClusterSet answers for the clusterset zone; nil without it.
	ClusterSet *backend.ClusterSet
	// Watcher keeps the objects.
	Watcher *kubewatch.Watcher
	// Forward asks upstream servers.
	Forward *forwarder.Forwarder
	// Ready reports whether the live configuration is applied; nil means yes.
	Ready func() bool
}

// Question is what is to be explained.
type Question struct {
	// Name is a domain name. With a final dot, the search list is not used.
	Name string
	// Type is the record type; "" means A.
	Type string
	// Namespace is that of the Pod whose search list is used; "" means default.
	Namespace string
	// NDots is the option of resolv.conf: names with fewer dots are first looked up with
	// the search list. Pods have 5.
	NDots int
}

// Candidate is a name that a resolver with the search list tries.
type Candidate struct {
	Name   string `json:"name"`
	Status string `json:"status"`
}

// Explanation is the answer to a Question, with its reasons.
type Explanation struct {
	// Name is the name that is explained: the first of Search with an answer, otherwise
	// the one that is most likely meant.
	Name string `json:"name"`
	// Type is the type asked for.
	Type string `json:"type"`
	// Status is the rcode's name, NODATA or NOREPLY.
	Status string `json:"status"`
	// Search lists the names that were tried, in order.
	Search []Candidate `json:"search"`
	// Answer holds the records of the answer section, as dig prints them.
	Answer []string `json:"answer,omitempty"`
	// Authority holds those of the authority section.
	Authority []string `json:"authority,omitempty"`
	// ExtendedError is the server's own reason (RFC 8914), if it gave one.
	ExtendedError string `json:"extendedError,omitempty"`
	// Reasons tell step by step how the answer came about.
	Reasons []string `json:"reasons"`
	// Suggestions are names that exist and are similar.
	Suggestions []string `json:"suggestions,omitempty"`
	// Servers are the upstream servers for the name, if it is not answered here.
	Servers []explain.Upstream `json:"servers,omitempty"`
	// DataAge is the time in seconds since the API server was last heard, -1 for never.
	DataAge float64 `json:"dataAgeSeconds"`
}

// Explain explains a name. It asks upstream servers if the server would. The error is
// about the question.
func (e *Explainer) Explain(ctx context.Context, q Question) (*Explanation, error) {
	typ, err := explain.ParseType(q.Type)
	if err != nil {
		return nil, err
	}
	absolute, names, err := e.candidates(&q)
	if err != nil {
		return nil, err
	}
	x := &Explanation{Type: wire.TypeText(typ)}
	similar := e.searchOnce()
	chosen, best := names[0], -1
	var reply *explain.Answer
	for _, name := range names {
		r := explain.Ask(ctx, e.Server, name, typ)
		x.Search = append(x.Search, Candidate{name.String(), r.Status})
		if rank := e.rank(name, absolute, r, similar); rank > best {
			chosen, best, reply = name, rank, r
		}
		if r.Status == "NOERROR" { // a resolver goes on after everything else
			break
		}
	}
	x.Name, x.Status = chosen.String(), reply.Status
	x.Answer, x.Authority, x.ExtendedError = reply.Records, reply.Authority, reply.Reason
	e.explain(x, chosen, typ)
	if x.Status != "NOERROR" {
		x.Suggestions = slices.Clone(similar(chosen))
		for _, name := range names {
			for _, s := range similar(name) {
				if len(x.Suggestions) < maxSuggestions && !slices.Contains(x.Suggestions, s) {
					x.Suggestions = append(x.Suggestions, s)
				}
			}
		}
	}
	return x, nil
}

// rank says how likely a candidate, whose answer is r, is the name that is meant: the one
// with an answer, one of an object that exists, or one with a similar name.
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
	return 100 // the servers for the name outside failed
}

// explain adds the reasons.
func (e *Explainer) explain(x *Explanation, name dnsname.Name, typ uint16) {
	x.DataAge = -1
	if age, ok := e.dataAge(x); ok {
		x.DataAge = age.Seconds()
	}
	where := e.Server.Where([]byte(name))
	switch {
	case where.ZoneName:
		x.addf("%s is a name that the zone %s has of itself, not of a Service", x.Name, where.Zone)
	case where.Own:
		x.addf("the name is in the zone %s, which kubedns answers from its own records", where.Zone)
		e.explainOwn(x, name, where.Zone)
	case where.Addr.IsValid():
		x.addf("%s is the reverse name of %v, which belongs to the cluster; the oldest Service comes first", x.Name, where.Addr)
	default:
		if where.Zone != "" {
			x.addf("the name is in the zone %s, but a stub domain takes it away", where.Zone)
		} else {
			x.addf("the name is outside the zone %s", e.Domain)
		}
		e.explainOutside(x, name, typ, &where)
	}
	if x.ExtendedError != "" {
		x.addf("the answer's own reason: %s", x.ExtendedError)
	}
}

// dataAge returns how long ago the API server was last heard, and warns about resources
// that are not connected.
func (e *Explainer) dataAge(x *Explanation) (age time.Duration, ok bool) {
	status := e.Watcher.Status()
	if !status.Synced {
		x.addf("the cluster's records are not loaded yet")
	}
	for _, r := range status.Resources {
		if !r.Connected {
			x.addf("the API server does not answer for %s since %s: %s; the records may be out of date",
				r.Resource, time.Since(r.Since).Round(time.Second), r.LastError)
		}
		if !r.LastHeard.IsZero() {
			age, ok = max(age, time.Since(r.LastHeard)), true
		}
	}
	return age, ok
}

// explainOutside says which servers are asked.
func (e *Explainer) explainOutside(x *Explanation, name dnsname.Name, typ uint16, where *skydns.Where) {
	switch where.Route.Kind {
	case skydns.RouteUnavailable:
		x.addf("no server of its stub domain can be asked: %s", where.Route.Reason)
		return
	case skydns.RouteNobody:
		x.addf("there are no servers to ask for it: %s", strings.TrimSpace(where.Route.Reason+" (neither upstreamNameservers, --nameservers nor resolv.conf gives any)"))
		return
	}
	asked := e.Forward.WouldAsk([]byte(name), typ)
	if asked.Domain == "" {
		x.addf("no stub domain has it, so the default upstream servers are asked")
	} else {
		x.addf("the stub domain %s has it, so only the servers of that domain are asked", asked.Domain)
	}
	x.Servers = explain.Servers(asked.Servers, e.Forward.Stats().Upstream.Servers)
}

// addf adds a reason, of at most [explain.MaxLines].
func (x *Explanation) addf(format string, args ...any) {
	switch {
	case len(x.Reasons) < explain.MaxLines:
		x.Reasons = append(x.Reasons, explain.Line(fmt.Sprintf(format, args...)))
	case len(x.Reasons) == explain.MaxLines:
		x.Reasons = append(x.Reasons, "... and more that is not shown")
	}
}

// candidates returns the names that a resolver in a Pod tries, in order, and the name
// without a suffix, which is one of them.
func (e *Explainer) candidates(q *Question) (absolute dnsname.Name, names []dnsname.Name, err error) {
	absolute, err = dnsname.Parse(q.Name)
	if err != nil || q.Name == "" {
		return "", nil, fmt.Errorf("%q is not a domain name: %w", q.Name, errors.Join(err, errName))
	}
	if strings.HasSuffix(q.Name, ".") {
		return absolute, []dnsname.Name{absolute}, nil
	}
	namespace := q.Namespace
	if namespace == "" {
		namespace = "default"
	}
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

var errName = errors.New("labels have 1 to 63 characters, and a name at most 255 octets")
