package main

import (
	"fmt"
	"slices"
	"text/tabwriter"
	"time"
)

// median returns the middle of a non-empty list.
func median(d []time.Duration) time.Duration {
	s := slices.Sorted(slices.Values(d))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

// table prints a title and lines of tab-separated cells, of which the first
// has the names of the columns.
func (s *session) table(title string, lines ...string) {
	fmt.Fprintf(s.stdout, "\n%s\n", title)
	tw := tabwriter.NewWriter(s.stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, line := range lines {
		fmt.Fprintln(tw, line+"\t")
	}
	_ = tw.Flush()
}

// judge prints how a value compares with its budget, which is its greatest allowed value.
func (s *session) judge(what string, got, most float64, unit string) {
	s.judged++
	line := fmt.Sprintf("%s = %.2f%s, budget %.2f%s: ", what, got, unit, most, unit)
	if got > most {
		line += "OVER"
		s.over = append(s.over, line)
	} else {
		line += "ok"
	}
	fmt.Fprintln(s.stdout, "  "+line)
}

// printTable prints one scenario: medians, their ratios to the first server, and how they
// compare with the budgets.
func (s *session) printTable(sc scenario, rows []row) {
	lines := []string{"server\tµs\tlowest\thighest\t× " + rows[0].name + "\tRSS MiB\tnot answered"}
	for _, r := range rows {
		mid := median(r.perOne)
		lines = append(lines, fmt.Sprintf("%s\t%.2f\t%.2f\t%.2f\t%.2f\t%.1f\t%d", r.name, micros(mid),
			micros(slices.Min(r.perOne)), micros(slices.Max(r.perOne)),
			ratio(mid, median(rows[0].perOne)), mib(r.rss), r.failed))
	}
	s.table(fmt.Sprintf("%s: CPU per query, median of %d rounds", sc.title, len(rows[0].perOne)), lines...)
	for _, b := range sc.budgets {
		find := func(name string) int { return slices.IndexFunc(rows, func(r row) bool { return r.name == name }) }
		ours, theirs := find(b.ours), find(b.theirs)
		if ours >= 0 && theirs >= 0 { // neither was left out
			s.judge(b.ours+" / "+b.theirs, ratio(median(rows[ours].perOne), median(rows[theirs].perOne)), b.factor, "")
		}
	}
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(max(b, 1)) }

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
