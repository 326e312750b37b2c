// Package dump logs the table of local names and cached answers, as dnsmasq does on SIGUSR1.
//
// Fill in a [Dump] and call [Dump.Write].
package dump

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/answercache"
	"github.com/kube-dns/kube-dns/pkg/dnscache/linelog"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/hosts"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/local"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/querylog"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// row is one line of the table that SIGUSR1 logs with --log-queries or
// --no-daemon.
type row struct {
	host     string    // without the final dot
	address  string    // or the name that an alias stands for, or the type
	kind     byte      // '4', '6', 'C' for an alias, 'T' for other types, ' ' for a name that does not exist
	reverse  bool      // whether the address leads to the name
	negative bool      // whether there is no such data
	nxdomain bool      // whether there is no such name
	hosts    bool      // from a hosts file, otherwise from an option
	source   string    // of local data
	expires  time.Time // zero for local data
}

// dumpLine lays a row out; rule and heads are those of the table.
const (
	dumpLine  = "%-30.30s %-40.40s %-10s %-24s %s"
	dumpFlush = 500 // rows
)

func dumpHead() []string {
	dash := func(n int) string { return strings.Repeat("-", n) }
	return []string{
		fmt.Sprintf(dumpLine, "Host", "Address", "Flags", "Expires", "Source"),
		fmt.Sprintf(dumpLine, dash(30), dash(40), dash(10), dash(24), dash(12)),
	}
}

// String is the row as dnsmasq words it: flags are letters in fixed places.
func (r *row) String() string {
	flag := func(letter byte, set bool) byte {
		if set {
			return letter
		}
		return ' '
	}
	local := r.expires.IsZero()
	flags := []byte{
		r.kind, flag('F', !r.reverse || local), flag('R', r.reverse), flag('I', local), ' ',
		flag('N', r.negative), flag('X', r.nxdomain), flag('H', local && r.kind != 'C'), flag('C', local && !r.hosts), ' ',
	}
	expires := ""
	if !local {
		expires = r.expires.Format(time.ANSIC)
	}
	return strings.TrimRight(fmt.Sprintf(dumpLine, r.host, r.address, flags, expires, r.source), " ")
}

// Dump is what the table is made of.
type Dump struct {
	Local local.Config // what options say
	Files *hosts.Table // the hosts files
	// Each calls visit with each cached answer and the time on the clock of their expiry,
	// until it returns false.
	Each func(visit func(now int64, item answercache.Item) bool)
}

// Write logs the table: local names with addresses, then what is cached. Remembered failures
// are no data and left out.
func (d *Dump) Write(log *linelog.Log, now time.Time) {
	for _, line := range dumpHead() {
		log.Printf("%s", line)
	}
	rows := 0
	add := func(r *row) {
		log.Printf("%s", r)
		if rows++; rows%dumpFlush == 0 {
			log.Flush() // a large cache must not pile up in memory
		}
	}
	d.eachHost(add)
	d.Each(func(mono int64, item answercache.Item) bool {
		for _, r := range itemRows(&item, now.Add(time.Duration(item.Expires-mono))) {
			add(&r)
		}
		return true
	})
}

// eachHost calls add with a row for each local name and address, and each alias. What options
// say goes before the files, and an address has one reverse name.
func (d *Dump) eachHost(add func(*row)) {
	type key struct{ host, address string }
	known := map[key]bool{}
	for i := range d.Local.Hosts {
		for _, r := range hostRows(&d.Local.Hosts[i]) {
			add(&r)
			known[key{r.host, r.address}], known[key{"", r.address}] = true, true
		}
	}
	for _, c := range d.Local.CNAMEs {
		if !c.Below {
			add(&row{host: querylog.NameText([]byte(c.Alias)), address: querylog.NameText([]byte(c.Target)), kind: 'C'})
		}
	}
	d.Files.Each(func(name []byte, addr netip.Addr, reverse bool, source string) bool {
		r := row{
			host: querylog.NameText(name), address: addr.String(), kind: familyKind(addr),
			reverse: reverse, hosts: true, source: source,
		}
		if len(known) > 0 {
			r.reverse = reverse && !known[key{"", r.address}]
		}
		if !known[key{r.host, r.address}] {
			add(&r)
		}
		return true
	})
}

// hostRows are the rows of a --host-record or of an interface's name.
func hostRows(h *local.Host) []row {
	var rows []row
	for i, name := range h.Names {
		for _, addr := range h.Addrs {
			rows = append(rows, row{
				host: querylog.NameText([]byte(name)), address: addr.String(), kind: familyKind(addr), reverse: i == 0,
			})
		}
	}
	return rows
}

// itemRows are the rows of a cached answer, one for each record.
func itemRows(item *answercache.Item, expires time.Time) []row {
	var m dns.Msg
	if m.Unpack(item.AppendMessage(nil)) != nil || m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
		return nil
	}
	var rows []row
	// last is the name at the end of a chain of aliases.
	last, complete := item.Name, false
	for _, rr := range m.Answer {
		r, target := recordRow(rr)
		r.expires = expires
		rows = append(rows, r)
		if target == "" {
			complete = true
		} else if name, err := dnsname.Parse(target); err == nil {
			last = []byte(name)
		}
	}
	if complete || item.Type == dns.TypeCNAME && len(rows) > 0 {
		return rows
	}
	none := row{host: querylog.NameText(last), kind: typeKind(item.Type), negative: true, expires: expires}
	if m.Rcode == dns.RcodeNameError {
		none.kind, none.nxdomain = ' ', true
	}
	if addr, ok := dnsname.ReverseAddr(last); ok && item.Type == dns.TypePTR {
		none.host, none.address, none.kind, none.reverse = "", addr.String(), familyKind(addr), true
	}
	return append(rows, none)
}

// recordRow is the row of one record; target is what an alias stands for.
func recordRow(rr dns.RR) (r row, target string) {
	r = row{host: querylog.RecordName(rr.Header().Name), kind: typeKind(rr.Header().Rrtype)}
	switch rr := rr.(type) {
	case *dns.A:
		r.address = rr.A.String()
	case *dns.AAAA:
		r.address = rr.AAAA.String()
	case *dns.CNAME:
		r.address, target = querylog.RecordName(rr.Target), rr.Target
	case *dns.PTR:
		r.address = querylog.RecordName(rr.Ptr)
		if addr, ok := querylog.ReverseAddr(rr.Hdr.Name); ok {
			r = row{host: querylog.RecordName(rr.Ptr), address: addr.String(), kind: familyKind(addr), reverse: true}
		}
	default:
		r.address = "<" + querylog.TypeText(rr.Header().Rrtype) + ">"
	}
	return r, target
}

func typeKind(qtype uint16) byte {
	switch qtype {
	case dns.TypeA:
		return '4'
	case dns.TypeAAAA:
		return '6'
	case dns.TypeCNAME:
		return 'C'
	}
	return 'T'
}

func familyKind(addr netip.Addr) byte {
	if addr.Is4() {
		return '4'
	}
	return '6'
}
