// Package prober runs a check on a period, keeps the latest result, and decides what
// a health URL answers. Use [New] with a [Config], run [Prober.Run] on a goroutine, and
// call [Prober.Status] for each request.
//
// [Rules.Judge], which decides, is a pure function of the latest result and the time,
// without a clock or a lock, so that it can be tested as a table. [Prober] is the thin
// part that has the goroutine and the clock.
//
// The rules:
//
//   - No run has ended yet: 503. A check that has never succeeded proves nothing.
//   - The latest run failed: 503, however long ago that was.
//   - The latest run ended longer ago than the latency: 503. A check that hangs must
//     not look healthy because an earlier run succeeded.
//   - Otherwise: 200.
//
// Runs of one check never overlap. The first run starts at once, so that a process that
// has just started has a result after one run, and not only after one period. Later
// runs start at multiples of the period after the first. If a run is still going on at
// such a time, that start is skipped; a machine that is too slow for the period then
// gets some rest, and does not run the check without a pause.
//
// A run that reaches its deadline has failed, whatever the check returns: a shell whose
// background job was killed reports success. If the check does not return even then, it
// is reported as failed, and no other run starts until it has returned.
//
// There is no damping: one failed run changes the URL to 503, and one successful run
// changes it back to 200. Damping is the task of the kubelet's failureThreshold and
// successThreshold, which the operator sets.
package prober
