package main

import (
	"fmt"
	"io"
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

// printTable prints one scenario: medians, their ratio to the first server and
// how they stand to the budgets.
func printTable(w io.Writer, sc scenario, rows []row) {
	fmt.Fprintf(w, "\n%s: CPU per query, median of %d rounds\n", sc.title, len(rows[0].perOne))
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(tw, "server\tµs\tlowest\thighest\t× %s\tRSS MiB\tnot answered\t\n", rows[0].name)
	for _, r := range rows {
		mid := median(r.perOne)
		fmt.Fprintf(tw, "%s\t%.2f\t%.2f\t%.2f\t%.2f\t%.1f\t%d\t\n", r.name, micros(mid),
			micros(slices.Min(r.perOne)), micros(slices.Max(r.perOne)),
			ratio(mid, median(rows[0].perOne)), float64(r.rss)/(1<<20), r.failed)
	}
	_ = tw.Flush()
	for _, b := range sc.budgets {
		if line := b.verdict(rows); line != "" {
			fmt.Fprintln(w, "  "+line)
		}
	}
}

// verdict compares a budget with what was measured; it is empty when one of
// its servers was left out.
func (b budget) verdict(rows []row) string {
	find := func(name string) int { return slices.IndexFunc(rows, func(r row) bool { return r.name == name }) }
	ours, theirs := find(b.ours), find(b.theirs)
	if ours < 0 || theirs < 0 {
		return ""
	}
	got := ratio(median(rows[ours].perOne), median(rows[theirs].perOne))
	word := "ok"
	if got > b.factor {
		word = "OVER"
	}
	return fmt.Sprintf("%s / %s = %.2f, budget %.2f: %s", b.ours, b.theirs, got, b.factor, word)
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(max(b, 1)) }

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
