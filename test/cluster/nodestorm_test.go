//go:build cluster

package cluster

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// stormed is what the client's storm command reports about one server.
type stormed struct {
	Asked, Lost, Failed int
	First, Last         int64
	Why                 map[string]int
}

// totals is one line of output of the client's storm command.
type totals struct {
	At, Oldest int64
	Servers    map[string]stormed
}

// storm is a pod that sends a query every millisecond, to servers in turn.
type storm struct {
	name    string
	servers []string
}

func startStorm(tb testing.TB, servers ...string) *storm {
	tb.Helper()
	s := &storm{name: fmt.Sprintf("storm-%d", time.Now().UnixMilli()), servers: servers}
	pod(tb, s.name, "", "storm", "1ms", strings.Join(servers, ","))
	s.settled(tb)
	return s
}

// totals returns the last line.
func (s *storm) totals(tb testing.TB) totals {
	tb.Helper()
	out, err := get("/api/v1/namespaces/" + namespace + "/pods/" + s.name + "/log?tailLines=1")
	if err != nil {
		tb.Fatal(err)
	}
	var t totals
	_ = json.Unmarshal(out, &t) // the first line may not be there yet
	return t
}

// settled waits until all queries sent before have an outcome, and returns the totals.
func (s *storm) settled(tb testing.TB) (now totals) {
	tb.Helper()
	begin := time.Now().UnixMilli()
	eventually(tb, 30*time.Second, func() string {
		if now = s.totals(tb); now.At-now.Oldest <= begin {
			return "queries are not decided yet"
		}
		return ""
	})
	return now
}

// toll is what a scenario has cost at one server.
type toll struct {
	asked, lost, failed int
	// outage is the time from the sending of the first lost query to that of the last.
	outage time.Duration
	why    string
}

// during runs f. It returns and prints the outcomes of the queries sent meanwhile, by server.
func (s *storm) during(tb testing.TB, what string, f func()) map[string]toll {
	tb.Helper()
	before := s.settled(tb)
	begin := time.Now()
	f()
	took := time.Since(begin)
	after := s.settled(tb)
	tolls := map[string]toll{}
	for _, server := range s.servers {
		b, a := before.Servers[server], after.Servers[server]
		t := toll{asked: a.Asked - b.Asked, lost: a.Lost - b.Lost, failed: a.Failed - b.Failed}
		if t.lost > 0 {
			t.outage = time.Duration(a.Last-max(a.First, begin.UnixMilli()-100)) * time.Millisecond
		}
		for why, n := range a.Why {
			if n -= b.Why[why]; n > 0 {
				t.why += fmt.Sprintf(" %d %s", n, why)
			}
		}
		tolls[server] = t
		tb.Logf("%s (%v), at %s: lost %d of %d, %d after a retry, from the first to the last %v:%s",
			what, took.Round(100*time.Millisecond), server, t.lost, t.asked, t.failed, t.outage, t.why)
	}
	return tolls
}

// wantRetried fails the test if, at one of the servers, a query was lost in spite of a retry.
func wantRetried(tb testing.TB, what string, tolls map[string]toll, servers ...string) {
	tb.Helper()
	for _, server := range servers {
		t, known := tolls[server]
		if !known || t.asked == 0 {
			tb.Errorf("%s: nothing was asked of %s", what, server)
		}
		if t.failed > 0 {
			tb.Errorf("%s: %d queries to %s were lost in spite of a retry", what, t.failed, server)
		}
	}
}
