package conformance

import (
	"cmp"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// Every table can be read, and its rows tell right replies from wrong ones.
func TestTablesRead(t *testing.T) {
	tables, err := filepath.Glob("testdata/*/rows.md")
	if err != nil || len(tables) == 0 {
		t.Fatalf("tables %v, %v", tables, err)
	}
	for _, name := range tables {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseRows(string(text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestNoRowIsForgotten: each row with which the old programs were measured is in its table,
// or is listed as left out with a reason.
func TestNoRowIsForgotten(t *testing.T) {
	id := regexp.MustCompile(`^\| *([Tab]?)([0-9]+)[a-z]* *\|`)
	left := regexp.MustCompile(`^\| *([Tab]?)([0-9]+)(?:-[Tab]?([0-9]+))? *\|[^|]+\|[^|]+\|$`)
	for _, tt := range []struct {
		table, prefix string
		last          int
	}{{"spec", "", 19}, {"kubedns", "", 105}, {"coredns", "", 228}, {"coredns", "T", 37}, {"clusterset", "a", 40}, {"autopath", "b", 48}} {
		text, err := os.ReadFile(filepath.Join("testdata", tt.table, "rows.md"))
		if err != nil {
			t.Fatal(err)
		}
		there := map[int]bool{}
		number := func(text string) int {
			n, err := strconv.Atoi(text)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		for line := range strings.Lines(string(text)) {
			line = strings.TrimSpace(line)
			if m := left.FindStringSubmatch(line); m != nil && m[1] == tt.prefix {
				first := number(m[2])
				for n := first; n <= number(cmp.Or(m[3], m[2])); n++ {
					there[n] = true
				}
			} else if m := id.FindStringSubmatch(line); m != nil && m[1] == tt.prefix {
				there[number(m[2])] = true
			}
		}
		for n := range tt.last {
			if !there[n+1] {
				t.Errorf("%s: row %s%d is neither asked nor left out", tt.table, tt.prefix, n+1)
			}
		}
	}
}

func TestDiff(t *testing.T) {
	rows, err := ParseRows("| 1 | a.default.S | A | NOERROR | @ A 10.0.0.1; @ A 10.0.0.2 | | |")
	if err != nil {
		t.Fatal(err)
	}
	reply := func(rrs ...string) *dns.Msg {
		m := new(dns.Msg)
		for _, text := range rrs {
			rr, err := dns.NewRR(text)
			if err != nil {
				t.Fatal(err)
			}
			m.Answer = append(m.Answer, rr)
		}
		return m
	}
	const one, two = "a.default.svc.cluster.local. 30 IN A 10.0.0.1", "a.default.svc.cluster.local. 30 IN A 10.0.0.2"
	tests := []struct {
		name   string
		m      *dns.Msg
		cached bool
		same   bool
	}{
		{"both, in another order", reply(two, one), false, true},
		{"one missing", reply(one), false, false},
		{"one twice", reply(one, one), false, false},
		{"one more", reply(one, two, "a.default.svc.cluster.local. 30 IN A 10.0.0.3"), false, false},
		{"lower TTL", reply(one, "a.default.svc.cluster.local. 29 IN A 10.0.0.2"), false, false},
		{"lower TTL from a cache", reply(one, "a.default.svc.cluster.local. 29 IN A 10.0.0.2"), true, true},
		{"higher TTL from a cache", reply(one, "a.default.svc.cluster.local. 31 IN A 10.0.0.2"), true, false},
	}
	for _, tt := range tests {
		if diff := rows[0].Diff(tt.m, tt.cached); (diff == "") != tt.same {
			t.Errorf("%s: %q", tt.name, diff)
		}
	}
}
