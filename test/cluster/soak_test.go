//go:build cluster

package cluster

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// soakCluster runs what takes too long to be tested for every change: outages of many
// minutes, hundreds of pods and repeated kills, all with queries at the same time. New rounds
// begin until lasts has passed.
func soakCluster(t *testing.T, lasts time.Duration) {
	t.Helper()
	sideBySide(t, "Soak", []named{
		{"UnreachableFromTheStart", func(t *testing.T) { testUnreachable(t, 10*time.Minute) }},
		{"Rounds", func(t *testing.T) { soakRounds(t, lasts) }},
	})
	t.Run("BackToCoreDNS", testBackToCoreDNS)
	t.Run("APIServerDown", func(t *testing.T) { testAPIServerDown(t, 3*time.Minute) })
}

// span is a period in which possibly no server was running.
type span struct{ from, to time.Time }

// soakRounds repeats, in rounds, everything that happens to addons, with an addon of two
// pods. A name that existed may fail only while kube-proxy does not yet know that a killed
// dnscache no longer listens.
func soakRounds(t *testing.T, lasts time.Duration) {
	highlyAvailable(t)
	t.Cleanup(func() { _, _ = tryKubectl("", "scale", "statefulset/db", "--replicas=2") })
	askers := []string{"soak-a", "soak-b", "soak-c"}
	start(t, askers, "", append([]string{"load", "50ms"}, append(known, "db-0.db.dns-test.svc.cluster.local")...)...)
	var excused []span
	began := time.Now()
	for round := 1; time.Since(began) < lasts; round++ {
		backends(t, 200)
		for i, name := range []string{"kubedns", "dnscache", "healthz"} {
			from := time.Now()
			kill(t, pods(t, addonApp)[(round+i)%2], name, 2)
			if name == "dnscache" {
				excused = append(excused, span{from, time.Now()})
			}
		}
		kubectl(t, "-n", system, "rollout", "restart", "deployment/kube-dns")
		kubectl(t, "-n", system, "rollout", "status", "deployment/kube-dns", "--timeout=3m")
		settle(t, 2)
		backends(t, 2)
		t.Logf("round %d ended after %v", round, time.Since(began).Round(time.Second))
	}
	failures, sums := asked(t, askers)
	for _, line := range failures {
		if !within(t, line, excused) {
			t.Error(line)
		}
	}
	t.Logf("%d failures\n%s", len(failures), strings.Join(sums, "\n"))
}

// within reports whether a failed question, as load prints it, overlaps one of the spans. The
// question may have waited 2 s for each of two answers.
func within(tb testing.TB, line string, spans []span) bool {
	tb.Helper()
	stamp, _, _ := strings.Cut(line, " ")
	at, err := time.Parse(time.RFC3339Nano, stamp)
	if err != nil {
		tb.Error(fmt.Errorf("a line without time: %q: %w", line, err))
		return false
	}
	for _, s := range spans {
		if at.After(s.from.Add(-4*time.Second)) && at.Before(s.to) {
			return true
		}
	}
	return false
}
