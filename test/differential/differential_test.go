package differential

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"

	"github.com/kube-dns/kube-dns/test/apiserver"
)

const (
	objectsAtStart = 800
	rounds         = 3
	changes        = 500 // in each round
	// settleLimit guards against hanging: the longest pause of a client after an
	// error is a few seconds.
	settleLimit = time.Minute
)

func TestDifferential(t *testing.T) {
	seeds := []uint64{1, 2}
	if n, err := strconv.Atoi(os.Getenv("DIFFERENTIAL_SEEDS")); err == nil {
		seeds = nil
		for i := range n {
			seeds = append(seeds, uint64(i+1))
		}
	}
	if n, err := strconv.ParseUint(os.Getenv("DIFFERENTIAL_SEED"), 10, 64); err == nil {
		seeds = []uint64{n}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Parallel()
			testHistory(t, seed, false)
		})
	}
	t.Run("endpoints", func(t *testing.T) {
		t.Parallel()
		testHistory(t, seeds[0], true)
	})
}

// testHistory runs one random history. At the end of each round, all answers must equal those
// of the model; at the end of the history, also those of a fresh start. With standIn,
// EndpointSlices are forbidden and there are Endpoints.
func testHistory(t *testing.T, seed uint64, standIn bool) {
	t.Helper()
	g := generator{rand.New(rand.NewPCG(seed, 0)), standIn}
	api := apiserver.New()
	api.Deny("endpointslices", standIn)
	front, err := apiserver.Open(api)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(front.Stop)
	for range objectsAtStart {
		g.change(api)
	}
	api.SetStreams(g.one(2))
	live, _ := startStack(t, front.URL())
	for round := range rounds {
		for range changes {
			g.change(api)
			if g.one(100) {
				g.fault(api)
			}
			if g.one(30) {
				time.Sleep(time.Duration(g.IntN(8)) * time.Millisecond)
			}
		}
		if round == rounds-1 { // a fresh start knows of no earlier place
			api.Put(g.node("n0", "topology.kubernetes.io/"))
		}
		asked := settled(t, live, api)
		t.Logf("round %d: %d questions, place %q", round, asked, live.place)
	}
	fresh, stop := startStack(t, front.URL())
	settled(t, fresh, api)
	m := modelOf(api)
	m.locate(fresh.place)
	for _, q := range questions(api) {
		a, b := live.ask(t, live.server, q), fresh.ask(t, fresh.server, q)
		if len(m.answers(strings.ToLower(q.name), q.typ)) > 1 {
			continue // chance decides; the model has judged both
		}
		if diff := cmp.Diff(b, a); diff != "" {
			t.Errorf("%s %s: (-fresh start +after the history)\n%s", q.name, dns.TypeToString[q.typ], diff)
		}
	}
	stop()
}

// settled waits until every answer equals the model's, and returns the number of questions.
// Nothing signals the arrival of the last change, so questions with wrong answers are asked
// again until the limit.
func settled(t *testing.T, s *stack, api *apiserver.Server) int {
	t.Helper()
	m := modelOf(api)
	s.locate(t)
	if place := placeOf(objects(api, &corev1.Node{})); place != "" && place != s.place {
		t.Errorf("the cluster is in %q, want %q", s.place, place)
	}
	m.locate(s.place)
	all := questions(api)
	left := all
	for end := time.Now().Add(settleLimit); ; time.Sleep(20 * time.Millisecond) {
		late := time.Now().After(end) // to ask all may take longer than that
		if s.watcher.HasSynced() {
			left = slices.DeleteFunc(slices.Clone(left), func(q question) bool { return m.diff(t, s, q) == "" })
		}
		if len(left) == 0 {
			break
		}
		if late {
			for _, q := range left[:min(len(left), 8)] {
				t.Errorf("%s %s: (-model +kubedns)\n%s", q.name, dns.TypeToString[q.typ], m.diff(t, s, q))
			}
			t.Fatalf("%d of %d answers are wrong", len(left), len(all))
		}
	}
	// Answers that were right at first must still be right.
	for _, q := range all {
		if diff := m.diff(t, s, q); diff != "" {
			t.Errorf("%s %s became wrong: (-model +kubedns)\n%s", q.name, dns.TypeToString[q.typ], diff)
		}
	}
	return len(all)
}

// modelOf returns the model of api's objects, without a location.
func modelOf(api *apiserver.Server) *model {
	return newModel(objects(api, &corev1.Service{}), modelSlices(api))
}

func objects[T apiserver.Object](api *apiserver.Server, like T) []T {
	var out []T
	for _, o := range api.Objects(like) {
		out = append(out, o.(T))
	}
	return out
}

// diff compares the answer of s with the model's, of a name with a wildcard
// also where wildcards are off.
func (m *model) diff(t *testing.T, s *stack, q question) string {
	t.Helper()
	diff := m.compare(q, s.ask(t, s.server, q))
	if strings.Contains(q.name, "*") {
		diff += m.literal.compare(q, s.ask(t, s.literal, q))
	}
	return diff
}

func (m *model) compare(q question, got answer) string {
	name := strings.ToLower(q.name)
	if q.typ == dns.TypePTR {
		got.Answer = m.reordered(name, got.Answer)
	}
	all := m.answers(name, q.typ)
	for i, record := range got.Answer { // owners are spelled as in the question
		if rest, ok := strings.CutPrefix(record, q.name+" "); ok {
			got.Answer[i] = name + " " + rest
		}
	}
	for i := range all {
		if all[i].equal(&got) {
			return ""
		}
	}
	return cmp.Diff(all[0], got, cmpopts.EquateEmpty()) + fmt.Sprintf("or another of %d\n", len(all))
}
