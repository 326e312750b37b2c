// Package dnsmasq holds dnscache to Debian's dnsmasq 2.90: both real programs
// run side by side with the same options, the same scripted servers behind
// them and the same client before them, and what each of them does is compared.
//
// The rows are in testdata, one file for each subject, in this form:
//
//	== 16 a name that does not exist
//	up rcode=NXDOMAIN ; ns ex. 60 SOA ns.ex. h.ex. 1 2 3 4 15
//	ask www.ex. A
//	wait 1.1s
//	ask www.ex. A
//	differs: the SOA's TTL is that of the negative answer
//	  NXDOMAIN rd ra | ns: ex. 60 SOA ns.ex. h.ex. 1 2 3 4 15 | up 1
//	- NXDOMAIN rd ra | ns: ex. 59 SOA ns.ex. h.ex. 1 2 3 4 15 | up 0
//	+ NXDOMAIN rd ra | ns: ex. 14 SOA ns.ex. h.ex. 1 2 3 4 15 | up 0
//
// The number is that of the observation that the row repeats, where there is
// one. Then come the set-up (options, files, what the servers answer) and the
// steps, both explained at [Row] in scenario_test.go. A line "same" or
// "differs: why" ends them. What follows is what was seen, as a difference
// between two stories: lines with "-" are dnsmasq's, lines with "+" ours,
// lines with neither are told by both. Each program must tell exactly its
// story, so a row marked "differs" fails as well when the two no longer
// differ. Every such row stands in docs/differences.md.
//
// "left out 53: why" says which observation has no row.
//
// In an answer from a cache TTLs may be a little lower than written.
package dnsmasq
