// Package conformance queries the real binaries and compares their answers with tables.
// The tables are Markdown files, so that people can read them too.
package conformance

import (
	"fmt"
	"hash/fnv"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns"
)

// Row is one question and its expected reply.
type Row struct {
	ID    string
	Name  string // absolute, spelled as asked
	Type  uint16
	Rcode int
	// Answer, Extra and Authority hold records in canonical text, sorted.
	Answer    []string
	Extra     []string
	Authority []string
	// Any* is set where the table has * for the section.
	AnyAnswer, AnyExtra, AnyAuthority bool
}

// ParseRows reads a table with the columns #, query, type, rcode, answer, additional,
// authority. A cell with several types separated by commas stands for as many rows. Lines
// that do not begin with |, and tables with three columns, are ignored.
func ParseRows(text string) ([]Row, error) {
	var rows []Row
	for i, line := range strings.Split(text, "\n") {
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|--") || strings.HasPrefix(line, "| #") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		if len(cells) == 3 { // a table about rows that are left out
			continue
		}
		if len(cells) != 7 {
			return nil, fmt.Errorf("line %d: %d columns, want 7", i+1, len(cells))
		}
		for j := range cells {
			cells[j] = strings.TrimSpace(cells[j])
		}
		for typ := range strings.SplitSeq(cells[2], ",") {
			row, err := parseRow(cells, typ)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", i+1, err)
			}
			rows = append(rows, row)
		}
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("no rows")
	}
	return rows, nil
}

func parseRow(cells []string, typ string) (Row, error) {
	name, err := absolute(cells[1], "")
	if err != nil {
		return Row{}, err
	}
	row := Row{ID: cells[0], Name: name, AnyAnswer: cells[4] == "*", AnyExtra: cells[5] == "*", AnyAuthority: cells[6] == "*"}
	var ok bool
	if row.Type, ok = dns.StringToType[typ]; !ok {
		return Row{}, fmt.Errorf("row %s: unknown type %q", row.ID, typ)
	}
	if row.Rcode, ok = dns.StringToRcode[cells[3]]; !ok {
		return Row{}, fmt.Errorf("row %s: unknown rcode %q", row.ID, cells[3])
	}
	if row.Answer, err = records(cells[4], name); err != nil {
		return Row{}, fmt.Errorf("row %s: answer: %w", row.ID, err)
	}
	if row.Extra, err = records(cells[5], name); err != nil {
		return Row{}, fmt.Errorf("row %s: additional: %w", row.ID, err)
	}
	if zone, found := strings.CutPrefix(cells[6], "SOA "); found {
		owner, err := absolute(zone, "")
		if err != nil {
			return Row{}, fmt.Errorf("row %s: authority: %w", row.ID, err)
		}
		row.Authority = []string{owner + " SOA"}
	} else if row.Authority, err = records(cells[6], name); err != nil {
		return Row{}, fmt.Errorf("row %s: authority: %w", row.ID, err)
	}
	return row, nil
}

// records reads `owner [ttl=N] TYPE rdata` pieces separated by semicolons.
func records(cell, asked string) ([]string, error) {
	var out []string
	for piece := range strings.SplitSeq(cell, ";") {
		fields := strings.Fields(piece)
		if len(fields) == 0 || len(fields) == 1 && fields[0] == "*" {
			continue
		}
		ttl := "30"
		if len(fields) > 1 && strings.HasPrefix(fields[1], "ttl=") {
			ttl = strings.TrimPrefix(fields[1], "ttl=")
			fields = slices.Delete(fields, 1, 2)
		}
		if len(fields) < 3 {
			return nil, fmt.Errorf("%q is no record", piece)
		}
		owner, err := absolute(fields[0], asked)
		if err != nil {
			return nil, err
		}
		rdata := fields[2:]
		for i, f := range rdata {
			if named(fields[1], i) {
				if rdata[i], err = absolute(f, asked); err != nil {
					return nil, err
				}
			}
		}
		out = append(out, strings.Join([]string{owner, "ttl=" + ttl, fields[1], strings.Join(rdata, " ")}, " "))
	}
	slices.Sort(out)
	return out, nil
}

// named reports whether field i of a type's rdata is a domain name.
func named(typ string, i int) bool {
	switch typ {
	case "CNAME", "PTR", "NS":
		return i == 0
	case "SRV":
		return i == 3
	case "SOA":
		return i < 2
	}
	return false
}

// absolute expands the table's abbreviations: Z, S, C, @ and L(address).
func absolute(text, asked string) (string, error) {
	if text == "@" {
		return asked, nil
	}
	text = label.ReplaceAllStringFunc(text, func(m string) string {
		addr, err := netip.ParseAddr(m[2 : len(m)-1])
		if err != nil {
			return m
		}
		return hashLabel(addr)
	})
	switch {
	case strings.HasSuffix(text, "."):
		return text, nil
	case text == "Z" || strings.HasSuffix(text, ".Z"):
		return strings.TrimSuffix(text, "Z") + "cluster.local.", nil
	case text == "S" || strings.HasSuffix(text, ".S"):
		return strings.TrimSuffix(text, "S") + "svc.cluster.local.", nil
	case text == "C" || strings.HasSuffix(text, ".C"):
		return strings.TrimSuffix(text, "C") + "clusterset.local.", nil
	case strings.HasSuffix(text, "arpa"):
		return text + ".", nil
	}
	return "", fmt.Errorf("%q ends neither in Z, S, C, arpa nor a dot", text)
}

var label = regexp.MustCompile(`L\([0-9a-f.:]+\)`)

// hashLabel returns the label that kube-dns gives to an address: the 32-bit FNV-1a hash of
// its record as Go prints it, written in hexadecimal, each digit of which is again written in
// hexadecimal.
func hashLabel(addr netip.Addr) string {
	h := fnv.New32a()
	fmt.Fprintf(h, "&{%s 0 10 10  false 30 0  }", addr)
	return fmt.Sprintf("%x", fmt.Sprintf("%x", h.Sum32()))
}

// Diff returns how a reply differs from the row, or "" if it does not. In a reply from a
// cache, TTLs may be lower and the additional section may be missing.
func (r Row) Diff(m *dns.Msg, cached bool) string {
	var faults []string
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	if m.Rcode != r.Rcode {
		fault("rcode %s, want %s", dns.RcodeToString[m.Rcode], dns.RcodeToString[r.Rcode])
	}
	if m.Truncated {
		fault("TC is set")
	}
	section := func(name string, got []dns.RR, want []string) {
		if text := compare(got, want, cached); text != "" {
			fault("%s: %s", name, text)
		}
	}
	if !r.AnyAnswer {
		section("answer", m.Answer, r.Answer)
	}
	if !r.AnyAuthority {
		section("authority", m.Ns, r.Authority)
	}
	extra := slices.DeleteFunc(slices.Clone(m.Extra), func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeOPT })
	if !r.AnyExtra && (!cached || len(extra) > 0) {
		section("additional", extra, r.Extra)
	}
	return strings.Join(faults, "; ")
}

// compare matches records against wanted text as sets.
func compare(got []dns.RR, want []string, cached bool) string {
	left := slices.Clone(want)
	for _, rr := range got {
		i := slices.IndexFunc(left, func(w string) bool { return same(rr, w, cached) })
		if i < 0 {
			return fmt.Sprintf("unwanted %q, wanted %q", rr.String(), want)
		}
		left = slices.Delete(left, i, i+1)
	}
	if len(left) > 0 {
		return fmt.Sprintf("missing %q", left)
	}
	return ""
}

func same(rr dns.RR, want string, cached bool) bool {
	h := rr.Header()
	if owner, found := strings.CutSuffix(want, " SOA"); found {
		return h.Rrtype == dns.TypeSOA && strings.EqualFold(h.Name, owner)
	}
	fields := strings.SplitN(want, " ", 4)
	if h.Name != fields[0] || dns.TypeToString[h.Rrtype] != fields[2] {
		return false
	}
	if ttl := strings.TrimPrefix(fields[1], "ttl="); ttl != "*" {
		n, err := strconv.ParseUint(ttl, 10, 32)
		if err != nil || uint64(h.Ttl) > n || !cached && uint64(h.Ttl) != n {
			return false
		}
	}
	rdata := strings.TrimPrefix(rr.String(), h.String())
	if h.Rrtype == dns.TypeSOA { // only the names are fixed
		return strings.HasPrefix(rdata, fields[3]+" ")
	}
	return rdata == fields[3]
}
