package skydns

import (
	"errors"
	"fmt"
	"time"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/routelist"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// The zone's own names, relative to the domain, in wire form.
const (
	dnsPrefix     = "\x03dns"              // exists because of the next one
	nsPrefix      = "\x02ns\x03dns"        // the name server of the zone
	versionPrefix = "\x0bdns-version"      // version of the DNS schema
	schemaVersion = "1.1.0"                // of the domain: Kubernetes DNS specification §2.1
	schemaTTL     = 28800                  // as in the specification's example
	zoneTTL       = 3600                   // of the apex's SOA and NS, as SkyDNS
	serialStep    = int64(time.Hour / 1e9) // the serial is the time cut to the hour, as in SkyDNS
)

// authority is a zone for which this server answers. It is immutable.
type authority struct {
	name    dnsname.Name
	backend Backend
	version string // of the DNS schema
	// Names in wire form: that of the zone, and the primary server and the mailbox of its SOA
	// record.
	apex, nameServer, mailbox []byte
}

// newZones returns the zones of cfg, the domain first.
func newZones(cfg *Config) ([]authority, error) {
	var zones []authority
	var errs []error
	for _, z := range append([]Zone{{cfg.Domain, cfg.Backend, schemaVersion}}, cfg.Others...) {
		mailbox := "\x0ahostmaster" + string(z.Domain)
		switch {
		case !dnsname.Valid([]byte(z.Domain)) || z.Domain == dnsname.Root:
			errs = append(errs, errors.New("the domain is not a name below the root"))
		case len(mailbox) > dnsname.MaxName:
			errs = append(errs, fmt.Errorf("the domain %s is too long", z.Domain))
		}
		if z.Backend == nil {
			errs = append(errs, errors.New("there is no backend"))
		}
		for _, other := range zones {
			if z.Domain.HasSuffix(other.name) || other.name.HasSuffix(z.Domain) {
				errs = append(errs, fmt.Errorf("the domains %s and %s overlap", other.name, z.Domain))
			}
		}
		zones = append(zones, authority{
			name: z.Domain, backend: z.Backend, version: z.SchemaVersion,
			apex: []byte(z.Domain), nameServer: []byte(nsPrefix + string(z.Domain)), mailbox: []byte(mailbox),
		})
	}
	return zones, errors.Join(errs...)
}

// SOA timers, as SkyDNS.
const (
	soaRefresh = 28800
	soaRetry   = 7200
	soaExpire  = 604800
)

// soa returns the zone's SOA record. Its minimum equals its TTL in negative answers, so both
// readings of RFC 2308 §5 give the same time.
func (w *worker) soa() wire.SOA {
	now := w.unix()
	return wire.SOA{
		MName: w.zone.nameServer, RName: w.zone.mailbox, Serial: uint32(now - now%serialStep),
		Refresh: soaRefresh, Retry: soaRetry, Expire: soaExpire, Minimum: w.s.negativeTTL,
	}
}

// appendSOA appends the SOA record to the authority section. Its owner name is owner; nil
// means the question's name.
func (w *worker) appendSOA(owner []byte) {
	w.b.Open(wire.Authority)
	soa := w.soa()
	if !w.b.SOA(owner, w.s.negativeTTL, &soa) && !w.to.Stream() {
		w.b.SetTC()
	}
}

// negative answers NODATA or, if rcode is RcodeNXDomain, NXDOMAIN.
func (w *worker) negative(rcode int) result {
	w.appendSOA(w.zone.apex)
	return result{rcode: rcode}
}

// answerOwn answers for w.zone's own names. relative is the name relative to the zone. It
// returns false for any other name. owner and ttl are as in answerFrom.
func (w *worker) answerOwn(owner []byte, ttl uint32, relative []byte) (r result, own bool) {
	switch len(relative) {
	case 0, len(dnsPrefix), len(nsPrefix), len(versionPrefix):
	default:
		return r, false
	}
	var answered bool
	mark := w.b.Mark()
	switch string(relative) {
	case "":
		answered = w.answerApex(owner, ttl)
	case dnsPrefix:
	case nsPrefix:
		answered = w.answerNameServer(owner, ttl)
	case versionPrefix:
		switch w.q.Type {
		case wire.TypeTXT:
			answered = w.b.TXT(owner, min(ttl, schemaTTL), w.zone.version)
		case wire.TypeANY:
			answered = w.answerAny(owner)
		}
	default:
		return r, false
	}
	switch {
	case !w.zone.backend.HasSynced():
		w.b.Rollback(mark)
		return w.notReady(r), true
	case answered:
		return r, true
	}
	return w.negative(wire.RcodeSuccess), true
}

// answerAny gives the short answer to ANY for a name that has records (RFC 8482 §4.2).
func (w *worker) answerAny(owner []byte) bool {
	return w.b.HINFO(owner, w.s.ttl, "RFC8482", "")
}

// answerApex answers for the domain itself.
func (w *worker) answerApex(owner []byte, ttl uint32) bool {
	switch w.q.Type {
	case wire.TypeSOA:
		soa := w.soa()
		return w.b.SOA(owner, min(ttl, zoneTTL), &soa)
	case wire.TypeNS:
		if !w.b.NameRecord(owner, wire.TypeNS, min(ttl, zoneTTL), w.zone.nameServer) {
			return false
		}
		w.b.Open(wire.Additional)
		for _, v6 := range [...]bool{false, true} {
			w.appendOwnAddrs(w.zone.nameServer, w.s.ttl, v6)
		}
		return true
	case wire.TypeANY:
		return w.answerAny(owner)
	}
	return false
}

// answerNameServer answers for ns.dns.<domain>.
func (w *worker) answerNameServer(owner []byte, ttl uint32) bool {
	switch w.q.Type {
	case wire.TypeA:
		return w.appendOwnAddrs(owner, ttl, false)
	case wire.TypeAAAA:
		return w.appendOwnAddrs(owner, ttl, true)
	case wire.TypeANY:
		return w.answerAny(owner)
	}
	return false
}

// appendOwnAddrs appends the addresses by which clients reach this server, and
// reports whether there is one of the family.
func (w *worker) appendOwnAddrs(owner []byte, ttl uint32, v6 bool) bool {
	ttl = min(ttl, w.s.ttl)
	if len(w.s.service) > 0 {
		a := w.s.domain.backend.Records(w.s.service)
		if found, _ := w.appendAddrs(owner, ttl, &a, v6); found {
			return true
		}
	}
	local := w.to.Local().Unmap().WithZone("")
	if usable := local.IsValid() && !local.IsUnspecified(); !usable || local.Is6() != v6 {
		return false
	}
	return w.b.Addr(owner, ttl, local)
}

// answerChaos answers questions of class CH, which are about the server itself.
func (w *worker) answerChaos() result {
	if w.s.cfg.RouteList != nil && w.q.Type == wire.TypeTXT && string(w.name) == routelist.Question {
		if !w.b.TXT(nil, 0, w.s.cfg.RouteList().Texts()...) {
			w.b.SetTC()
		}
		return result{}
	}
	var text string
	if w.q.Type == wire.TypeTXT || w.q.Type == wire.TypeANY {
		switch dnsname.Name(w.name) {
		case "\x07version\x04bind\x00", "\x07version\x06server\x00":
			text = w.s.cfg.Version
		case "\x08hostname\x04bind\x00", "\x02id\x06server\x00":
			text = w.s.cfg.Hostname
		}
	}
	if text == "" || !w.b.TXT(nil, 0, text) {
		w.b.SetAA(false)
		return result{rcode: wire.RcodeRefused}
	}
	return result{}
}
