package dnsmasq

import (
	"flag"
	"fmt"
	"hash/fnv"
	"log"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/kube-dns/kube-dns/test/addon"
)

// dnsmasqPath is where Debian's package dnsmasq-base puts it.
const dnsmasqPath = "/usr/sbin/dnsmasq"

var (
	bin    string // the folder with dnscache
	update = flag.Bool("update", false, "write what the programs do into the rows")
)

func TestMain(m *testing.M) {
	flag.Parse()
	// Rows spend most of their time waiting for silence and for TTLs to expire.
	if err := flag.Set("test.parallel", "24"); err != nil {
		log.Fatal(err)
	}
	if _, err := os.Stat(dnsmasqPath); err != nil {
		log.Fatalf("the package dnsmasq-base is missing: %v", err)
	}
	bin = addon.Isolated()
	if bin != "" {
		os.Exit(m.Run())
	}
	build := func(dir string) error {
		bin = dir
		return addon.Build(dir, nil, "dnscache")
	}
	if os.Getuid() != 0 { // the tests run where they are
		dir, err := os.MkdirTemp("", "kube-dns-dnsmasq")
		if err == nil {
			err = build(dir)
		}
		if err != nil {
			log.Fatal(err)
		}
		code := m.Run()
		_ = os.RemoveAll(dir) // or it stays in the folder for temporary files
		os.Exit(code)
	}
	// dnsmasq treats what is not an address as a host name and asks the system's resolver.
	os.Exit(addon.RunIsolated(m, build, `
echo "hosts: files" >"$DIR/nsswitch.conf"
mount --bind "$DIR/nsswitch.conf" /etc/nsswitch.conf`))
}

func tables(t *testing.T) []*Table {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("tables %v, %v", paths, err)
	}
	var list []*Table
	for _, path := range paths {
		table, err := ReadTable(path)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, table)
	}
	return list
}

// retries is how often a row that failed may be run again.
const retries = 3

// TestSideBySide runs every row. On a busy machine a row may take longer than planned. Rows
// that fail while others run are therefore run again alone, and once more if tests of other
// packages disturb them.
func TestSideBySide(t *testing.T) {
	all := tables(t)
	n := 0
	var mu sync.Mutex
	var again []func(t *testing.T)
	t.Run("rows", func(t *testing.T) {
		for _, table := range all {
			for _, row := range table.Rows {
				n++
				base := loopback(n)
				name := strings.TrimSuffix(filepath.Base(table.Path), ".txt") + "/" + row.ID
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					faults := testRow(t, row, base)
					if len(faults) == 0 {
						return
					}
					t.Logf("to be run again:\n%s", strings.Join(faults, "\n"))
					mu.Lock()
					defer mu.Unlock()
					again = append(again, func(t *testing.T) {
						t.Helper()
						t.Run(name, func(t *testing.T) {
							for range retries - 1 {
								if len(testRow(t, row, base)) == 0 {
									return
								}
							}
							for _, fault := range testRow(t, row, base) {
								t.Error(fault)
							}
						})
					})
				})
			}
		}
	})
	// If very many rows fail, the machine is not the reason.
	const chances = 40
	t.Run("again", func(t *testing.T) {
		if len(again) > chances {
			t.Errorf("%d rows fail, of which %d are run again", len(again), chances)
		}
		for _, run := range again[:min(len(again), chances)] {
			run(t)
		}
	})
	if *update {
		for _, table := range all {
			if err := table.Write(); err != nil {
				t.Error(err)
			}
		}
	}
}

// loopback returns the first of a group of addresses for one row. Another run of this test at
// the same time hardly ever uses the same ones.
func loopback(n int) netip.Addr {
	h := fnv.New32a()
	fmt.Fprint(h, os.Getpid())
	return netip.AddrFrom4([4]byte{127, byte(2 + (h.Sum32()+uint32(n)/256)%250), byte(n), 0})
}

// testRow runs a row and returns how the programs deviate from it.
func testRow(t *testing.T, row *Row, base netip.Addr) []string {
	t.Helper()
	if !row.Judged && !*update {
		t.Fatal("the row says neither same nor differs")
	}
	dir := t.TempDir()
	next := base.As4()
	next[3] = 128
	sides := make([]*side, 2)
	for i, side := range []struct {
		name, path string
		base       netip.Addr
	}{
		{"dnsmasq", dnsmasqPath, base},
		{"dnscache", filepath.Join(bin, "dnscache"), netip.AddrFrom4(next)},
	} {
		own := filepath.Join(dir, side.name)
		if err := os.Mkdir(own, 0o755); err != nil {
			t.Fatal(err)
		}
		s, err := newSide(row, side.name, side.path, own, side.base)
		if err != nil {
			t.Fatal(err)
		}
		defer s.close()
		sides[i] = s
	}
	stories, errs := make([][]string, 2), make([]error, 2)
	done := make(chan struct{})
	go func() {
		defer close(done)
		stories[1], errs[1] = sides[1].tell(row)
	}()
	stories[0], errs[0] = sides[0].tell(row)
	<-done
	for i, err := range errs {
		if err != nil {
			t.Fatalf("%s: %v", sides[i].name, err)
		}
	}
	if *update {
		row.update(stories)
	}
	return row.faults(stories, sides)
}

// update stores the stories as the expected ones of the row.
func (r *Row) update(stories [][]string) {
	r.Dnsmasq, r.Ours = keep(r.Dnsmasq, stories[0]), keep(r.Ours, stories[1])
	r.agree()
	if !r.differ() {
		r.Differs = ""
	} else if r.Differs == "" {
		r.Differs = "?"
	}
}

// faults compares the actual stories with those of the row.
func (r *Row) faults(stories [][]string, sides []*side) []string {
	var faults []string
	for i, want := range [][]string{r.Dnsmasq, r.Ours} {
		if diff := diffStories(want, stories[i]); diff != "" {
			fault := fmt.Sprintf("%s %s: %s does otherwise:\n%s", r.ID, r.Title, sides[i].name, diff)
			if sides[i].proc != nil {
				fault += "\nlog:\n" + sides[i].proc.log.String()
			}
			faults = append(faults, fault)
		}
	}
	switch {
	case r.Differs == "" && r.differ():
		faults = append(faults, "the row says that the two do the same, but holds two stories")
	case r.Differs != "" && !r.differ():
		faults = append(faults, "the row says that the two differ ("+r.Differs+"), but holds one story")
	}
	return faults
}

// tell runs all steps of a row and returns a line for each step that has a result.
func (s *side) tell(row *Row) ([]string, error) {
	var story []string
	for _, step := range row.Steps {
		line, err := s.step(step, len(story))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", step, err)
		}
		if line != "" {
			story = append(story, line)
		}
	}
	return story, nil
}

// keep returns the new story, in which lines of the old one that still fit replace the new
// ones.
func keep(old, story []string) []string {
	for i := range min(len(old), len(story)) {
		if fits(old[i], story[i]) {
			story[i] = old[i]
		}
	}
	return story
}

// differ reports whether the two stories of the row differ.
func (r *Row) differ() bool { return !slices.Equal(r.Dnsmasq, r.Ours) }

func diffStories(want, got []string) string {
	var out []string
	for i := range max(len(want), len(got)) {
		var w, g string
		if i < len(want) {
			w = want[i]
		}
		if i < len(got) {
			g = got[i]
		}
		if !fits(w, g) {
			out = append(out, fmt.Sprintf("line %d: want %s\n         got %s", i+1, w, g))
		}
	}
	return strings.Join(out, "\n")
}

// observations counts the numbered rows of docs/reference/dnsmasq.md §12.
func observations(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(addon.Root(), "docs", "reference", "dnsmasq.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n## 12. ")
	section, _, ended := strings.Cut(section, "\n## 13. ")
	if !found || !ended {
		t.Fatal("the reference has no sections 12 and 13")
	}
	last := 0
	for line := range strings.Lines(section) {
		number, _, _ := strings.Cut(strings.TrimPrefix(line, "| "), " ")
		n, err := strconv.Atoi(number)
		if err != nil {
			continue // not a row of the table
		}
		if n != last+1 {
			t.Errorf("row %d follows row %d", n, last)
		}
		last = n
	}
	if last == 0 {
		t.Fatal("the reference has no rows")
	}
	return last
}

// TestEveryObservationHasARow: each numbered row of the reference has a row in
// testdata, or a reason why not.
func TestEveryObservationHasARow(t *testing.T) {
	last, rows, leftOut, ids := observations(t), map[int]bool{}, map[int]bool{}, map[string]bool{}
	for _, table := range tables(t) {
		for _, row := range table.Rows {
			if ids[row.ID] {
				t.Errorf("row %s is there twice", row.ID)
			}
			ids[row.ID] = true
			if n, err := strconv.Atoi(strings.TrimRight(row.ID, "abcdefghijklmnopqrstuvwxyz")); err == nil {
				rows[n] = true
			}
		}
		for text := range table.LeftOut {
			n, err := strconv.Atoi(text)
			if err != nil {
				t.Fatal(err)
			}
			leftOut[n] = true
		}
	}
	for n := 1; n <= last; n++ {
		if rows[n] == leftOut[n] {
			t.Errorf("observation %d: has a row: %v, is left out: %v", n, rows[n], leftOut[n])
		}
	}
}

// TestDifferencesAreDocumented checks that docs/differences.md lists exactly the rows that
// differ.
func TestDifferencesAreDocumented(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(addon.Root(), "docs", "differences.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(text), "\n## From dnsmasq\n")
	if !ok {
		t.Fatal("docs/differences.md has no section From dnsmasq")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	_, section, _ = strings.Cut(section, "\n|---|---|---|---|\n")
	documented := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)\| ([^|]+) \|$`).FindAllStringSubmatch(section, -1) {
		for id := range strings.SplitSeq(m[1], ", ") {
			documented[id] = true
		}
	}
	for _, table := range tables(t) {
		for _, row := range table.Rows {
			switch {
			case row.Differs != "" && !documented[row.ID]:
				t.Errorf("row %s differs (%s) and is not in docs/differences.md", row.ID, row.Differs)
			case row.Differs == "" && documented[row.ID]:
				t.Errorf("docs/differences.md names row %s, which does not differ", row.ID)
			}
			delete(documented, row.ID)
		}
	}
	if len(documented) > 0 {
		t.Errorf("docs/differences.md names rows that are not there: %v", slices.Sorted(maps.Keys(documented)))
	}
}

// A line fits another one only within the documented tolerance.
func TestFits(t *testing.T) {
	for _, tt := range []struct {
		name, want, got string
		fits            bool
	}{
		{"equal", "NOERROR rd ra | a.ex. 10 A 192.0.2.1 | up 1", "NOERROR rd ra | a.ex. 10 A 192.0.2.1 | up 1", true},
		{"fresh and younger", "NOERROR rd ra | a.ex. 10 A 192.0.2.1 | up 1", "NOERROR rd ra | a.ex. 9 A 192.0.2.1 | up 1", false},
		{"cached and older", "NOERROR rd ra | a.ex. 9 A 192.0.2.1 | up 0", "NOERROR rd ra | a.ex. 8 A 192.0.2.1 | up 0", true},
		{"cached and younger", "NOERROR rd ra | a.ex. 9 A 192.0.2.1 | up 0", "NOERROR rd ra | a.ex. 10 A 192.0.2.1 | up 0", false},
		{"cached and much older", "NOERROR rd ra | a.ex. 9 A 192.0.2.1 | up 0", "NOERROR rd ra | a.ex. 5 A 192.0.2.1 | up 0", false},
		{"another address", "NOERROR rd ra | a.ex. 9 A 192.0.2.1 | up 0", "NOERROR rd ra | a.ex. 9 A 192.0.2.2 | up 0", false},
		{"no TTL left", "NOERROR rd ra | a.ex. 2 A 192.0.2.1 | up 0", "NOERROR rd ra | a.ex. 0 A 192.0.2.1 | up 0", false},
		{"an SOA", "NOERROR rd ra | ns: ex. 14 SOA a. b. 1 2 3 4 15 | up 0", "NOERROR rd ra | ns: ex. 13 SOA a. b. 1 2 3 4 15 | up 0", true},
	} {
		if got := fits(tt.want, tt.got); got != tt.fits {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

// A row cannot become outdated: what it says must hold for each program, and so must the
// claim whether they differ.
func TestFaults(t *testing.T) {
	const a, b = "NOERROR rd ra | up 1", "SERVFAIL rd ra | up 1"
	for _, tt := range []struct {
		name, text    string
		dnsmasq, ours []string
		faults        int
	}{
		{"same and so", "== 1 x\nask x. A\nsame\n  " + a, []string{a}, []string{a}, 0},
		{"same, ours changed", "== 1 x\nask x. A\nsame\n  " + a, []string{a}, []string{b}, 1},
		{"same, both changed", "== 1 x\nask x. A\nsame\n  " + a, []string{b}, []string{b}, 2},
		{"same with two stories", "== 1 x\nask x. A\nsame\n- " + a + "\n+ " + b, []string{a}, []string{b}, 1},
		{"differs and so", "== 1 x\nask x. A\ndiffers: y\n- " + a + "\n+ " + b, []string{a}, []string{b}, 0},
		{"differs, dnsmasq caught up", "== 1 x\nask x. A\ndiffers: y\n- " + a + "\n+ " + b, []string{b}, []string{b}, 1},
		{"differs with one story", "== 1 x\nask x. A\ndiffers: y\n  " + a, []string{a}, []string{a}, 1},
		{"a step too many", "== 1 x\nask x. A\nsame\n  " + a, []string{a, a}, []string{a}, 1},
	} {
		path := filepath.Join(t.TempDir(), "table.txt")
		if err := os.WriteFile(path, []byte(tt.text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		table, err := ReadTable(path)
		if err != nil {
			t.Fatal(err)
		}
		faults := table.Rows[0].faults([][]string{tt.dnsmasq, tt.ours}, []*side{{name: "dnsmasq"}, {name: "dnscache"}})
		if len(faults) != tt.faults {
			t.Errorf("%s: %d faults, want %d: %q", tt.name, len(faults), tt.faults, faults)
		}
	}
}
