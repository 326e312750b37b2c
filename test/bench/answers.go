package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/test/bench/objects"
)

// compared is the number of questions of the mix whose answers are compared.
const compared = 700

// compareAnswers returns an error if the servers give different addresses to the same
// questions, because then their costs would not be comparable.
func (r *clusterRun) compareAnswers(ctx context.Context) error {
	list := r.mix.Questions()
	step := max(len(list)/compared, 1)
	for i := 0; i < len(list); i += step {
		var first []string
		for n, s := range r.servers {
			got, err := exchange(ctx, s.process, list[i])
			if err != nil {
				return err
			}
			if n == 0 {
				first = got
			} else if diff := cmp.Diff(first, got); diff != "" {
				return fmt.Errorf("%s and %s answer %s %s differently:\n%s", r.servers[0].peer.name, s.peer.name,
					list[i].Name, dns.TypeToString[list[i].Type], diff)
			}
		}
	}
	return nil
}

// exchange asks one question and returns the rcode and the sorted addresses, names and ports
// of the answer. A server may choose the target of an SRV record, so the address that comes
// with it is compared instead.
func exchange(ctx context.Context, p *process, q objects.Question) ([]string, error) {
	m := new(dns.Msg).SetQuestion(q.Name, q.Type)
	m.SetEdns0(1232, false)
	client := &dns.Client{Timeout: 2 * time.Second, UDPSize: 1232}
	a, _, err := client.ExchangeContext(ctx, m, p.addr.String())
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %w", p.name, q.Name, err)
	}
	got := []string{dns.RcodeToString[a.Rcode]}
	for _, rr := range slices.Concat(a.Answer, a.Extra) {
		switch rr := rr.(type) {
		case *dns.A:
			got = append(got, rr.A.String())
		case *dns.AAAA:
			got = append(got, rr.AAAA.String())
		case *dns.PTR:
			got = append(got, strings.ToLower(rr.Ptr))
		case *dns.SRV:
			got = append(got, fmt.Sprint("port ", rr.Port))
		}
	}
	slices.Sort(got[1:])
	return got, nil
}
