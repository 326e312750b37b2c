package resolvers

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kube-dns/kube-dns/test/addon"
	"github.com/kube-dns/kube-dns/test/outside"
)

// searched is a lookup of both families in the search list, and how many questions
// it takes with completion off, with names in the cluster completed, and with all.
type searched struct {
	name              string
	want              []string
	off, cluster, all int
}

// questions returns how many questions the lookup takes in a mode.
func (s *searched) questions(mode string) int {
	return map[string]int{"off": s.off, "cluster": s.cluster, "all": s.all}[mode]
}

func searches() []searched {
	outside := []string{"198.51.100.7", "2001:db8:ee::7"}
	return []searched{
		{"web", []string{"10.0.0.1"}, 2, 2, 2},
		{"web.prod", []string{"10.0.0.2"}, 4, 2, 2},
		{"dual.prod", []string{"10.0.0.3", "fd00::3"}, 4, 2, 2},
		{"web.prod.svc", []string{"10.0.0.2"}, 6, 2, 2},
		{"web.prod.svc.cluster.local", []string{"10.0.0.2"}, 8, 2, 2},
		{"dual.prod.svc.cluster.local", []string{"10.0.0.3", "fd00::3"}, 8, 2, 2},
		{"shop.prod.svc.clusterset.local", []string{"10.7.0.1"}, 8, 2, 2},
		{"away.prod", outside, 4, 4, 2},
		{"www.example.com", outside, 8, 8, 2},
		{"nope.prod.svc.cluster.local", []string{notFound}, 8, 8, 8},
		{"nope.example.com", []string{notFound}, 8, 8, 8},
	}
}

// TestAutopath counts the questions of real resolvers with --autopath=off, cluster and all,
// and compares what they find.
func TestAutopath(t *testing.T) {
	dir := addon.Isolated()
	if dir == "" {
		t.Skip("needs root, for a network namespace with a resolv.conf of its own")
	}
	upstream, stop, err := outside.Serve("127.0.0.2:53")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	for _, mode := range []string{"off", "cluster", "all"} {
		t.Run(mode, func(t *testing.T) { testSearches(t, dir, upstream, mode) })
	}
}

func testSearches(t *testing.T, dir, upstream, mode string) {
	t.Helper()
	kubedns := addon.Start(t, filepath.Join(dir, "kubedns"), "--objects=testdata/autopath.yaml", "--clusterset-domain=clusterset.local",
		"--nameservers="+upstream, "--dns-bind-address=127.0.0.1", "--dns-port=10053", "--debug-address=", "--autopath="+mode)
	kubedns.WaitURL(t, "http://127.0.0.1:8081/readiness", 20*time.Second)
	cache := addon.Start(t, filepath.Join(dir, "dnscache"), "-k", "--no-hosts", "--conf-file="+os.DevNull, "--cache-size=1000", "--user=root",
		"--pid-file=", "--listen-address=127.0.0.1", "--log-facility=-", "--log-queries", "--serve-stale=1h", "--no-resolv", "--server=127.0.0.1#10053")
	cache.WaitFor(t, 20*time.Second, "dnscache", func(ctx context.Context) bool {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", "127.0.0.1:53")
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	for _, tl := range tools(dir) {
		if !tl.search || !tl.both || tl.program == "java" { // Java asks through glibc, slowly
			continue
		}
		t.Run(tl.name, func(t *testing.T) {
			if tl.program != "" {
				if _, err := exec.LookPath(tl.program); err != nil {
					t.Skip(tl.program, " is not installed")
				}
			}
			for _, s := range searches() {
				before := mark(t, cache)
				got := tl.lookup(t, s.name, 0)
				after := mark(t, cache)
				if !slices.Equal(got, s.want) {
					t.Errorf("%s gives %v, want %v", s.name, got, s.want)
				}
				want := s.questions(mode)
				log := cache.Log()[before:after]
				if n := strings.Count(log, ": query[A"); n != want { // A and AAAA
					t.Errorf("%s takes %d questions, want %d:\n%s", s.name, n, want, log)
				}
			}
		})
	}
	t.Run("canonical name", func(t *testing.T) {
		for name, canonical := range map[string]string{"web.prod": "web.prod.svc.cluster.local", "www.example.com": "www.example.com"} {
			out, err := exec.CommandContext(t.Context(), "getent", "ahosts", name).CombinedOutput()
			if err != nil || !strings.Contains(string(out), " "+canonical+"\n") {
				t.Errorf("%s: %v: %s", name, err, out)
			}
		}
	})
}
