// Package explain tells how dnscache answers a question, and which rule decides: local data, a
// filter, a cache entry, or the servers of a route.
//
// Use an [Explainer] to explain a name, [Handler] to serve explanations over HTTP, and [Run] for
// the subcommand "dnscache explain". The Explainer passes the question to the forwarder itself, so
// that the answer is the one that a client on this host gets.
package explain

import (
	"context"
	"io"
	"strings"
	"time"

	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/explain"
	"github.com/kube-dns/kube-dns/pkg/forwarder"
	"github.com/kube-dns/kube-dns/pkg/upstream"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// Explainer explains how names are answered. Its fields must not change. It is safe for
// concurrent use.
type Explainer struct {
	// Forward is the forwarder that answers the questions.
	Forward *forwarder.Forwarder
	// Options are the options of the command line and of configuration files.
	Options *options.Options
}

// Question is a question to explain.
type Question struct {
	// Name is the domain name as a client sends it. No search list applies to it.
	Name string
	// Type is the record type; "" means A.
	Type string
}

// Entry describes a cache entry.
type Entry struct {
	// Holds is the content of the entry: "answer", "nodata", "nxdomain" or "failure".
	Holds string `json:"holds"`
	// Age is the time since the entry was stored, TTL its whole lifetime, and ExpiresIn the
	// rest of it, in seconds. After its end, ExpiresIn is negative.
	Age       float64 `json:"ageSeconds"`
	TTL       float64 `json:"ttlSeconds"`       // see Age
	ExpiresIn float64 `json:"expiresInSeconds"` // see Age
	// Stale means that the entry has expired, but may be given while servers do not answer.
	Stale bool `json:"stale"`
	// From is the server that sent the reply. It is "" if there was no reply or the server is
	// not known.
	From string `json:"from,omitempty"`
	// Name is another name if the entry is about one above.
	Name string `json:"name,omitempty"`
	// DNSSEC means that the entry is for clients that ask for DNSSEC records (DO bit).
	DNSSEC bool `json:"dnssec,omitempty"`
}

// Explanation is the answer to a [Question], with the reasons for it.
type Explanation struct {
	// Findings have the answer. Its Servers are those of the route for the name, which are asked if
	// the cache has no answer.
	explain.Findings
	// Source says where the answer came from, in the words of the metric
	// dnscache_answers_total.
	Source string `json:"source"`
	// Freshness says how old the answer is, and whether it is stale.
	Freshness string `json:"freshness"`
	// Cache holds the cache entries that existed before the question.
	Cache []Entry `json:"cache,omitempty"`
	// Domain is the domain of the route for the name; "" for the servers for all names.
	Domain string `json:"domain,omitempty"`
}

// WriteText writes x as text for people.
func (x *Explanation) WriteText(w io.Writer) error {
	return x.WriteFindings(w, "", "\nThis answer is "+x.Freshness+".\n")
}

// Explain explains a name. It asks upstream servers if the forwarder would ask them. It returns
// an error only for an invalid question. The caller owns the result.
func (e *Explainer) Explain(ctx context.Context, q Question) (*Explanation, error) {
	typ, err := explain.ParseType(q.Type)
	if err != nil {
		return nil, err
	}
	name, err := explain.ParseName(q.Name)
	if err != nil {
		return nil, err
	}
	x := &Explanation{Findings: explain.Findings{Name: name.String(), Type: wire.TypeText(typ)}}
	before := e.Forward.Cached([]byte(name), typ, false)
	e.explainCache(x, name, before, false)
	e.explainCache(x, name, e.Forward.Cached([]byte(name), typ, true), true)
	tracer := e.Forward.Tracer()
	a := explain.Ask(ctx, tracer, name, typ)
	trace := tracer.Trace()
	x.SetAnswer(a)
	x.Source = trace.Source.String()
	e.explainDecision(x, &trace)
	local := trace.Stage != ""
	if !local {
		e.explainRoute(x, name, typ)
		if changing := e.changing(); len(changing) > 0 {
			x.Addf("these options can change what servers reply: %s", strings.Join(changing, ", "))
		}
	}
	if trace.Source == forwarder.SourceUpstream {
		e.explainStored(x, e.Forward.Cached([]byte(name), typ, false))
	}
	x.Freshness = freshness(&trace, before, a)
	if x.ExtendedError != "" {
		x.Addf("the answer's own reason: %s", x.ExtendedError)
	}
	return x, nil
}

// explainRoute tells which servers get a question that is not answered locally.
func (e *Explainer) explainRoute(x *Explanation, name dnsname.Name, typ uint16) {
	asked := e.Forward.WouldAsk([]byte(name), typ)
	switch asked.Kind {
	case upstream.Ask:
	case upstream.LocalOnly, upstream.Literal:
		return // the stage that answers says so
	case upstream.Unavailable:
		x.Addf("no server can be asked: %s", asked.Reason)
		return
	default:
		x.Addf("no --server and no resolv.conf has a server for the name, so it is answered REFUSED")
		return
	}
	x.Domain, x.Servers = asked.Group.Domain(), explain.Servers(asked.Group.GroupServers(), e.Forward.Stats().Upstream.Servers)
	if x.Domain == "" {
		x.Addf("no domain of its own has the name, so its servers are those for all names")
	} else {
		x.Addf("the longest domain that has the name is %s, so its servers are those of that domain", x.Domain)
	}
}

// short rounds d to a precision that is useful to people.
func short(d time.Duration) time.Duration {
	if d < 10*time.Second && d > -10*time.Second {
		return d.Round(100 * time.Millisecond)
	}
	return d.Round(time.Second)
}
