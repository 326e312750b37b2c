// Package dump logs the table of local names and cached answers, as dnsmasq does on SIGUSR1.
//
// Fill in a [Dump] and call [Dump.Write] to log it.
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

// row is one line of the table. The table is logged on SIGUSR1 if --log-queries or --no-daemon
// is given.
type row struct {
	host     string    // without the final dot
	address  string    // the address, the target of an alias, or the record type
	kind     byte      // '4', '6', 'C' for an alias, 'T' for other types, ' ' for a name that does not exist
	reverse  bool      // whether the address has this reverse name
	negative bool      // the name has no such records
	nxdomain bool      // the name does not exist
	hosts    bool      // from a hosts file; if false, from an option
	source   string    // where local data comes from, such as a path
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

// String returns the row in the form of dnsmasq: each flag is a letter at a fixed position.
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

// Dump is the data of the table.
type Dump struct {
	Local local.Config // the local data of the options
	Files *hosts.Table // the hosts files
	// Each calls visit for each cached answer until visit returns false. now is the current
	// time on the clock of item.Expires.
	Each func(visit func(now int64, item answercache.Item) bool)
}

// Write logs the table: first local names with their addresses, then cached answers. now is the
// time of day, from which expiry times are computed. Remembered failures are left out.
func (d *Dump) Write(log *linelog.Log, now time.Time) {
	for _, line := range dumpHead() {
		log.Printf("%s", line)
	}
	rows := 0
	add := func(r *row) {
		log.Printf("%s", r)
		if rows++; rows%dumpFlush == 0 {
			log.Flush() // so that the rows of a large cache do not fill the memory
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

// eachHost calls add with a row for each local name and address, and for each alias. Rows of
// options come before rows of hosts files. Each address has at most one reverse name.
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
		if c.Alias.Match == dnsname.MatchSuffix {
			add(&row{host: querylog.NameText([]byte(c.Alias.Name)), address: querylog.NameText([]byte(c.Target)), kind: 'C'})
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

// hostRows returns the rows of one --host-record or of the name of one interface.
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

// itemRows returns the rows of one cached answer: one row for each record.
func itemRows(item *answercache.Item, expires time.Time) []row {
	if item.Rcode != wire.RcodeSuccess && item.Rcode != wire.RcodeNXDomain {
		return nil
	}
	var rows []row
	// last is the last name of the chain of aliases that has been found so far.
	last, complete := item.Name, false
	for rec := range querylog.Records(item.AppendMessage(nil)) {
		r, target := recordRow(&rec)
		r.expires = expires
		rows = append(rows, r)
		if rec.Type == wire.TypeCNAME {
			last = dnsname.AppendLower(nil, target)
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

// recordRow returns the row of one record, and the target of an alias.
func recordRow(r *querylog.Record) (out row, target []byte) {
	out = row{host: querylog.RecordName(r.Owner), kind: typeKind(r.Type), address: "<" + querylog.TypeText(r.Type) + ">"}
	if addr, ok := r.Addr(); ok {
		out.address = addr.String()
	}
	if r.Type != wire.TypeCNAME && r.Type != wire.TypePTR {
		return out, nil
	}
	target, _ = r.Name()
	out.address = querylog.RecordName(target)
	if addr, ok := dnsname.ReverseAddr(dnsname.AppendLower(nil, r.Owner)); ok && r.Type == wire.TypePTR {
		out = row{host: out.address, address: addr.String(), kind: familyKind(addr), reverse: true}
	}
	return out, target
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
