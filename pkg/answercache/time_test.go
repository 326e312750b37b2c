package answercache

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/wire"
)

// step is one step of a sequence: the action do at that second, with the expected result and
// the lines of the answer.
type step struct {
	at   float64
	do   string // "store LINE; LINE", "fail", "ask", "ask stale", "clear"
	want LookupResult
	zone string
}

// Sequences of actions about one name, www.example. A.
func TestOverTime(t *testing.T) {
	const (
		put = "store www.example. 10 IN A 1.2.3.4"
		neg = "store nxdomain; ns example. 60 IN SOA n. h. 1 2 3 4 15"
	)
	got := func(ttl string) string { return "www.example. " + ttl + " A 1.2.3.4" }
	tests := []struct {
		name  string
		cfg   Config
		steps []step
	}{
		{"TTL counts down and ends", Config{}, []step{
			{0, "ask", Miss, ""},
			{0, put, 0, ""},
			{0, "ask", Hit, got("10")},
			{0.999, "ask", Hit, got("10")},
			{1, "ask", Hit, got("9")},
			{9.999, "ask", Hit, got("1")},
			{10, "ask", Miss, ""},
		}},
		{"a clock that runs backwards", Config{}, []step{
			{0, put, 0, ""},
			{-100, "ask", Hit, got("10")},
		}},
		{"storing again begins anew", Config{}, []step{
			{0, put, 0, ""},
			{5, put, 0, ""},
			{12, "ask", Hit, got("3")},
		}},
		{"negative: the SOA's TTL is the negative TTL", Config{}, []step{
			{0, neg, 0, ""},
			{0, "ask", Hit, "nxdomain; ns example. 15 SOA n. h. 1 2 3 4 15"},
			{14, "ask", Hit, "nxdomain; ns example. 1 SOA n. h. 1 2 3 4 15"},
			{15, "ask", Miss, ""},
		}},
		{"max-ttl keeps the true TTL", Config{MaxTTL: 4}, []step{
			{0, put, 0, ""},
			{5, "ask", Hit, got("4")},
			{7, "ask", Hit, got("3")},
		}},
		{"stale as dnsmasq", Config{StaleFor: 100}, []step{
			{0, put, 0, ""},
			{10, "ask stale", Stale, got("0")},
			{109.9, "ask stale", Stale, got("0")},
			{110, "ask stale", Miss, ""},
			{110, "ask stale", Miss, ""},
		}},
		{"stale for ever", Config{StaleFor: Forever}, []step{
			{0, put, 0, ""},
			{1e9, "ask stale", Stale, got("0")},
		}},
		{"stale as RFC 8767: first ask upstream", Config{StaleFor: 100, StaleTTL: 30}, []step{
			{0, put, 0, ""},
			{11, "ask", Expired, ""},
			{12.8, "ask stale", Stale, got("30")},
			{13, put, 0, ""},
			{13, "ask stale", Hit, got("10")},
		}},
		{"max-ttl holds for stale answers", Config{StaleFor: 100, StaleTTL: 30, MaxTTL: 5}, []step{
			{0, put, 0, ""},
			{11, "ask stale", Stale, got("5")},
		}},
		{"stale: TTL 0 is kept", Config{StaleFor: 100}, []step{
			{0, strings.Replace(put, "10", "0", 1), 0, ""},
			{0, "ask", Expired, ""},
			{0, "ask stale", Stale, got("0")},
		}},
		{"failure recheck timer", Config{StaleFor: 100, StaleTTL: 30, FailureTTL: 5}, []step{
			{0, put, 0, ""},
			{11, "ask", Expired, ""},
			{12, "fail", 0, ""},
			{16, "ask", Stale, got("30")},
			{17, "ask", Expired, ""},
		}},
		{"failure recheck timer of its own", Config{StaleFor: 100, StaleTTL: 30, FailureTTL: 1, StaleRecheck: 5}, []step{
			{0, put, 0, ""},
			{11, "fail", 0, ""},
			{15.9, "ask", Stale, got("30")},
			{16, "ask", Expired, ""},
			{16, "fail", 0, ""},
			{17, put, 0, ""},
			{18, "ask", Hit, got("9")},
			{27, "ask", Expired, ""},
		}},
		{"failure recheck timer without failures", Config{StaleFor: 100, StaleRecheck: 5}, []step{
			{0, put, 0, ""},
			{11, "fail", 0, ""},
			{12, "ask", Expired, ""},
		}},
		{"failures are remembered briefly", Config{FailureTTL: 5}, []step{
			{0, "fail", 0, ""},
			{4.9, "ask", Failed, "servfail"},
			{5, "ask", Miss, ""},
		}},
		{"a failure has no stale life", Config{FailureTTL: 5, StaleFor: 100}, []step{
			{0, "fail", 0, ""},
			{6, "ask stale", Miss, ""},
		}},
		{"failures have a limit", Config{FailureTTL: 4000}, []step{
			{0, "fail", 0, ""},
			{299, "ask", Failed, "servfail"},
			{300, "ask", Miss, ""},
		}},
		{"a failure does not replace a valid answer", Config{FailureTTL: 5}, []step{
			{0, put, 0, ""},
			{1, "fail", 0, ""},
			{2, "ask", Hit, got("8")},
			{10, "ask", Miss, ""},
		}},
		{"a failure replaces an answer past use", Config{FailureTTL: 5}, []step{
			{0, put, 0, ""},
			{11, "fail", 0, ""},
			{12, "ask", Failed, "servfail"},
		}},
		{"an answer replaces a failure", Config{FailureTTL: 5}, []step{
			{0, "fail", 0, ""},
			{1, put, 0, ""},
			{2, "ask", Hit, got("9")},
		}},
		{"failures in a row are remembered longer", Config{FailureTTL: 5}, []step{
			{0, "fail", 0, ""},
			{1, "fail", 0, ""}, // belongs to the same attempt
			{4.9, "ask", Failed, "servfail"},
			{5, "ask", Miss, ""},
			{6, "fail", 0, ""},
			{15.9, "ask", Failed, "servfail"},
			{16, "ask", Miss, ""},
			{25.9, "fail", 0, ""}, // 20 s
			{45.8, "ask", Failed, "servfail"},
			{56, "fail", 0, ""},
			{97, "fail", 0, ""},
			{178, "fail", 0, ""},
			{340, "fail", 0, ""}, // 300 s, the limit
			{639.9, "ask", Failed, "servfail"},
			{640, "ask", Miss, ""},
			{641, "fail", 0, ""},
			{940.9, "ask", Failed, "servfail"},
			{941, "ask", Miss, ""},
			{1242, "fail", 0, ""}, // after a long time without a question
			{1247, "ask", Miss, ""},
		}},
		{"failures in a row have the limit that is set", Config{FailureTTL: 5, FailureMaxTTL: 8}, []step{
			{0, "fail", 0, ""},
			{6, "fail", 0, ""},
			{13.9, "ask", Failed, "servfail"},
			{14, "ask", Miss, ""},
		}},
		{"an answer ends the row of failures", Config{FailureTTL: 5}, []step{
			{0, "fail", 0, ""},
			{6, "fail", 0, ""},
			{17, put, 0, ""},
			{27, "fail", 0, ""},
			{32, "ask", Miss, ""},
		}},
		{"an answer that is not kept ends the row of failures", Config{FailureTTL: 5}, []step{
			{0, "fail", 0, ""},
			{6, "fail", 0, ""},
			{17, "store nxdomain", 0, ""},
			{18, "fail", 0, ""},
			{23, "ask", Miss, ""},
		}},
		{"a failure that is over hides no expired answer", Config{FailureTTL: 5, StaleFor: 100}, []step{
			{0, "fail", 0, ""},
			{6, neg, 0, ""},
			{22, "ask", Expired, ""},
			{22, "ask stale", Stale, "nxdomain; ns example. 0 SOA n. h. 1 2 3 4 15"},
		}},
		{"negative answers have a limit", Config{}, []step{
			{0, "store nxdomain; ns example. 200000 IN SOA n. h. 1 2 3 4 86400", 0, ""},
			{0, "ask", Hit, "nxdomain; ns example. 10800 SOA n. h. 1 2 3 4 86400"},
			{10799, "ask", Hit, "nxdomain; ns example. 1 SOA n. h. 1 2 3 4 86400"},
			{10800, "ask", Miss, ""},
		}},
		{"answers have a limit, their TTLs have not", Config{}, []step{
			{0, "store www.example. 2000000 IN A 1.2.3.4", 0, ""},
			{604799, "ask", Hit, got("1395201")},
			{604800, "ask", Miss, ""},
		}},
		{"max-cache-ttl is the limit", Config{MaxCacheTTL: 700000}, []step{
			{0, "store www.example. 2000000 IN A 1.2.3.4", 0, ""},
			{699999, "ask", Hit, got("1")},
			{700000, "ask", Miss, ""},
		}},
		{"failures are off", Config{}, []step{
			{0, "fail", 0, ""},
			{0, "ask", Miss, ""},
		}},
		{"clear", Config{StaleFor: 100}, []step{
			{0, put, 0, ""},
			{1, "clear", 0, ""},
			{1, "ask stale", Miss, ""},
			{2, put, 0, ""},
			{2, "ask", Hit, got("10")},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := tt.cfg
			cfg.Entries = 10
			c := New(cfg)
			q := ask(t, "www.example.", a)
			for i, s := range tt.steps {
				records, isStore := strings.CutPrefix(s.do, "store ")
				switch {
				case isStore:
					store(t, c, at(s.at), q, strings.Split(records, "; ")...)
				case s.do == "fail":
					c.StoreFailure(q, wire.RcodeServFail, c.Epoch(), at(s.at))
				case s.do == "clear":
					c.Clear()
				default:
					m, result := lookup(t, c, at(s.at), q, s.do == "ask stale")
					if diff := cmp.Diff(s.zone, strings.Join(zone(m), "; ")); diff != "" || result != s.want {
						t.Errorf("step %d at %vs: result %d, want %d (-want +got):\n%s", i, s.at, result, s.want, diff)
					}
				}
			}
		})
	}
}

// An answer that is not stored still replaces an expired one (RFC 8767 §4), so that removed
// records do not come back.
func TestUnkeptAnswersReplaceExpiredOnes(t *testing.T) {
	for name, answer := range map[string][]string{
		"NXDOMAIN without SOA":  {"nxdomain"},
		"NODATA without SOA":    {"ns example. 60 IN NS ns.example."},
		"NODATA of another SOA": {"ns other. 60 IN SOA n. h. 1 2 3 4 15"},
		"truncated":             {"tc", "www.example. 10 IN A 1.2.3.5"},
		"a loop":                {"www.example. 10 IN CNAME www.example."},
		"aliases that differ":   {"www.example. 10 IN CNAME a.", "www.example. 10 IN CNAME b."},
		"records of NXDOMAIN":   {"nxdomain", "www.example. 10 IN A 1.2.3.5"},
	} {
		for old, text := range map[string][]string{
			"answer":   {"www.example. 10 IN A 1.2.3.4"},
			"NODATA":   {"ns example. 60 IN SOA n. h. 1 2 3 4 10"},
			"NXDOMAIN": {"nxdomain", "ns example. 60 IN SOA n. h. 1 2 3 4 10"},
		} {
			c := New(Config{Entries: 10, StaleFor: Forever, FailureTTL: 5})
			q := ask(t, "www.example.", a)
			if !store(t, c, at(0), q, text...) {
				t.Fatal("the old answer was not stored")
			}
			for _, failure := range [][]string{{"servfail"}, {"refused"}} { // they do not say anything about the name
				store(t, c, at(20), q, failure...)
				if _, result := lookup(t, c, at(20), q, true); result != Stale {
					t.Fatalf("%s ended the %s", failure, old)
				}
			}
			if store(t, c, at(20), q, answer...) {
				t.Errorf("%s was stored", name)
			}
			if m, result := lookup(t, c, at(20), q, true); result != Miss {
				t.Errorf("after %s the old %s is still given:\n%v", name, old, m)
			}
			checkShards(t, c)
		}
	}
	// Without stale answers, an answer with TTL 0 also ends the previous one.
	c := New(Config{Entries: 10})
	q := ask(t, "www.example.", a)
	store(t, c, at(0), q, "www.example. 10 IN A 1.2.3.4")
	store(t, c, at(1), q, "www.example. 0 IN A 1.2.3.5")
	if m, result := lookup(t, c, at(1), q, false); result != Miss {
		t.Errorf("the old answer is still given:\n%v", m)
	}
	// Forget is for callers that decide not to store an answer.
	store(t, c, at(0), q, "www.example. 10 IN A 1.2.3.4")
	c.Forget(q, Epoch{})
	if _, result := lookup(t, c, at(1), q, false); result != Hit {
		t.Error("Forget of another epoch removed an entry")
	}
	c.Forget(q, c.Epoch())
	if _, result := lookup(t, c, at(1), q, false); result != Miss {
		t.Error("Forget left the entry")
	}
}

// While an answer is valid, its TTLs never rise and are never negative.
func TestTTLNeverRises(t *testing.T) {
	c := New(Config{Entries: 10, RoundRobin: true})
	q := ask(t, "a.", a)
	store(t, c, at(0), q, "a. 300 IN CNAME b.", "b. 20 IN A 1.1.1.1", "b. 20 IN A 2.2.2.2")
	last := map[string]uint32{}
	for s := 0.0; s < 25; s += 0.25 {
		m, result := lookup(t, c, at(s), q, false)
		if (result == Hit) != (s < 20) {
			t.Fatalf("at %vs: result %d", s, result)
		}
		if m == nil {
			continue
		}
		for _, rr := range m.Answer {
			h := rr.Header()
			h.Ttl, last[rr.String()[:1]] = last[rr.String()[:1]], h.Ttl
			if h.Ttl != 0 && last[rr.String()[:1]] > h.Ttl {
				t.Fatalf("at %vs: TTL rose from %d to %d", s, h.Ttl, last[rr.String()[:1]])
			}
		}
	}
}

func TestLifetimeRules(t *testing.T) {
	for _, tt := range []struct{ ttl, least, most, want uint32 }{
		{60, 0, 0, 60}, {60, 0, 20, 20}, {60, 100, 0, 100}, {60, 100, 20, 100}, {0, 0, 20, 0},
	} {
		if got := storedTTL(tt.ttl, &Config{MinTTL: tt.least, MaxCacheTTL: tt.most}); got != tt.want {
			t.Errorf("storedTTL(%d) between %d and %d = %d, want %d", tt.ttl, tt.least, tt.most, got, tt.want)
		}
	}
}

func TestEach(t *testing.T) {
	c := New(Config{Entries: 10, FailureTTL: 5})
	store(t, c, at(0), ask(t, "WWW.example.", a, "do"), "www.example. 10 IN A 1.2.3.4")
	store(t, c, at(1), ask(t, "no.example.", a, "cd"), "nxdomain", "ns example. 60 IN SOA n. h. 1 2 3 4 15")
	c.StoreFailure(ask(t, "bad.example.", aaaa), wire.RcodeServFail, c.Epoch(), at(2))
	got := map[string]Item{}
	c.Each(func(i Item) bool {
		name, _, err := dns.UnpackDomainName(i.Name, 0)
		if err != nil {
			t.Fatal(err)
		}
		m := new(dns.Msg)
		if err := m.Unpack(i.AppendMessage(nil)); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if m.Rcode != i.Rcode || len(m.Answer) != i.Answers || m.Question[0].Name != name || m.Question[0].Qtype != i.Type {
			t.Errorf("%s has the message\n%v", name, m)
		}
		i.Name, i.entry = nil, nil
		got[name] = i
		return true
	})
	want := map[string]Item{
		"www.example.": {Type: a, Class: 1, DO: true, Answers: 1, Stored: at(0), Expires: at(10)},
		"no.example.":  {Type: a, Class: 1, CD: true, Rcode: 3, Stored: at(1), Expires: at(16), Absent: true},
		"bad.example.": {Type: aaaa, Class: 1, Rcode: 2, Stored: at(2), Expires: at(7), Failure: true},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(Item{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if b := new(Item).AppendMessage([]byte("kept")); string(b) != "kept" {
		t.Errorf("an Item of no cache has the message %q", b)
	}
	n := 0
	c.Each(func(Item) bool { n++; c.Clear(); return false })
	if n != 1 {
		t.Errorf("Each went on after false: %d calls", n)
	}
}

// A nil cache, and a cache without entries, store nothing.
func TestDisabled(t *testing.T) {
	for name, c := range map[string]*Cache{"nil": nil, "no entries": New(Config{FailureTTL: 5}), "negative": New(Config{Entries: -1})} {
		q := ask(t, "x.", a)
		if store(t, c, at(0), q, "x. 10 IN A 1.2.3.4") || c.StoreFailure(q, 2, c.Epoch(), at(0)) {
			t.Errorf("%s: stored", name)
		}
		if _, result := lookup(t, c, at(0), q, true); result != Miss {
			t.Errorf("%s: result %d", name, result)
		}
		c.Clear()
		c.Each(func(Item) bool { t.Errorf("%s: an item", name); return true })
		if s := c.Stats(); s.Entries != 0 || s.Insertions != 0 {
			t.Errorf("%s: %+v", name, s)
		}
	}
}
