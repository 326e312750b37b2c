package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// question is a name to ask for, and the answer that it must get.
type question struct {
	about string
	name  string
	qtype uint16
	rcode int
	// want are the answer's records as summary writes them, in any order; nil
	// means at least one.
	want []string
}

// exampleQuestions are the questions about manifests/examples.
func exampleQuestions() []question {
	return []question{
		{
			about: "a Service with a cluster IP", name: "web.default.svc.cluster.local.", qtype: dns.TypeA,
			want: []string{"A 10.96.0.80"},
		},
		{
			about: "the same Service's other family", name: "web.default.svc.cluster.local.", qtype: dns.TypeAAAA,
			want: []string{"AAAA fd00:96::80"},
		},
		{
			about: "a headless Service: its ready Pods", name: "db.data.svc.cluster.local.", qtype: dns.TypeA,
			want: []string{"A 10.244.1.10", "A 10.244.2.10"},
		},
		{
			about: "a named port of the headless Service", name: "_postgres._tcp.db.data.svc.cluster.local.", qtype: dns.TypeSRV,
			want: []string{
				"SRV 10 5432 db-0.db.data.svc.cluster.local.",
				"SRV 10 5432 db-1.db.data.svc.cluster.local.",
			},
		},
		{
			about: "an ExternalName", name: "shop.default.svc.cluster.local.", qtype: dns.TypeA,
			want: []string{"CNAME web.default.svc.cluster.local.", "A 10.96.0.80"},
		},
		{
			about: "the name of a cluster IP", name: "1.0.96.10.in-addr.arpa.", qtype: dns.TypePTR,
			want: []string{"PTR kubernetes.default.svc.cluster.local."},
		},
		{
			about: "a Service that does not exist", name: "nosuch.default.svc.cluster.local.", qtype: dns.TypeA,
			rcode: dns.RcodeNameError, want: []string{},
		},
	}
}

// clusterQuestions are questions that any cluster can answer.
func clusterQuestions() []question {
	return []question{
		{about: "the API server's Service", name: "kubernetes.default.svc.cluster.local.", qtype: dns.TypeA},
		{about: "its named port", name: "_https._tcp.kubernetes.default.svc.cluster.local.", qtype: dns.TypeSRV},
		{
			about: "a Service that does not exist", name: "nosuch.default.svc.cluster.local.", qtype: dns.TypeA,
			rcode: dns.RcodeNameError, want: []string{},
		},
	}
}

// ask asks the server, over UDP and after truncation over TCP, as dig does.
func ask(ctx context.Context, server string, q question) (*dns.Msg, error) {
	query := new(dns.Msg).SetQuestion(q.name, q.qtype).SetEdns0(1232, false)
	const tries = 3
	var err error
	for try := range tries {
		var reply *dns.Msg
		client := dns.Client{Timeout: 2 * time.Second}
		reply, _, err = client.ExchangeContext(ctx, query, server)
		if err == nil && reply.Truncated {
			client.Net = "tcp"
			reply, _, err = client.ExchangeContext(ctx, query, server)
		}
		if err == nil {
			return reply, nil
		}
		if ctx.Err() != nil || !errors.Is(err, os.ErrDeadlineExceeded) || try == tries-1 {
			break
		}
	}
	return nil, fmt.Errorf("asking %s for %s %s: %w", server, q.name, dns.TypeToString[q.qtype], err)
}

// check returns an error that says what is wrong with a reply.
func (q question) check(reply *dns.Msg) error {
	var wrong []string
	if reply.Rcode != q.rcode {
		wrong = append(wrong, fmt.Sprintf("status %s instead of %s", dns.RcodeToString[reply.Rcode], dns.RcodeToString[q.rcode]))
	}
	got := make([]string, 0, len(reply.Answer))
	for _, rr := range reply.Answer {
		got = append(got, summary(rr))
	}
	slices.Sort(got)
	want := slices.Sorted(slices.Values(q.want))
	switch {
	case q.want == nil && len(got) == 0:
		wrong = append(wrong, "no records")
	case q.want != nil && !slices.Equal(got, want):
		wrong = append(wrong, fmt.Sprintf("records %q instead of %q", got, want))
	}
	if q.rcode == dns.RcodeNameError && !slices.ContainsFunc(reply.Ns, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeSOA }) {
		// RFC 2308 §3: without it, caches cannot keep the answer.
		wrong = append(wrong, "no SOA record beside the denial")
	}
	if len(wrong) == 0 {
		return nil
	}
	return fmt.Errorf("%s %s: %s", q.name, dns.TypeToString[q.qtype], strings.Join(wrong, ", "))
}

// summary returns the part of a record that does not depend on circumstances: without owner
// name and TTL, and without the SRV weight, which depends on the number of endpoints.
func summary(rr dns.RR) string {
	switch rr := rr.(type) {
	case *dns.A:
		return "A " + rr.A.String()
	case *dns.AAAA:
		return "AAAA " + rr.AAAA.String()
	case *dns.SRV:
		return fmt.Sprintf("SRV %d %d %s", rr.Priority, rr.Port, rr.Target)
	case *dns.CNAME:
		return "CNAME " + rr.Target
	case *dns.PTR:
		return "PTR " + rr.Ptr
	}
	return strings.TrimPrefix(rr.String(), rr.Header().String())
}

// askAll asks the questions in turn, prints the replies the way dig does, and
// returns what was wrong with them.
func askAll(ctx context.Context, out io.Writer, server string, questions []question) error {
	host, port, _ := strings.Cut(server, ":")
	var errs []error
	for _, q := range questions {
		fmt.Fprintf(out, "\n# %s\n$ dig @%s -p %s %s %s\n", q.about, host, port, strings.TrimSuffix(q.name, "."), dns.TypeToString[q.qtype])
		reply, err := ask(ctx, server, q)
		if err == nil {
			fmt.Fprint(out, reply)
			err = q.check(reply)
		}
		if err != nil {
			fmt.Fprintf(out, "WRONG: %v\n", err)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
