// Package dnsmasq compares dnscache with Debian's dnsmasq 2.90: both programs run side
// by side with the same options, the same scripted upstream servers and the same
// client, and the tests compare what they do.
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
// The number is that of the row in docs/reference/dnsmasq.md §12 that this row repeats,
// if there is one. The set-up (options, files, the servers' replies) and the steps come
// next; [Row] in scenario_test.go explains both. A line "same" or "differs: why" ends
// them. The rest is what each program is expected to do, in the form of a diff: lines
// with "-" are dnsmasq's, lines with "+" are ours, and lines without a sign are common
// to both. Each program must do exactly what its lines say, so a row marked "differs"
// also fails if the two no longer differ. docs/differences.md lists every such row.
//
// "left out 53: why" says that row 53 of the reference has no row here.
//
// TTLs in answers from a cache may be a little lower than written.
package dnsmasq
