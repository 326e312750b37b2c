package options

import (
	"errors"
	"strings"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// Validate checks the options together, after all have been read. It returns all faults,
// joined.
func (o *Options) Validate() error {
	var faults []error
	wrong := func(text, detail string) {
		faults = append(faults, &Fault{Text: text, Detail: detail, Exit: ExitConfig})
	}
	if o.Listen.Port == 0 {
		wrong("bad command line options: try --help", "--port=0 turns DNS off, but dnscache does nothing else")
	}
	if o.Listen.BindInterfaces && o.Listen.BindDynamic {
		wrong("cannot set --bind-interfaces and --bind-dynamic", "")
	}
	if o.Upstream.NoPoll && !o.Upstream.NoResolv && len(o.Upstream.ResolvFiles) > 1 {
		wrong("only one resolv.conf file allowed in no-poll mode.", "")
	}
	if u := &o.Upstream; u.MaxPort != 0 && u.MinPort > u.MaxPort {
		wrong("max_port cannot be smaller than min_port", "--min-port is above --max-port")
	}
	if secure, plain := mixedServers(o.Upstream.Servers, !o.Upstream.NoResolv); secure != "" {
		wrong("illegal combination of options", secure+" and "+plain+" are servers for the same names, one over TLS and the other in clear text; use one kind")
	}
	if alias := o.cnameLoop(); alias != "" {
		wrong("CNAME loop involving "+strings.TrimSuffix(alias.String(), "."), "")
	}
	for _, a := range o.Listen.Addresses {
		if !dnsname.IsUnicast(a) && !a.IsUnspecified() {
			wrong("bad command line options: try --help", "--listen-address="+a.String()+": dnscache cannot listen on a multicast or broadcast address")
		}
	}
	if o.Own.ServeStale > 0 && o.Cache.UseStale {
		wrong("illegal combination of options", "--serve-stale and --use-stale-cache cannot be used together; choose one")
	}
	return errors.Join(faults...)
}

// cnameLoop returns an alias that leads back to itself, or "" if there is none. It follows
// each alias once.
func (o *Options) cnameLoop() dnsname.Name {
	next := make(map[dnsname.Name]dnsname.Name, len(o.Local.CNAMEs))
	for _, c := range o.Local.CNAMEs {
		if c.Alias.Match == dnsname.MatchSuffix {
			next[c.Alias.Name] = c.Target
		}
	}
	walks := make(map[dnsname.Name]int, len(next)) // the walk that passed each alias, from 1
	for walk := range o.Local.CNAMEs {
		name := o.Local.CNAMEs[walk].Alias.Name
		for walks[name] == 0 {
			target, ok := next[name]
			if !ok {
				break
			}
			walks[name] = walk + 1
			name = target
		}
		if walks[name] == walk+1 {
			return name
		}
	}
	return ""
}
