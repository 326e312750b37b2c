package conformance

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/miekg/dns"
)

// Every table reads, and a row of it tells a right reply from a wrong one.
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
