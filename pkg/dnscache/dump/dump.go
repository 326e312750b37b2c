// Package dump logs the table of local names and cached answers, as dnsmasq does on SIGUSR1.
//
// Fill in a [Dump] and call [Dump.Write].
package dump

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/kube-dns/kube-dns/pkg/answercache"
	"github.com/kube-dns/kube-dns/pkg/dnscache/linelog"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/hosts"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/local"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/querylog"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/wire"
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

// dumpLine formats a row. rule and heads are the table's.
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

// Dump holds the data of the table.
type Dump struct {
	Local local.Config // what options say
	Files *hosts.Table // the hosts files
	// Each calls visit with each cached answer and the time on the clock of their expiry,
	// until it returns false.
	Each func(visit func(now int64, item answercache.Item) bool)
}

// Write logs the table: local names with their addresses, then the cached answers. Remembered
// failures are left out.
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

// eachHost calls add with a row for each local name and address, and for each alias. Rows from
// options come before rows from files. An address has one reverse name.
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
func hostRows(h *local.HostEntry) []row {
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
	if item.Rcode != wire.RcodeSuccess && item.Rcode != wire.RcodeNXDomain {
		return nil
	}
	records := querylog.Answer(item.AppendMessage(nil))
	var rows []row
	// last is the name at the end of a chain of aliases.
	last, complete := item.Name, false
	for i := range records {
		r := recordRow(&records[i])
		r.expires = expires
		rows = append(rows, r)
		if records[i].Type == wire.TypeCNAME {
			last = dnsname.AppendLower(nil, records[i].Target)
		} else {
			complete = true
		}
	}
	if complete || item.Type == wire.TypeCNAME && len(rows) > 0 {
		return rows
	}
	none := row{host: querylog.NameText(last), kind: typeKind(item.Type), negative: true, expires: expires}
	if item.Rcode == wire.RcodeNXDomain {
		none.kind, none.nxdomain = ' ', true
	}
	if addr, ok := dnsname.ReverseAddr(last); ok && item.Type == wire.TypePTR {
		none.host, none.address, none.kind, none.reverse = "", addr.String(), familyKind(addr), true
	}
	return append(rows, none)
}

// recordRow is the row of one record.
func recordRow(r *querylog.Record) row {
	out := row{host: querylog.RecordName(r.Owner), kind: typeKind(r.Type)}
	switch {
	case r.Addr.IsValid():
		out.address = r.Addr.String()
	case r.Type == wire.TypeCNAME:
		out.address = querylog.RecordName(r.Target)
	case r.Type == wire.TypePTR:
		out.address = querylog.RecordName(r.Target)
		if addr, ok := dnsname.ReverseAddr(dnsname.AppendLower(nil, r.Owner)); ok {
			out = row{host: out.address, address: addr.String(), kind: familyKind(addr), reverse: true}
		}
	default:
		out.address = "<" + querylog.TypeText(r.Type) + ">"
	}
	return out
}

func typeKind(qtype uint16) byte {
	switch qtype {
	case wire.TypeA:
		return '4'
	case wire.TypeAAAA:
		return '6'
	case wire.TypeCNAME:
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
