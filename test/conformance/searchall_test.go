package conformance

import (
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// walker goes through a Pod's search list as glibc does.
type walker struct {
	t         *testing.T
	conn      *dns.Conn
	questions int
}

func newWalker(t *testing.T, addr string) *walker {
	t.Helper()
	conn, err := dns.DialTimeout("udp", addr, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &walker{t: t, conn: conn}
}

// lookup returns the addresses that a program gets for x in a namespace, sorted.
func (w *walker) lookup(x, namespace string) []string {
	w.t.Helper()
	for _, suffix := range []string{namespace + ".svc.cluster.local.", "svc.cluster.local.", "cluster.local.", "corp.internal.", ""} {
		if addrs := w.addrs(x + "." + suffix); len(addrs) > 0 {
			return addrs
		}
	}
	return nil
}

// addrs returns the addresses of both families of one name.
func (w *walker) addrs(name string) (addrs []string) {
	w.t.Helper()
	for _, typ := range []uint16{dns.TypeA, dns.TypeAAAA} {
		q := new(dns.Msg).SetQuestion(name, typ)
		q.SetEdns0(1232, false)
		w.questions++
		client := dns.Client{Timeout: 20 * time.Second}
		m, _, err := client.ExchangeWithConn(q, w.conn)
		if err != nil {
			w.t.Fatalf("%s: %v", name, err)
		}
		for _, rr := range m.Answer {
			switch rr := rr.(type) {
			case *dns.A:
				addrs = append(addrs, rr.A.String())
			case *dns.AAAA:
				addrs = append(addrs, rr.AAAA.String())
			}
		}
	}
	slices.Sort(addrs)
	return addrs
}

// randomSearch returns a random name that often exists, inside or outside, and often nearly
// exists.
func randomSearch(rng *rand.Rand) string {
	words := []string{
		"web", "db", "db-0", "db-9", "prod", "ns1", "bare", "svc", "cluster", "local", "clusterset", "shop", "ext", "away", "inside", "myfed", "_tcp",
		"_http", "pod", "api", "example", "test", "nope", "git", "team", "corp", "internal", "wiki", "v4", "alias", "mx", "onlya", "servfail", "refused",
	}
	whole := []string{
		"web.prod", "web.prod.svc", "web.prod.svc.cluster.local", "shop.prod.svc.clusterset.local", "db-0.db.prod", "api.example.test", "v4.example.test",
		"alias.example.test", "mx.example.test", "onlya.example.test", "git.team", "git.team.corp.internal", "wiki.corp.internal", "api.example",
		"servfail.example.test", "refused.example.test", "away.prod", "inside.prod", "nope.corp.test",
	}
	if rng.IntN(2) == 0 {
		name := whole[rng.IntN(len(whole))]
		switch rng.IntN(5) {
		case 0:
			name = words[rng.IntN(len(words))] + "." + name
		case 1:
			name += "." + words[rng.IntN(len(words))]
		}
		return name
	}
	labels := make([]string, 1+rng.IntN(4))
	for i := range labels {
		labels[i] = words[rng.IntN(len(words))]
	}
	return strings.Join(labels, ".")
}

// TestSearchAllIsTheSame goes through the search list for random names, with completion off and
// with all: a program gets the same addresses, and no search asks more. One difference is by
// design (docs/autopath.md): a later step that is x.<namespace>.svc.<domain> itself is completed
// as well. SEARCHES sets how many; 100 000 take some minutes.
func TestSearchAllIsTheSame(t *testing.T) {
	n := 2000
	if text := os.Getenv("SEARCHES"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	o := startOutside(t)
	args := []string{"--clusterset-domain=clusterset.local.", "--federations=myfed=example.com", "--nameservers=" + o.addr, "--negative-ttl=60s"}
	offChain := startChain(t, "testdata/autopath/objects.yaml", args...)
	allChain := startChain(t, "testdata/autopath/objects.yaml", append(args, "--autopath=all", "--autopath-searches=corp.internal")...)
	off, all := newWalker(t, offChain.dnscacheAddr), newWalker(t, allChain.dnscacheAddr)
	rng := rand.New(rand.NewPCG(5, 6))
	shorter, listed := 0, 0
	for range n {
		x, namespace := randomSearch(rng), []string{"ns1", "prod", "bare", "example"}[rng.IntN(4)]
		before, beforeAll := off.questions, all.questions
		want, got := off.lookup(x, namespace), all.lookup(x, namespace)
		took, tookAll := off.questions-before, all.questions-beforeAll
		if !slices.Equal(want, got) {
			if inner, found := completedAgain(off, x, namespace); found && slices.Equal(inner, got) {
				listed++
				continue
			}
			t.Fatalf("%s from %s: %v with all, %v without", x, namespace, got, want)
		}
		if tookAll > took {
			t.Fatalf("%s from %s: %d questions with all, %d without", x, namespace, tookAll, took)
		}
		if tookAll < took {
			shorter++
		}
	}
	if shorter < n/10 {
		t.Errorf("only %d of %d searches became shorter; the names are no test", shorter, n)
	}
	t.Logf("%d searches, %d shorter, %d different as listed; questions %d before, %d after", n, shorter, listed, off.questions, all.questions)
}

// completedAgain returns the result of a later step of the search whose name is itself
// completed, since it has the form y.<namespace>.svc.cluster.local. off is a walker without
// completion.
func completedAgain(off *walker, x, namespace string) (addrs []string, found bool) {
	for _, suffix := range []string{"svc.cluster.local.", "cluster.local.", ""} {
		head, below := strings.CutSuffix(x+"."+suffix, ".svc.cluster.local.")
		i := strings.LastIndexByte(head, '.')
		if !below || i < 0 || !strings.Contains(head[:i], ".") {
			continue
		}
		if addrs = off.lookup(head[:i], head[i+1:]); len(addrs) > 0 {
			return addrs, true
		}
	}
	return nil, false
}
