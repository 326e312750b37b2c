package local

import (
	"fmt"
	"net/netip"
	"sync/atomic"

	"github.com/kube-dns/kube-dns/pkg/dnsmasq/hosts"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// Data is a Config ready for lookups. Only turn changes. Its methods may be called from any
// goroutine.
type Data struct {
	names   map[dnsname.Name]*nameData      // the names that options define, with their data
	above   map[dnsname.Name]bool           // names that have local names below them
	aliases map[dnsname.Name]*options.CNAME // "*.name"
	reverse map[netip.Addr]*reverseName     // the names of the addresses that options define
	hosts   *hosts.Table                    // all names that are not in names, all addresses not in reverse
	synth   []options.SynthDomain           // Config.Synth
	ttl     uint32                          // Config.TTL, in seconds
	turn    atomic.Uint32                   // the addresses' order changes with each answer

	near       map[netip.Addr]netip.Prefix // nil without --localise-queries
	selfMX     bool                        // Config.SelfMX
	mailTarget dnsname.Name                // Config.MailTarget
	dynamic    bool                        // some hosts are interfaces
}

// nameData holds the local data of one name.
type nameData struct {
	addrs   []address
	records []options.RecordOption
	cname   *options.CNAME
	host    bool // some addresses are those of a host
	dynamic bool // the addresses are those of an interface
}

type address struct {
	addr   netip.Addr
	ttl    uint32
	source string
}

// owner is the data of one name. It comes from the options, which include what the hosts files
// add to it, or from the hosts files alone.
type owner struct {
	node  *nameData // nil if no option names it
	hosts hosts.Addrs
	ttl   uint32 // of hosts
}

// len returns the number of the name's addresses.
func (o *owner) len() int {
	if o.node != nil {
		return len(o.node.addrs)
	}
	return o.hosts.Len()
}

// at returns an address with its TTL.
func (o *owner) at(i int) (netip.Addr, uint32) {
	if o.node != nil {
		return o.node.addrs[i].addr, o.node.addrs[i].ttl
	}
	return o.hosts.At(i), o.ttl
}

// source returns the source of an address for the query log.
func (o *owner) source(i int) string {
	if o.node != nil {
		return o.node.addrs[i].source
	}
	return o.hosts.Source(i)
}

// records returns the name's records from options.
func (o *owner) records() []options.RecordOption {
	if o.node != nil {
		return o.node.records
	}
	return nil
}

// host reports whether some of the addresses are those of a host.
func (o *owner) host() bool {
	return o.node == nil && o.hosts.Len() > 0 || o.node != nil && o.node.host
}

type reverseName struct {
	name    dnsname.Name
	ttl     uint32
	source  string
	dynamic bool // of an interface
}

// maxLocalChain is the largest number of aliases in a chain.
const maxLocalChain = 64

// New returns the data of cfg, or an error if aliases form a loop or a chain that is too long.
func New(cfg *Config) (*Data, error) {
	l := &Data{
		names: map[dnsname.Name]*nameData{}, above: map[dnsname.Name]bool{}, aliases: map[dnsname.Name]*options.CNAME{},
		reverse: map[netip.Addr]*reverseName{}, hosts: cfg.Files, synth: cfg.Synth, ttl: cfg.TTL,
		near: nearby(cfg.Networks), selfMX: cfg.SelfMX, mailTarget: cfg.MailTarget,
	}
	seen := map[nameAddr]bool{}
	for i := range cfg.Hosts {
		l.addHost(&cfg.Hosts[i], seen)
	}
	for _, r := range cfg.Records {
		n := l.node(r.Name)
		n.records = append(n.records, r)
	}
	for i := range cfg.CNAMEs {
		c := &cfg.CNAMEs[i]
		if c.Alias.Match == dnsname.MatchBelow {
			l.aliases[c.Alias.Name] = c
			l.markAbove(c.Alias.Name)
		} else {
			l.node(c.Alias.Name).cname = c
		}
	}
	for name, n := range l.names {
		l.addFiles(name, n, seen)
	}
	for i := range cfg.CNAMEs {
		if err := l.checkChain(&cfg.CNAMEs[i]); err != nil {
			return nil, err
		}
	}
	return l, nil
}

func (l *Data) node(name dnsname.Name) *nameData {
	n := l.names[name]
	if n == nil {
		n = new(nameData)
		l.names[name] = n
		l.markAbove(name.Parent())
	}
	return n
}

// markAbove records that there are local names below up.
func (l *Data) markAbove(up dnsname.Name) {
	for ; up != dnsname.Root && up != ""; up = up.Parent() {
		l.above[up] = true
	}
}

func (l *Data) addHost(h *HostEntry, seen map[nameAddr]bool) {
	ttl := l.ttl
	if h.HasTTL {
		ttl = h.TTL
	}
	for _, name := range h.Names {
		n := l.node(name)
		if n.dynamic && !h.Interface {
			continue
		}
		n.dynamic, n.host = h.Interface, !h.Interface
		l.dynamic = l.dynamic || h.Interface
		for _, a := range h.Addrs {
			n.addAddr(address{a.Unmap(), ttl, h.Source}, seen)
		}
	}
	for _, a := range h.Addrs {
		if a = a.Unmap(); l.reverse[a] == nil && len(h.Names) > 0 {
			l.reverse[a] = &reverseName{h.Names[0], ttl, h.Source, h.Interface}
		}
	}
}

// addFiles adds the hosts files' addresses of a name that also has data from options.
func (l *Data) addFiles(name dnsname.Name, n *nameData, seen map[nameAddr]bool) {
	if n.dynamic {
		return
	}
	addrs, _ := l.hosts.Find([]byte(name))
	for i := range addrs.Len() {
		n.host = true
		n.addAddr(address{addrs.At(i), l.ttl, addrs.Source(i)}, seen)
	}
}

// nameAddr is an address of a name. A set of them finds repeated ones in constant time.
type nameAddr struct {
	name *nameData
	addr netip.Addr
}

// addAddr adds an address to the name unless it is in seen.
func (n *nameData) addAddr(a address, seen map[nameAddr]bool) {
	if key := (nameAddr{n, a.addr}); !seen[key] {
		seen[key] = true
		n.addrs = append(n.addrs, a)
	}
}

// checkChain returns an error if aliases form a loop, or a chain that is too long for an answer.
// dnsmasq accepts chains of any length.
func (l *Data) checkChain(c *options.CNAME) error {
	first := c
	for range maxLocalChain {
		if c = l.cnameOf([]byte(c.Target)); c == nil {
			return nil
		}
	}
	return fmt.Errorf("CNAME loop at %v, or a chain of more than %d aliases", first.Alias.Name, maxLocalChain)
}

// find returns the local data of a canonical name. It returns false if there is none.
func (l *Data) find(name []byte) (owner, bool) {
	if n := l.names[dnsname.Name(name)]; n != nil {
		return owner{node: n}, true
	}
	addrs, _ := l.hosts.Find(name)
	return owner{hosts: addrs, ttl: l.ttl}, addrs.Len() > 0
}

// aliasOf returns the alias of a name for which find returned known and o. It returns nil if the
// name is not an alias.
func (l *Data) aliasOf(name []byte, o *owner, known bool) *options.CNAME {
	if known {
		if o.node != nil {
			return o.node.cname
		}
		return nil
	}
	for len(l.aliases) > 0 && len(name) > 1 {
		name = name[1+int(name[0]):]
		if c := l.aliases[dnsname.Name(name)]; c != nil {
			return c
		}
	}
	return nil
}

// cnameOf returns the alias of name, or nil if name is not an alias.
func (l *Data) cnameOf(name []byte) *options.CNAME {
	o, known := l.find(name)
	return l.aliasOf(name, &o, known)
}

// Knows reports whether name, in any case, or a name below it has local data.
func (l *Data) Knows(name []byte) bool {
	var buf [wire.MaxName]byte
	name = dnsname.AppendLower(buf[:0], name)
	if l.names[dnsname.Name(name)] != nil || l.above[dnsname.Name(name)] {
		return true
	}
	if _, known := l.hosts.Find(name); known || l.aliasOf(name, nil, false) != nil {
		return true
	}
	_, ok := l.synthAddr(name)
	return ok
}
