package explain

import (
	"cmp"

	"github.com/kube-dns/kube-dns/pkg/dnsmasq/querylog"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/explain"
	"github.com/kube-dns/kube-dns/pkg/forwarder"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// explainCache describes the cache entries for the question. do means that they are for clients
// that ask for DNSSEC records.
func (e *Explainer) explainCache(x *Explanation, name dnsname.Name, found []forwarder.Found, do bool) {
	caches, stale := e.Forward.Caches()
	switch {
	case do && len(found) == 0:
		return
	case !caches:
		x.Addf("there is no cache (--cache-size=0)")
	case len(found) == 0:
		x.Addf("before this question, the cache had no entry for it")
	}
	for i := range found {
		f := &found[i]
		entry := Entry{
			Holds: holds(f), Age: f.Age.Seconds(), TTL: (f.Age + f.Left).Seconds(), ExpiresIn: f.Left.Seconds(),
			Stale: f.Stale && stale, DNSSEC: do,
		}
		if f.From.IsValid() {
			entry.From = f.From.String()
		}
		if own := dnsname.Name(f.Name); own != name {
			entry.Name = own.String()
		}
		x.Cache = append(x.Cache, entry)
		x.Addf("%s%s", entryText(f, &entry), e.leftText(f))
	}
}

// holds returns the kind of content of an entry, for Entry.Holds.
func holds(f *forwarder.Found) string {
	switch {
	case f.Failure:
		return "failure"
	case f.Rcode == wire.RcodeNXDomain:
		return "nxdomain"
	case f.Answers == 0:
		return "nodata"
	}
	return "answer"
}

func entryText(f *forwarder.Found, entry *Entry) string {
	text := "before this question, the cache held "
	if entry.DNSSEC {
		text = "for clients that want DNSSEC records, the cache holds "
	}
	text += map[string]string{
		"failure": "the failure of the last attempt (" + wire.RcodeText(f.Rcode) + ")", "nxdomain": "that the name does not exist",
		"nodata": "that the name has no records of the type", "answer": "an answer",
	}[entry.Holds]
	if entry.Name != "" {
		text += ", because of an entry for " + entry.Name + " (--nxdomain-cut)"
	}
	text += ": stored " + short(f.Age).String() + " ago for " + short(f.Age+f.Left).String()
	if entry.From != "" {
		text += ", from " + entry.From
	}
	return text
}

// leftText tells when an entry expires and what happens then.
func (e *Explainer) leftText(f *forwarder.Found) string {
	ended := "; it expired " + short(-f.Left).String() + " ago"
	switch {
	case f.Left > 0:
		return "; it expires in " + short(f.Left).String()
	case f.Failure:
		return ended + ", so the servers may be asked again"
	case e.Options.Cache.UseStale:
		return ended + ", and is given until a server has answered (--use-stale-cache)"
	}
	return ended + ", and is given only while no server answers"
}

// explainDecision tells which part of the program answered.
func (e *Explainer) explainDecision(x *Explanation, trace *forwarder.Trace) {
	switch {
	case trace.Stage == "local data":
		x.Addf("local data answers: %s", localText(trace))
	case trace.Stage != "":
		x.Addf("the %s answers: %s", trace.Stage, cmp.Or(trace.Rule, "by its rules"))
	case trace.Source == forwarder.SourceCache:
		x.Addf("the cache answers, and no server is asked")
	case trace.Source == forwarder.SourceStale:
		x.Addf("the cache answers with an expired entry (a stale answer)")
	case trace.Source == forwarder.SourceFailure:
		x.Addf("the cache answers with the failure that it remembers, and no server is asked until then")
	case trace.Source == forwarder.SourceError:
		x.Addf("the question is answered with an error at once")
	default:
		x.Addf("neither local data, nor a filter, nor the cache answers, so a server was asked")
	}
	for _, name := range trace.Changed {
		x.Addf("the %s removed records from the cached answer", name)
	}
}

// localText tells where the local data that answered comes from.
func localText(trace *forwarder.Trace) string {
	switch {
	case trace.Rule != "":
		return trace.Rule
	case trace.LocalSource == "" || trace.LocalSource == querylog.ConfigSource:
		return "an option of the command line or a configuration file, such as --host-record, --cname or --srv-host"
	}
	return "the file " + trace.LocalSource
}

// explainStored tells whether the cache stored the server's reply. now holds the entries after
// the question.
func (e *Explainer) explainStored(x *Explanation, now []forwarder.Found) {
	for i := range now {
		f := &now[i]
		switch {
		case f.Left <= 0:
		case f.From.IsValid():
			x.Addf("%s gave the answer; the cache keeps it for %s", f.From, short(f.Left))
			return
		case f.Failure:
			x.Addf("no server gave a usable answer; the cache remembers that for %s", short(f.Left))
			return
		}
	}
	if caches, _ := e.Forward.Caches(); caches {
		x.Addf("the answer is not kept in the cache")
	}
}

// freshness tells whether the answer is stale. before holds the entries from before the
// question.
func freshness(trace *forwarder.Trace, before []forwarder.Found, a *explain.Answer) string {
	stale := trace.Source == forwarder.SourceStale || a.Code == int(wire.EDEStaleAnswer) || a.Code == int(wire.EDEStaleNXDomain)
	switch {
	case a.Status == explain.NoReply:
		return "there is no answer"
	case trace.Stage != "" || trace.Source == forwarder.SourceError:
		return "not stale: it is made here"
	case !stale && trace.Source != forwarder.SourceCache && trace.Source != forwarder.SourceFailure:
		return "not stale: it was asked for just now"
	}
	for i := range before {
		switch f := &before[i]; {
		case stale && f.Stale:
			return "STALE: it expired " + short(-f.Left).String() + " ago, and no server has given a newer one"
		case !stale && f.Left > 0:
			return "not stale: it is " + short(f.Age).String() + " old, and expires in " + short(f.Left).String()
		}
	}
	if stale {
		return "STALE: it has expired, and no server has given a newer one"
	}
	return "not stale: it is from the cache"
}

// changing returns the names of the given options that can change the replies of servers.
func (e *Explainer) changing() []string {
	f, c := &e.Options.Filter, &e.Options.Cache
	var list []string
	for _, o := range []struct {
		given bool
		name  string
	}{
		{f.StopRebind, "--stop-dns-rebind"},
		{len(f.BogusNXDomain) > 0, "--bogus-nxdomain"},
		{len(f.IgnoreAddress) > 0, "--ignore-address"},
		{len(f.Aliases) > 0, "--alias"},
		{f.FilterA, "--filter-A"},
		{f.FilterAAAA, "--filter-AAAA"},
		{len(f.FilterRR) > 0, "--filter-rr"},
		{c.MinCacheTTL > 0, "--min-cache-ttl"},
		{c.MaxCacheTTL > 0, "--max-cache-ttl"},
		{c.MaxTTL > 0, "--max-ttl"},
	} {
		if o.given {
			list = append(list, o.name)
		}
	}
	return list
}
