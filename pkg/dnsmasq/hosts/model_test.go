package hosts

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// model is the same data in maps, read in the plainest way.
type model struct {
	names   map[string][]netip.Addr
	source  map[string]string // of "name addr"
	above   map[string]bool
	reverse map[netip.Addr][2]string // name, source
	order   []string                 // names as they came
	bad     []Bad
	count   int
}

func newModel() *model {
	return &model{
		names: map[string][]netip.Addr{}, source: map[string]string{}, above: map[string]bool{},
		reverse: map[netip.Addr][2]string{},
	}
}

func (m *model) read(path, text string, expand Expand) {
	lines := strings.Split(strings.TrimPrefix(text, "\ufeff"), "\n")
	for i, line := range lines {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		addr, err := netip.ParseAddr(fields[0])
		if err != nil || len(fields) == 1 {
			m.bad = append(m.bad, Bad{Line: i + 1})
			continue
		}
		addr = addr.WithZone("")
		var list []string
		for _, field := range fields[1:] {
			name, err := dnsname.Parse(field)
			if err != nil || name == dnsname.Root || strings.ContainsFunc(field, func(r rune) bool { return r < ' ' || r >= 0x7f }) {
				m.bad = append(m.bad, Bad{Line: i + 1, Name: field[:min(len(field), 2*dnsname.MaxName)]})
				continue
			}
			if expand != nil && name.Labels() == 1 && !strings.HasSuffix(field, ".") {
				if domain := expand(addr); domain != "" && len(name)-1+len(domain) <= dnsname.MaxName {
					list = append(list, string(name[:len(name)-1]+domain))
				}
			}
			list = append(list, string(name))
		}
		for i, name := range list {
			m.add(path, name, addr.Unmap(), i == 0)
		}
	}
}

func (m *model) add(path, name string, addr netip.Addr, first bool) {
	m.count++
	if _, ok := m.names[name]; !ok {
		m.order = append(m.order, name)
	}
	if !slices.Contains(m.names[name], addr) {
		m.names[name] = append(m.names[name], addr)
		m.source[name+addr.String()] = path
	}
	if _, ok := m.reverse[addr]; first && !ok {
		m.reverse[addr] = [2]string{name, path}
	}
	for up := dnsname.Name(name).Parent(); up != dnsname.Root; up = up.Parent() {
		m.above[string(up)] = true
	}
}

// compare fails the test where the table says something else than the model.
func (m *model) compare(t *testing.T, table *Table, probes []string) {
	t.Helper()
	for _, name := range append(slices.Collect(mapKeys(m.names, m.above)), probes...) {
		addrs, known := table.Find([]byte(name))
		var got []netip.Addr
		for i := range addrs.Len() {
			got = append(got, addrs.At(i))
			if s := addrs.Source(i); s != m.source[name+addrs.At(i).String()] {
				t.Fatalf("%q %v is from %q, want %q", name, addrs.At(i), s, m.source[name+addrs.At(i).String()])
			}
		}
		if !slices.Equal(got, m.names[name]) {
			t.Fatalf("%q has %v, want %v", name, got, m.names[name])
		}
		if want := m.names[name] != nil || m.above[name]; known != want {
			t.Fatalf("%q is known: %v, want %v", name, known, want)
		}
	}
	for addr, want := range m.reverse {
		name, source, ok := table.Reverse(addr)
		if got := [2]string{string(name), source}; !ok || got != want {
			t.Fatalf("%v is %q, want %q", addr, got, want)
		}
	}
	for _, addr := range []string{"203.0.113.77", "2001:db8:77::77"} {
		if a := netip.MustParseAddr(addr); m.reverse[a] == [2]string{} {
			if name, _, ok := table.Reverse(a); ok {
				t.Fatalf("%v is %q, want nothing", a, name)
			}
		}
	}
	m.compareEach(t, table)
}

func (m *model) compareEach(t *testing.T, table *Table) {
	t.Helper()
	var got, want []string
	table.Each(func(name []byte, addr netip.Addr, reverse bool, source string) bool {
		got = append(got, fmt.Sprintf("%q %v %v %s", name, addr, reverse, source))
		return true
	})
	for _, name := range m.order {
		for _, addr := range m.names[name] {
			want = append(want, fmt.Sprintf("%q %v %v %s", name, addr, m.reverse[addr][0] == name, m.source[name+addr.String()]))
		}
	}
	slices.Sort(got) // a name may be known earlier as one above others
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("Each (-want +got):\n%s", diff)
	}
	if table.Len() != len(want) {
		t.Fatalf("Len() = %d, want %d", table.Len(), len(want))
	}
}

func mapKeys(maps ...any) func(func(string) bool) {
	return func(yield func(string) bool) {
		for name := range maps[0].(map[string][]netip.Addr) {
			if !yield(name) {
				return
			}
		}
		for name := range maps[1].(map[string]bool) {
			if !yield(name) {
				return
			}
		}
	}
}

// randomFile is a hosts file in which names, parts of names and addresses repeat.
func randomFile(r *rand.Rand, lines int) string {
	labels := []string{"a", "b", "Lan", "host-1", "x_y", "example", "verylonglabel-with-many-letters", `\032odd`, `\.dot`}
	var b strings.Builder
	if r.IntN(4) == 0 {
		b.WriteString("\ufeff")
	}
	for range lines {
		switch r.IntN(12) {
		case 0:
			fmt.Fprintf(&b, "2001:db8::%x", r.IntN(40))
		case 1:
			fmt.Fprintf(&b, "::ffff:10.0.0.%d", r.IntN(60))
		case 2:
			fmt.Fprintf(&b, "fe80::%x%%eth0", r.IntN(5))
		case 3:
			b.WriteString([]string{"bad", "", "# comment", "1.2.3", "0.0.0.0"}[r.IntN(5)])
		default:
			fmt.Fprintf(&b, "10.0.%d.%d", r.IntN(3), r.IntN(60))
		}
		for range r.IntN(4) {
			b.WriteString([]string{" ", "\t", "  ", " \r"}[r.IntN(4)])
			n := 1 + r.IntN(4)
			for i := range n {
				if i > 0 {
					b.WriteByte('.')
				}
				b.WriteString(labels[r.IntN(len(labels))])
				if r.IntN(3) == 0 {
					fmt.Fprint(&b, r.IntN(30))
				}
			}
			if r.IntN(20) == 0 {
				b.WriteString([]string{"..", ".", "\u00e9", "\x01", " # x", strings.Repeat("y", 70), strings.Repeat("z.", 130)}[r.IntN(7)])
			}
		}
		b.WriteString([]string{"\n", "\r\n", " # c\n"}[r.IntN(3)])
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// TestModel: tables of random files say what maps say.
func TestModel(t *testing.T) {
	domains := map[byte]dnsname.Name{0: "", 1: "\x03lan\x00", 2: "\x01a\x07example\x00"}
	for round := range 300 {
		r := rand.New(rand.NewPCG(uint64(round), 1))
		var expand Expand
		if r.IntN(2) == 0 {
			expand = func(a netip.Addr) dnsname.Name { return domains[a.AsSlice()[2]%3] }
		}
		var b TableBuilder
		m := newModel()
		for file := range 1 + r.IntN(3) {
			text := randomFile(r, 1+r.IntN(200))
			path := fmt.Sprint("file", file)
			bad, count := len(m.bad), m.count
			m.read(path, text, expand)
			report, err := b.Read(path, strings.NewReader(text), expand)
			if err != nil || report.Names != m.count-count {
				t.Fatalf("round %d: %v, %d names, want %d", round, err, report.Names, m.count-count)
			}
			want := m.bad[bad:]
			if more := max(0, len(want)-MaxBad); more != report.MoreBad || !slices.Equal(report.Bad, want[:len(want)-more]) {
				t.Fatalf("round %d: bad %v and %d more, want %v", round, report.Bad, report.MoreBad, want)
			}
		}
		m.compare(t, b.Table(), []string{"\x07nothing\x00", "\x00", "\x03lan\x05hosts\x00"})
	}
}

// FuzzRead holds the same for any octets.
func FuzzRead(f *testing.F) {
	f.Add([]byte("127.0.0.1 localhost lo.example # x\n::1 localhost\nbad line\n1.2.3.4\n"), true)
	f.Add([]byte("\ufeff::ffff:1.2.3.4 a.b a b.b\r\n1.2.3.4 \\065 A.\nfe80::1%x y"), false)
	f.Add([]byte("1.1.1.1\u00a0a\u2003b\n1.1.1.1 \xffa ..\n"), true)
	f.Fuzz(func(t *testing.T, data []byte, expanded bool) {
		var expand Expand
		if expanded {
			expand = func(netip.Addr) dnsname.Name { return "\x03lan\x00" }
		}
		m := newModel()
		m.read("f", string(data), expand)
		var b TableBuilder
		report, err := b.Read("f", bytes.NewReader(data), expand)
		if err != nil || report.Names != m.count || len(report.Bad)+report.MoreBad != len(m.bad) {
			t.Fatalf("%v, %+v, want %d names, bad %v", err, report, m.count, m.bad)
		}
		m.compare(t, b.Table(), nil)
	})
}
