// Package prober runs a check on a period, keeps its last result and says what
// a health URL answers for it.
//
// The two halves are apart on purpose. [Rules.Judge] is a pure function of
// (last result, now): it has no clock and no lock, and the table of answers is
// tested as a table. [Prober] is the thin part that owns a goroutine and time.
//
// The rules:
//
//   - No run has ended yet: 503. A check that never ended well proves nothing.
//   - The last run failed: 503, whatever its age. A failure never goes stale.
//   - The last run ended longer ago than the latency: 503. A worker that hangs
//     must not look healthy because of what it said before.
//   - Otherwise: 200.
//
// Runs of one check never overlap. The first run starts at once, so that a
// freshly started process is judged after one run and not after one period.
// Later runs start on multiples of the period counted from the first; starts
// that fall into a run still going on are left out, which gives a machine that
// is too slow for the period some rest instead of running back to back.
//
// A run that reached its deadline failed, whatever the check returned: a shell
// whose background job was killed reports success. A check that does not come
// back even then is reported as failed, and no other run is started until it
// does come back.
//
// There is no damping: one failed run turns the URL to 503 and one good run
// turns it back. The kubelet's failureThreshold and successThreshold do that
// job, with the operator's own numbers, and two dampers in a row only hide
// each other.
package prober
