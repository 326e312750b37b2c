// Package explain says what dnscache answers to a question, and which rule decides: local
// data, a filter, a cache entry, or the servers of a route.
//
// An [Explainer] puts the question to the forwarder itself, so that the answer is the one that
// a client on this host gets, and tells what decided. Use [Handler] to serve it over HTTP, and
// [Run] for the subcommand "dnscache explain".
package explain

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/explain"
	"github.com/kube-dns/kube-dns/pkg/forwarder"
	"github.com/kube-dns/kube-dns/pkg/upstream"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// Explainer explains names. Its fields do not change. It is safe for concurrent use.
type Explainer struct {
	// Forward answers.
	Forward *forwarder.Forwarder
	// Options are those of the command line and the files that it names.
	Options *options.Options
}

// Question is what is to be explained.
type Question struct {
	// Name is a domain name, as a client sends it: there is no search list.
	Name string
	// Type is the record type; "" means A.
	Type string
}

// Entry is a cache entry.
type Entry struct {
	// Holds is answer, nodata, nxdomain or failure.
	Holds string `json:"holds"`
	// Age is the time in seconds since it was stored, TTL its life, and ExpiresIn the rest,
	// which is negative after the end.
	Age       float64 `json:"ageSeconds"`
	TTL       float64 `json:"ttlSeconds"`       // see Age
	ExpiresIn float64 `json:"expiresInSeconds"` // see Age
	// Stale says that it has expired, but may be given while servers do not answer.
	Stale bool `json:"stale"`
	// From is the server whose reply it is, "" if there was none, or it is not known.
	From string `json:"from,omitempty"`
	// Name is another name if the entry is about one above.
	Name string `json:"name,omitempty"`
	// DNSSEC says that the entry is for clients that want DNSSEC records (DO bit).
	DNSSEC bool `json:"dnssec,omitempty"`
}

// Explanation is the answer to a Question, with its reasons.
type Explanation struct {
	// Name and Type are those of the question.
	Name string `json:"name"`
	Type string `json:"type"` // see Name
	// Status is the rcode's name, NODATA or NOREPLY.
	Status string `json:"status"`
	// Answer holds the records of the answer section, Authority those of the authority
	// section, as dig prints them.
	Answer    []string `json:"answer,omitempty"`
	Authority []string `json:"authority,omitempty"` // see Answer
	// ExtendedError is the answer's own reason (RFC 8914), if it has one.
	ExtendedError string `json:"extendedError,omitempty"`
	// Source is where the answer came from, as in the metric dnscache_answers_total.
	Source string `json:"source"`
	// Freshness says how old the answer is, and whether it is stale.
	Freshness string `json:"freshness"`
	// Reasons tell step by step how the answer came about.
	Reasons []string `json:"reasons"`
	// Cache holds the entries that there were before the question.
	Cache []Entry `json:"cache,omitempty"`
	// Domain is that of the route whose servers are asked for what is not in the cache, ""
	// for the servers for all names. Servers are these servers.
	Domain  string             `json:"domain,omitempty"`
	Servers []explain.Upstream `json:"servers,omitempty"` // see Domain
}

// Explain explains a name. It asks upstream servers if the forwarder would. The error is about
// the question.
func (e *Explainer) Explain(ctx context.Context, q Question) (*Explanation, error) {
	typ, err := explain.ParseType(q.Type)
	if err != nil {
		return nil, err
	}
	name, err := dnsname.Parse(q.Name)
	if err != nil || q.Name == "" {
		return nil, fmt.Errorf("%q is not a domain name: %w", q.Name, errors.Join(err, errName))
	}
	x := &Explanation{Name: name.String(), Type: wire.TypeText(typ)}
	before := e.Forward.Cached([]byte(name), typ, false)
	e.explainCache(x, name, before, false)
	e.explainCache(x, name, e.Forward.Cached([]byte(name), typ, true), true)
	tracer := e.Forward.Tracer()
	a := explain.Ask(ctx, tracer, name, typ)
	trace := tracer.Trace()
	x.Status, x.Answer, x.Authority, x.ExtendedError = a.Status, a.Records, a.Authority, a.Reason
	x.Source = trace.Source.String()
	e.explainDecision(x, &trace)
	local := trace.Stage != ""
	if !local {
		e.explainRoute(x, name, typ)
		x.list(e.changing(), "these options can change what servers reply")
	}
	if trace.Source == forwarder.SourceUpstream {
		e.explainStored(x, e.Forward.Cached([]byte(name), typ, false))
	}
	x.Freshness = freshness(&trace, before, a)
	if x.ExtendedError != "" {
		x.addf("the answer's own reason: %s", x.ExtendedError)
	}
	return x, nil
}

var errName = errors.New("labels have 1 to 63 characters, and a name at most 255 octets")

// addf adds a reason.
func (x *Explanation) addf(format string, args ...any) {
	if len(x.Reasons) < explain.MaxLines {
		x.Reasons = append(x.Reasons, explain.Line(fmt.Sprintf(format, args...)))
	}
}

// explainRoute says whom a question goes to that nothing here answers.
func (e *Explainer) explainRoute(x *Explanation, name dnsname.Name, typ uint16) {
	asked := e.Forward.WouldAsk([]byte(name), typ)
	switch asked.Kind {
	case upstream.Ask:
	case upstream.LocalOnly, upstream.Literal:
		return // a stage says so
	case upstream.Unavailable:
		x.addf("no server can be asked: %s", asked.Reason)
		return
	default:
		x.addf("no --server and no resolv.conf has a server for the name, so it is answered REFUSED")
		return
	}
	x.Domain, x.Servers = asked.Domain, explain.Servers(asked.Servers, e.Forward.Stats().Upstream.Servers)
	if x.Domain == "" {
		x.addf("no domain of its own has the name, so its servers are those for all names")
	} else {
		x.addf("the longest domain that has the name is %s, so its servers are those of that domain", x.Domain)
	}
}

// short is a duration to a precision that people care about.
func short(d time.Duration) time.Duration {
	if d < 10*time.Second && d > -10*time.Second {
		return d.Round(100 * time.Millisecond)
	}
	return d.Round(time.Second)
}
