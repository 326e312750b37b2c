package hosts

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/internal/readfile"
)

func TestRead(t *testing.T) {
	var b TableBuilder
	report, err := b.Read("F", strings.NewReader("\ufeff127.0.0.1 LocalHost my_host#c\n\n# only a comment\nnot-an-address x\n::1 a..b c\n1.2.3.4\n5.6.7.8 ..\n"+
		"9.9.9.9 caf\u00e9.lan plain.lan\nfe80::1%eth0 zone.lan\n"), nil)
	if err != nil || report.Names != 5 {
		t.Errorf("%d names, %v; want 5", report.Names, err)
	}
	var got []string
	b.Table().Each(func(name []byte, addr netip.Addr, _ bool, _ string) bool {
		got = append(got, fmt.Sprint(addr, " ", dnsname.Name(name)))
		return true
	})
	for _, bad := range report.Bad {
		got = append(got, bad.String("F"))
	}
	want := []string{
		"127.0.0.1 localhost.", "127.0.0.1 my_host.", "::1 c.", "9.9.9.9 plain.lan.", "fe80::1 zone.lan.",
		"bad address at F line 4", `bad name at F line 5: "a..b" is not a domain name in ASCII`, "bad address at F line 6",
		`bad name at F line 7: ".." is not a domain name in ASCII`, `bad name at F line 8: "café.lan" is not a domain name in ASCII`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("hosts and faults (-want +got):\n%s", diff)
	}
}

// TestExpand: the longer name comes first, and is that of the address.
func TestExpand(t *testing.T) {
	var b TableBuilder
	if _, err := b.Read("F", strings.NewReader("1.2.3.4 a b.c\n5.6.7.8 d\n"), func(a netip.Addr) dnsname.Name {
		if a == netip.MustParseAddr("1.2.3.4") {
			return "\x03lan\x00"
		}
		return ""
	}); err != nil {
		t.Fatal(err)
	}
	var got []string
	b.Table().Each(func(name []byte, addr netip.Addr, reverse bool, source string) bool {
		got = append(got, fmt.Sprint(addr, " ", dnsname.Name(name), " ", reverse, " ", source))
		return true
	})
	want := []string{"1.2.3.4 a.lan. true F", "1.2.3.4 a. false F", "1.2.3.4 b.c. false F", "5.6.7.8 d. true F"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestLongLine: a line longer than any buffer, and one that never ends.
func TestLongLine(t *testing.T) {
	var text strings.Builder
	text.WriteString("10.0.0.1")
	const n = 50_000
	for i := range n {
		fmt.Fprintf(&text, " host-%d.example", i)
	}
	text.WriteString("\n10.0.0.2 last " + strings.Repeat("x", 1<<20) + "\n" + strings.Repeat("1.2.3.4 ", maxLine/8+1) + "\n1.2.3.4 after")
	var b TableBuilder
	report, err := b.Read("F", strings.NewReader(text.String()), nil)
	if err != nil || report.Names != n+2 || len(report.Bad) != 2 || report.Bad[1].Line != 3 || len(report.Bad[0].Name) > 1000 {
		t.Errorf("%d names, %d bad, %v; want %d and 2", report.Names, len(report.Bad), err, n+2)
	}
	table := b.Table()
	for _, name := range []dnsname.Name{"\x06host-0\x07example\x00", "\x0ahost-49999\x07example\x00", "\x04last\x00", "\x05after\x00"} {
		if a, _ := table.Find([]byte(name)); a.Len() != 1 {
			t.Errorf("%v has %d addresses", name, a.Len())
		}
	}
}

// TestNoHostsFile: what never ends, or is no text, takes little memory and says
// that it is wrong; names before it stay.
func TestNoHostsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "large")
	if err := os.WriteFile(path, []byte("1.2.3.4 a\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 1<<30); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var l Loader
	l.Load([]string{path, "/dev/zero", path}, nil, false)
	runtime.ReadMemStats(&after)
	for _, f := range l.Files {
		if !errors.Is(f.Err, readfile.ErrTooLarge) || len(f.Bad) != 0 { // the line that is cut is not used
			t.Errorf("%s: %v, %d bad lines; want %v and 0", f.Path, f.Err, len(f.Bad), readfile.ErrTooLarge)
		}
	}
	if l.Table.Len() != 1 {
		t.Errorf("%d names, want 1", l.Table.Len())
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > 96<<20 {
		t.Errorf("took %d octets", took)
	}
	if l.Load([]string{path, "/dev/zero", path}, nil, false) {
		t.Error("another table for the same files")
	}
}

func TestEmpty(t *testing.T) {
	var b TableBuilder
	if _, err := b.Read("F", strings.NewReader("# nothing\n"), nil); err != nil {
		t.Fatal(err)
	}
	for _, table := range []*Table{nil, b.Table(), new(TableBuilder).Table()} {
		a, known := table.Find([]byte("\x01a\x00"))
		_, _, ok := table.Reverse(netip.MustParseAddr("1.2.3.4"))
		_, _, ok6 := table.Reverse(netip.MustParseAddr("::1"))
		if a.Len() != 0 || known || ok || ok6 || table.Len() != 0 {
			t.Errorf("an empty table knows something: %+v", table)
		}
		table.Each(func([]byte, netip.Addr, bool, string) bool { t.Error("a name"); return true })
	}
}

// TestManyAddressesOfOneName: building takes time that grows with the input, not
// with its square, and equal addresses count once.
func TestManyAddressesOfOneName(t *testing.T) {
	const n = 100_000 // squared, minutes
	var text strings.Builder
	for i := range 2 * n {
		k := i % n
		fmt.Fprintf(&text, "10.%d.%d.%d same.test\n", k>>16, k>>8&255, k&255)
	}
	begin := time.Now()
	var b TableBuilder
	if _, err := b.Read("F", strings.NewReader(text.String()), nil); err != nil {
		t.Fatal(err)
	}
	table := b.Table()
	a, _ := table.Find([]byte("\x04same\x04test\x00"))
	if a.Len() != n || a.At(n-1) != netip.MustParseAddr("10.1.134.159") {
		t.Errorf("%d addresses, want %d", a.Len(), n)
	}
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("took %v", took)
	}
}

// lists are large hosts files: name their kind.
var lists = map[string]func(i int) string{
	"one address each": func(i int) string {
		return fmt.Sprintf("10.%d.%d.%d host-%06d.lan.example\n", i>>16&255, i>>8&255, i&255, i)
	},
	"block list": func(i int) string {
		return fmt.Sprintf("0.0.0.0 ads%d.x%07x.com\n", i%97, uint32(i)*2654435761>>4)
	},
	"IPv6": func(i int) string { return fmt.Sprintf("2001:db8::%x:%x host-%06d.lan.example\n", i>>16, i&0xffff, i) },
}

func build(tb testing.TB, n int, line func(int) string) *Table {
	tb.Helper()
	r, w := io.Pipe()
	go func() {
		defer w.Close()
		for i := range n {
			_, _ = io.WriteString(w, line(i))
		}
	}()
	var b TableBuilder
	if _, err := b.Read("F", r, nil); err != nil {
		tb.Fatal(err)
	}
	return b.Table()
}

// TestMemory bounds what a name of 25 letters takes on the heap; dnsmasq 2.90
// takes about 100 octets.
func TestMemory(t *testing.T) {
	const n = 100_000
	for kind, line := range lists {
		t.Run(kind, func(t *testing.T) {
			heap := func() uint64 {
				runtime.GC()
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				return m.HeapAlloc
			}
			before := heap()
			table := build(t, n, line)
			got := int(heap()-before) / n
			if table.Len() != n {
				t.Errorf("%d names, want %d", table.Len(), n)
			}
			if got > 90 {
				t.Errorf("a name takes %d octets, want at most 90", got)
			}
			if b := table.Bytes() / n; b < got*9/10 || b > got*11/10+1 {
				t.Errorf("Bytes tells %d octets a name, the heap %d", b, got)
			}
			t.Logf("%d octets a name", got)
		})
	}
}

// TestLookupAllocates nothing.
func TestLookupAllocates(t *testing.T) {
	table := build(t, 10_000, lists["one address each"])
	hit, miss := []byte("\x0bhost-000077\x03lan\x07example\x00"), []byte("\x03www\x07example\x00")
	addr := netip.MustParseAddr("10.0.1.1")
	if n := testing.AllocsPerRun(100, func() {
		a, _ := table.Find(hit)
		if a.Len() != 1 || a.At(0) != netip.MustParseAddr("10.0.0.77") || a.Source(0) != "F" {
			t.Errorf("%d addresses", a.Len())
		}
		if _, known := table.Find(miss); known {
			t.Error("found")
		}
		if _, _, ok := table.Reverse(addr); !ok {
			t.Error("no name")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestLoader(t *testing.T) {
	dir := t.TempDir()
	one, two, missing := filepath.Join(dir, "one"), filepath.Join(dir, "two"), filepath.Join(dir, "missing")
	write := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(one, "1.2.3.4 a\nbad\n")
	write(two, "1.2.3.5 a b\n")
	paths := []string{one, two, missing}
	var l Loader
	var last *Table
	load := func(changed bool, want string) {
		t.Helper()
		if got := l.Load(paths, nil, false); got != changed || (l.Table != last) != changed {
			t.Errorf("changed %v, another table %v; want %v", got, l.Table != last, changed)
		}
		last = l.Table
		var got []string
		for _, f := range l.Files {
			got = append(got, fmt.Sprint(filepath.Base(f.Path), " ", f.Names, " ", len(f.Bad), " ", errors.Is(f.Err, os.ErrNotExist)))
		}
		a, _ := l.Table.Find([]byte("\x01a\x00"))
		got = append(got, fmt.Sprint(a.Len()))
		if s := strings.Join(got, ", "); s != want {
			t.Errorf("got %s, want %s", s, want)
		}
	}
	load(true, "one 1 1 false, two 2 0 false, missing 0 0 true, 2")
	load(false, "one 1 1 false, two 2 0 false, missing 0 0 true, 2")
	write(two, "1.2.3.6 b a\n")
	load(true, "one 1 1 false, two 2 0 false, missing 0 0 true, 2")
	write(missing, "")
	load(true, "one 1 1 false, two 2 0 false, missing 0 0 false, 2")
	paths = []string{two, one} // another order
	load(true, "two 2 0 false, one 1 1 false, 2")
	if !l.Load(paths, nil, true) {
		t.Error("kept the table where a new one was asked for")
	}
	paths = []string{dir}
	if l.Load(paths, nil, false); l.Files[0].Err == nil {
		t.Error("read a directory")
	}
}

func TestReadError(t *testing.T) {
	var b TableBuilder
	fail := errors.New("fails")
	report, err := b.Read("F", io.MultiReader(strings.NewReader("1.2.3.4 a\n1.2.3.4 b"), iotest.ErrReader(fail)), nil)
	if !errors.Is(err, fail) || report.Names != 1 || b.Table().Len() != 1 {
		t.Errorf("%v, %d names", err, report.Names)
	}
}

func TestGCPercent(t *testing.T) {
	var got []int
	for _, m := range [][2]int{{10, 0}, {20, 10}, {100, 95}, {10, 20}, {0, 0}} {
		got = append(got, gcPercent(m[0]<<20, m[1]<<20))
	}
	if want := []int{100, 50, 20, 20, 20}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func BenchmarkFind(b *testing.B) {
	const n = 300_000
	table := build(b, n, lists["one address each"])
	reference := map[dnsname.Name]netip.Addr{}
	var names []dnsname.Name
	table.Each(func(name []byte, addr netip.Addr, _ bool, _ string) bool {
		reference[dnsname.Name(name)] = addr
		names = append(names, dnsname.Name(name))
		return true
	})
	for i := range names {
		j := int(uint64(i)*2654435761) % len(names)
		names[i], names[j] = names[j], names[i]
	}
	var buf [255]byte
	at := 0
	next := func(tail byte) []byte {
		at++
		name := append(buf[:0], names[at%len(names)]...)
		name[1] = tail
		return name
	}
	for what, first := range map[string]byte{"hit": 'h', "miss": 'x'} {
		b.Run(what+"/table", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if a, _ := table.Find(next(first)); (a.Len() == 1) != (first == 'h') {
					b.Fatal("wrong")
				}
			}
		})
		b.Run(what+"/map", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := reference[dnsname.Name(next(first))]; ok != (first == 'h') {
					b.Fatal("wrong")
				}
			}
		})
	}
}
