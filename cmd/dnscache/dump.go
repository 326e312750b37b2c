package main

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/answercache"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/local"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// dumpRow is one line of the table that SIGUSR1 logs with --log-queries or
// --no-daemon.
type dumpRow struct {
	host, address string
	kind          byte // '4', '6', 'C' for an alias, 'T' for other types, ' ' for a name that does not exist
	reverse       bool
	negative      bool
	nxdomain      bool
	hosts         bool      // from a hosts file, otherwise from an option
	source        string    // of local data
	expires       time.Time // zero for local data
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
func (r *dumpRow) String() string {
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

// logCache logs the table: local names with addresses, then what is cached.
// Remembered failures are no data and left out.
func (a *app) logCache(now time.Time) {
	for _, line := range dumpHead() {
		a.log.printf("%s", line)
	}
	rows := 0
	add := func(r *dumpRow) {
		a.log.printf("%s", r)
		if rows++; rows%dumpFlush == 0 {
			a.log.flush() // a large cache must not pile up in memory
		}
	}
	a.eachHost(add)
	a.forward.Each(func(mono int64, item answercache.Item) bool {
		for _, r := range itemRows(&item, now.Add(time.Duration(item.Expires-mono))) {
			add(&r)
		}
		return true
	})
}

// eachHost calls add with a row for each local name and address, and each alias. What options say
// goes before the files, and an address has one reverse name.
func (a *app) eachHost(add func(*dumpRow)) {
	data := localData(&a.options.Local, nil, a.around())
	type key struct{ host, address string }
	known := map[key]bool{}
	for i := range data.Hosts {
		for _, r := range hostRows(&data.Hosts[i]) {
			add(&r)
			known[key{r.host, r.address}], known[key{"", r.address}] = true, true
		}
	}
	for _, c := range data.CNAMEs {
		if !c.Below {
			add(&dumpRow{host: nameText([]byte(c.Alias)), address: nameText([]byte(c.Target)), kind: 'C'})
		}
	}
	a.hosts.Table.Each(func(name []byte, addr netip.Addr, reverse bool, source string) bool {
		r := dumpRow{
			host: nameText(name), address: addr.String(), kind: familyKind(addr),
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
func hostRows(h *local.Host) []dumpRow {
	var rows []dumpRow
	for i, name := range h.Names {
		for _, addr := range h.Addrs {
			rows = append(rows, dumpRow{
				host: nameText([]byte(name)), address: addr.String(), kind: familyKind(addr), reverse: i == 0,
			})
		}
	}
	return rows
}

// itemRows are the rows of a cached answer, one for each record.
func itemRows(item *answercache.Item, expires time.Time) []dumpRow {
	var m dns.Msg
	if m.Unpack(item.AppendMessage(nil)) != nil || m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
		return nil
	}
	var rows []dumpRow
	// last is the name at the end of a chain of aliases.
	last, complete := item.Name, false
	for _, rr := range m.Answer {
		row, target := recordRow(rr)
		row.expires = expires
		rows = append(rows, row)
		if target == "" {
			complete = true
		} else if name, err := dnsname.Parse(target); err == nil {
			last = []byte(name)
		}
	}
	if complete || item.Type == dns.TypeCNAME && len(rows) > 0 {
		return rows
	}
	none := dumpRow{host: nameText(last), kind: typeKind(item.Type), negative: true, expires: expires}
	if m.Rcode == dns.RcodeNameError {
		none.kind, none.nxdomain = ' ', true
	}
	if addr, ok := dnsname.ReverseAddr(last); ok && item.Type == dns.TypePTR {
		none.host, none.address, none.kind, none.reverse = "", addr.String(), familyKind(addr), true
	}
	return append(rows, none)
}

// recordRow is the row of one record; target is what an alias stands for.
func recordRow(rr dns.RR) (row dumpRow, target string) {
	row = dumpRow{host: textName(rr.Header().Name), kind: typeKind(rr.Header().Rrtype)}
	switch rr := rr.(type) {
	case *dns.A:
		row.address = rr.A.String()
	case *dns.AAAA:
		row.address = rr.AAAA.String()
	case *dns.CNAME:
		row.address, target = textName(rr.Target), rr.Target
	case *dns.PTR:
		row.address = textName(rr.Ptr)
		if addr, ok := reverse(rr.Hdr.Name); ok {
			row = dumpRow{host: textName(rr.Ptr), address: addr.String(), kind: familyKind(addr), reverse: true}
		}
	default:
		row.address = "<" + typeText(rr.Header().Rrtype) + ">"
	}
	return row, target
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
