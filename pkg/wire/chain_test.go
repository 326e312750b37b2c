package wire

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

// arranged returns the records of a reply, its lines in the answer section, as
// Arrange orders them.
func arranged(tb testing.TB, m *dns.Msg) []string {
	tb.Helper()
	r := parse(tb, pack(tb, m))
	out := Arrange([]byte("kept"), r)
	if string(out[:4]) != "kept" {
		tb.Fatal("Arrange changed what stood before")
	}
	if out = out[4:]; len(out) == 0 {
		return lines(m)
	}
	if a := parse(tb, out); a.ID != r.ID || a.Flags != r.Flags || !a.Answers(&Query{Name: r.Name, Type: r.Type, Class: r.Class}) || string(a.Name) != string(r.Name) {
		tb.Fatalf("Arrange changed the header or the question: %x", out)
	}
	got := unpack(tb, out)
	if slices.Equal(lines(got), lines(m)) {
		tb.Error("Arrange made the same message once more")
	}
	return lines(got)
}

// Whatever the order in which an upstream server sends the records, clients get
// each alias before what it leads to, and signatures after what they sign.
func TestArrange(t *testing.T) {
	const (
		d, ds  = "d. 1 IN DNAME e.", "d. 1 IN RRSIG DNAME 8 1 1 20300101000000 20200101000000 1 d. AQPS"
		c1     = "a.d. 1 IN CNAME a.e."
		c2     = "a.E. 1 IN CNAME b."
		s2     = "a.e. 1 IN RRSIG CNAME 8 1 1 20300101000000 20200101000000 1 e. AQPS"
		a1, a2 = "B. 1 IN A 1.1.1.1", "b. 1 IN A 1.1.1.2"
		s3     = "b. 1 IN RRSIG A 8 1 1 20300101000000 20200101000000 1 b. AQPS"
		other  = "x. 1 IN A 6.6.6.6"
		glue   = "ar n. 1 IN A 1.2.3.4"
	)
	want := []string{d, ds, c1, c2, s2, a1, a2, s3, other, glue}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		mixed := slices.Clone(want)
		rng.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
		if slices.Index(mixed, a1) > slices.Index(mixed, a2) { // their own order stays
			i, j := slices.Index(mixed, a1), slices.Index(mixed, a2)
			mixed[j], mixed[i] = a1, a2
		}
		if diff := cmp.Diff(lines(reply(t, "a.d.", dns.TypeA, want...)), arranged(t, reply(t, "a.d.", dns.TypeA, mixed...))); diff != "" {
			t.Fatalf("from %q (-want +got):\n%s", mixed, diff)
		}
	}
	for name, tt := range map[string]struct {
		typ       uint16
		got, want string
	}{
		"two links":               {dns.TypeA, "c. 1 IN A 1.1.1.1; b. 1 IN CNAME c.; a. 1 IN CNAME b.", "a. 1 IN CNAME b.; b. 1 IN CNAME c.; c. 1 IN A 1.1.1.1"},
		"an equal alias":          {dns.TypeA, "b. 1 IN A 1.1.1.1; a. 1 IN CNAME b.; a. 1 IN CNAME b.", "a. 1 IN CNAME b.; a. 1 IN CNAME b.; b. 1 IN A 1.1.1.1"},
		"a question for an alias": {dns.TypeCNAME, "a.d. 1 IN CNAME a.e.; d. 1 IN DNAME e.", "d. 1 IN DNAME e.; a.d. 1 IN CNAME a.e."},
		"a loop":                  {dns.TypeA, "b. 1 IN CNAME a.; a. 1 IN CNAME b.", "a. 1 IN CNAME b.; b. 1 IN CNAME a."},
		"a loop of one":           {dns.TypeA, "x. 1 IN A 1.1.1.1; a. 1 IN CNAME a.", "a. 1 IN CNAME a.; x. 1 IN A 1.1.1.1"},
		"SRV":                     {dns.TypeSRV, "b. 1 IN SRV 1 2 3 c.; a. 1 IN CNAME b.", "a. 1 IN CNAME b.; b. 1 IN SRV 1 2 3 c."},
		"ANY":                     {dns.TypeANY, "x. 1 IN A 6.6.6.6; a. 1 IN CNAME b.", "a. 1 IN CNAME b.; x. 1 IN A 6.6.6.6"},
		"aliases that differ":     {dns.TypeA, "b. 1 IN A 1.1.1.1; a. 1 IN CNAME b.; a. 1 IN CNAME c.", "a. 1 IN CNAME b.; b. 1 IN A 1.1.1.1; a. 1 IN CNAME c."},
		"a signature between":     {dns.TypeA, a1 + "; " + s3 + "; " + a2, a1 + "; " + a2 + "; " + s3},
		"nothing that answers":    {dns.TypeA, "x. 1 IN A 6.6.6.6; y. 1 IN A 6.6.6.6", "x. 1 IN A 6.6.6.6; y. 1 IN A 6.6.6.6"},
		"in order, with a DNAME":  {dns.TypeA, d + "; " + c1 + "; a.e. 1 IN A 1.1.1.1", d + "; " + c1 + "; a.e. 1 IN A 1.1.1.1"},
	} {
		owner := strings.Fields(tt.want)[0]
		switch owner {
		case "d.":
			owner = "a.d."
		case "x.":
			owner = "a."
		}
		want, got := strings.Split(tt.want, "; "), strings.Split(tt.got, "; ")
		if diff := cmp.Diff(lines(reply(t, owner, tt.typ, want...)), arranged(t, reply(t, owner, tt.typ, got...))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// walk reads an answer as glibc does: once, from its beginning.
func walk(m *dns.Msg) (found []string) {
	name := m.Question[0].Name
	for _, rr := range m.Answer {
		if !strings.EqualFold(rr.Header().Name, name) {
			continue
		}
		switch rr := rr.(type) {
		case *dns.CNAME:
			name = rr.Target
		case *dns.A:
			found = append(found, rr.A.String())
		}
	}
	return found
}

// search finds the addresses in any order.
func search(m *dns.Msg) (found []string) {
	name := m.Question[0].Name
	for range MaxLinks + 1 {
		next := ""
		for _, rr := range m.Answer {
			if strings.EqualFold(rr.Header().Name, name) {
				switch rr := rr.(type) {
				case *dns.A:
					found = append(found, rr.A.String())
				case *dns.CNAME:
					next = rr.Target
				}
			}
		}
		if len(found) > 0 || next == "" {
			return found
		}
		name = next
	}
	return found
}

// Random answers: no record is lost, and a client that reads once finds what is
// there.
func TestArrangeAgreesWithSearch(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	moved := 0
	for range 20000 {
		names := []string{"a.", "b.", "C.", "d.", "a.e.", "e."}
		var records []string
		for i, from := range names {
			switch rng.IntN(4) {
			case 0:
				records = append(records, fmt.Sprintf("%s 1 IN A 1.1.1.%d", from, i), fmt.Sprintf("%s 1 IN A 1.1.2.%d", from, i))
			case 1, 2:
				records = append(records, fmt.Sprintf("%s 1 IN CNAME %s", from, names[rng.IntN(len(names))]))
			}
		}
		rng.Shuffle(len(records), func(i, j int) { records[i], records[j] = records[j], records[i] })
		m := reply(t, "a.", dns.TypeA, records...)
		r := parse(t, pack(t, m))
		got := m
		if out := Arrange(nil, r); len(out) > 0 {
			got = unpack(t, out)
			moved++
		}
		before, after := lines(m), lines(got)
		slices.Sort(before)
		slices.Sort(after)
		if diff := cmp.Diff(before, after); diff != "" {
			t.Fatalf("records (-sent +arranged):\n%s", diff)
		}
		if diff := cmp.Diff(search(m), walk(got)); diff != "" {
			t.Fatalf("addresses (-there +read in order):\n%s\n%v\n%v", diff, m, got)
		}
	}
	if moved < 500 {
		t.Errorf("only %d answers were out of order", moved)
	}
}

// Chains of up to 64 aliases are put in order too, except in replies with so many records
// that following them would take long.
func TestArrangeLongChains(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for _, links := range []int{2, MaxLinks, MaxLinks + 1, 30, longLinks} {
		var want []string
		for i := range links {
			want = append(want, fmt.Sprintf("n%d. 1 IN CNAME n%d.", i, i+1))
		}
		want = append(want, fmt.Sprintf("n%d. 1 IN A 1.1.1.1", links))
		mixed := slices.Clone(want)
		for slices.Equal(mixed, want) {
			rng.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
		}
		if diff := cmp.Diff(lines(reply(t, "n0.", dns.TypeA, want...)), arranged(t, reply(t, "n0.", dns.TypeA, mixed...))); diff != "" {
			t.Errorf("%d links (-want +got):\n%s", links, diff)
		}
	}
}
