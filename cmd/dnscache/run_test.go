package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/test/dnstest"
	"github.com/kube-dns/kube-dns/test/testkit"
)

// TestCommandLinesOfKubernetes starts the program with the command lines of manifests, and
// sends queries.
func TestCommandLinesOfKubernetes(t *testing.T) {
	cluster := upstreamServer(t, "10.96.0.1", nil)
	outside := upstreamServer(t, "192.0.2.1", nil)
	for _, tt := range []struct {
		name string
		args []string
	}{
		{"1.6", []string{
			"-k", "--cache-size=1000", "--log-facility=-", "--server=/cluster.local/" + cluster.option(),
			"--server=/in-addr.arpa/" + cluster.option(), "--server=/in6.arpa/" + cluster.option(), "--server=" + outside.option(),
		}},
		{"nanny's words", []string{
			"-v=2", "-logtostderr", "-configDir=", "-restartDnsmasq=true", "--",
			"-k", "--cache-size=1000", "--no-negcache", "--dns-loop-detect", "--dns-forward-max=1500",
			"--server", "/cluster.local/" + cluster.option(), "--server", outside.option(), "--no-resolv",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := start(t, tt.args...)
			for name, want := range map[string]string{
				tt.name + "-web.default.svc.cluster.local": "NOERROR 10.96.0.1",
				tt.name + "-web.example":                   "NOERROR 192.0.2.1",
				tt.name + "-web.notcluster.local":          "NOERROR 192.0.2.1",
			} {
				name = strings.NewReplacer(" ", "-", "'", "").Replace(name)
				first := in.ask(name, dns.TypeA)
				if got := short(first); got != want {
					t.Errorf("%s: %s, want %s", name, got, want)
				}
				second := in.ask(strings.ToUpper(name), dns.TypeA)
				if got := short(second); got != want || second.Authoritative || !second.RecursionAvailable {
					t.Errorf("%s from the cache:\n%v\nwant %s, ra and not aa", name, second, want)
				}
				if asked := cluster.count(name+". A") + outside.count(name+". A"); asked != 1 {
					t.Errorf("%s was asked %d times, want once", name, asked)
				}
			}
		})
	}
}

func TestCacheOptions(t *testing.T) {
	up := upstreamServer(t, "", func(m *dns.Msg) bool {
		switch name := m.Question[0].Name; {
		case strings.HasPrefix(name, "nx-soa."):
			m.Rcode = dns.RcodeNameError
			m.Ns = append(m.Ns, record("example. 60 SOA ns.example. host.example. 1 2 3 4 60"))
		case strings.HasPrefix(name, "nx."):
			m.Rcode = dns.RcodeNameError
		case strings.HasPrefix(name, "zero."):
			m.Answer = append(m.Answer, record(name+" 0 A 192.0.2.1"))
		default:
			m.Answer = append(m.Answer, record(name+" 5000 A 192.0.2.1"))
		}
		return true
	})
	for i, tt := range []struct {
		args, name string
		asked      int    // number of questions to the server after two queries
		ttl        uint32 // largest TTL in the second answer
	}{
		{"", "a", 1, 5000},
		{"--cache-size=0", "a", 2, 5000},
		{"--max-ttl=20", "a", 1, 20},
		{"--max-cache-ttl=30", "a", 1, 30},
		{"", "zero", 2, 0},
		{"--min-cache-ttl=30", "zero", 1, 30},
		{"", "nx-soa", 1, 0},
		{"--no-negcache", "nx-soa", 2, 0},
		{"", "nx", 2, 0},
		{"--neg-ttl=60", "nx", 1, 0},
	} {
		t.Run(tt.name+tt.args, func(t *testing.T) {
			in := start(t, append(strings.Fields(tt.args), "--server="+up.option())...)
			name := fmt.Sprintf("%s.case%d.example.", tt.name, i)
			in.answers(name)
			second := in.ask(name, dns.TypeA)
			if asked := up.count(name + " A"); asked != tt.asked {
				t.Errorf("upstream was asked %d times, want %d", asked, tt.asked)
			}
			if len(second.Answer) > 0 && second.Answer[0].Header().Ttl > tt.ttl {
				t.Errorf("TTL %d, want at most %d", second.Answer[0].Header().Ttl, tt.ttl)
			}
			want := "0"
			if tt.asked == 1 {
				want = "1"
			}
			if got := in.statistic("insertions.bind."); got != want {
				t.Errorf("insertions.bind is %s, want %s", got, want)
			}
		})
	}
}

func TestStatistics(t *testing.T) {
	up := upstreamServer(t, "192.0.2.1", nil)
	in := start(t, "--cache-size=1000", "--server="+up.option(), "--metrics-address=127.0.0.1:0")
	in.answers("a.example")
	in.answers("a.example")
	in.answers("b.example")
	for name, want := range map[string]string{
		"cachesize.bind.": "1000", "insertions.bind.": "2", "evictions.bind.": "0", "misses.bind.": "2",
	} {
		if got := in.statistic(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if got := in.statistic("version.bind."); !strings.HasPrefix(got, "dnscache-") {
		t.Errorf("version.bind. is %q", got)
	}

	in.signals <- syscall.SIGUSR1
	in.logged(`time \d+`)
	in.logged(`cache size 1000, 0/2 cache insertions re-used unexpired cache entries\.`)
	in.logged(`queries forwarded 2, queries answered locally \d+`)
	in.logged(`server ` + regexp.QuoteMeta(up.option()) + `: queries sent 2, retried 0, failed 0, nxdomain replies 0, avg\. latency \d+ms`)

	reply, err := http.Get("http://" + in.metrics.String() + "/metrics") //nolint:noctx // a test's own server
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"\nkubedns_dnsmasq_misses 2\n", "\nkubedns_dnsmasq_insertions 2\n", "\nkubedns_dnsmasq_evictions 0\n",
		"\nkubedns_dnsmasq_max_size 1000\n", "\nkubedns_dnsmasq_errors 0\n", "\nkubedns_dnsmasq_hits ",
		"\ndnscache_misses_total 2\n", "\ndnscache_in_flight 0\n", "\ngo_goroutines ", "\nprocess_resident_memory_bytes ",
		"\ndnscache_upstream_queries_total{server=\"" + up.addr.String() + "\"} 2\n",
		"\ndnscache_dropped_total{reason=\"udp_short\"} 0\n",
	} {
		if !strings.Contains("\n"+string(text), want) {
			t.Errorf("/metrics has no %q", want)
		}
	}

	in.signals <- syscall.SIGHUP
	in.logged("cleared cache")
	testkit.Eventually(t, "the counters begin anew", func() bool { return in.statistic("insertions.bind.") == "0" })
	in.answers("a.example")
	if up.count("a.example. A") != 2 {
		t.Error("the cache was not cleared")
	}
	if got := in.statistic("misses.bind."); got != "3" {
		t.Errorf("misses.bind. is %s after SIGHUP, want 3: it goes on", got)
	}
}

func TestLocalData(t *testing.T) {
	up := upstreamServer(t, "192.0.2.1", nil)
	hosts := filepath.Join(t.TempDir(), "hosts")
	dnstest.Replace(t, hosts, "10.1.1.1 in-hosts\n")
	in := start(t, "--server="+up.option(), "--no-hosts", "--addn-hosts="+hosts, "--address=/fixed.example/10.9.9.9",
		"--address=/null.example/#", "--local=/only.example/", "--host-record=rec.example,10.2.2.2", "--txt-record=txt.example,hello",
		"--cname=alias.example,rec.example", "--local-ttl=77", "--log-queries=extra", "--domain-needed")
	for name, want := range map[string]string{
		"in-hosts":         "NOERROR 10.1.1.1",
		"x.fixed.example":  "NOERROR 10.9.9.9",
		"null.example":     "NOERROR 0.0.0.0",
		"sub.only.example": "NXDOMAIN",
		"rec.example":      "NOERROR 10.2.2.2",
		"alias.example":    "NOERROR rec.example. 10.2.2.2",
		"other.example":    "NOERROR 192.0.2.1",
		"dotless":          "NXDOMAIN",
	} {
		if got := in.answers(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if got := short(in.ask("txt.example", dns.TypeTXT)); got != `NOERROR "hello"` {
		t.Errorf("txt.example: %s", got)
	}
	if got := short(in.ask("2.2.2.10.in-addr.arpa", dns.TypePTR)); got != "NOERROR rec.example." {
		t.Errorf("10.2.2.2: %s", got)
	}
	if got := in.ask("rec.example", dns.TypeA); got.Answer[0].Header().Ttl != 77 || !got.Authoritative {
		t.Errorf("local data:\n%v\nwant TTL 77 and aa", got)
	}
	client := `\d+ 127\.0\.0\.1/\d+ `
	in.logged(client + `query\[A\] other\.example from 127\.0\.0\.1`)
	in.logged(client + `forwarded other\.example to ` + regexp.QuoteMeta(up.option()))
	in.logged(client + `reply other\.example is 192\.0\.2\.1`)
	in.logged(client + regexp.QuoteMeta(hosts) + ` in-hosts is 10\.1\.1\.1`)
	in.logged(client + `config rec\.example is 10\.2\.2\.2`)

	dnstest.Replace(t, hosts, "10.1.1.2 in-hosts\n")
	in.signals <- syscall.SIGHUP
	testkit.Eventually(t, "the new hosts file counts", func() bool { return in.answers("in-hosts") == "NOERROR 10.1.1.2" })
}

// TestLiveChanges changes servers while the program runs: names whose servers have changed are
// asked for again, and all others stay in the cache.
func TestLiveChanges(t *testing.T) {
	first := upstreamServer(t, "192.0.2.1", nil)
	second := upstreamServer(t, "192.0.2.2", nil)
	dir := t.TempDir()
	config := func(text string) { dnstest.Replace(t, filepath.Join(dir, "upstreamNameservers"), text) }
	config(`["` + first.addr.String() + `"]`)
	in := start(t, "-configDir="+dir, "-restartDnsmasq", "-syncInterval=10ms", "--", "-k", "--server=/keep.example/"+first.option())
	for _, name := range []string{"a.example", "x.keep.example"} {
		if got := in.answers(name); got != "NOERROR 192.0.2.1" {
			t.Fatalf("%s before the change: %s", name, got)
		}
	}
	dnstest.Replace(t, filepath.Join(dir, "stubDomains"), `{"stub.example": ["`+first.addr.String()+`"]}`)
	config(`["` + second.addr.String() + `"]`)
	in.logged("using nameserver " + regexp.QuoteMeta(second.option()))
	testkit.Eventually(t, "the new server is asked", func() bool {
		return in.answers(fmt.Sprintf("n%d.example", time.Now().UnixNano())) == "NOERROR 192.0.2.2"
	})
	for name, want := range map[string]string{
		"a.example": "NOERROR 192.0.2.2", "x.stub.example": "NOERROR 192.0.2.1", "x.keep.example": "NOERROR 192.0.2.1",
	} {
		if got := in.answers(name); got != want {
			t.Errorf("%s after the change: %s, want %s", name, got, want)
		}
	}
	if first.count("x.keep.example. A") != 1 {
		t.Error("the cache was lost")
	}
}

func TestServersFileIsReadAgain(t *testing.T) {
	first := upstreamServer(t, "192.0.2.1", nil)
	second := upstreamServer(t, "192.0.2.2", nil)
	file := filepath.Join(t.TempDir(), "servers")
	dnstest.Replace(t, file, "server=/a.example/"+first.option()+"\nport=5\n")
	in := start(t, "--servers-file="+file)
	in.logged(`illegal option at line 2 of ` + regexp.QuoteMeta(file))
	if got := in.answers("x.a.example"); got != "NOERROR 192.0.2.1" {
		t.Errorf("before: %s", got)
	}
	dnstest.Replace(t, file, "server=/a.example/"+second.option()+"\n")
	in.signals <- syscall.SIGHUP
	in.logged("cleared cache")
	if got := in.answers("x.a.example"); got != "NOERROR 192.0.2.2" {
		t.Errorf("after SIGHUP: %s, want the new server's answer", got)
	}
}

// TestResolvConfIsFollowed sends no queries, because the servers of a resolv.conf are always
// asked on port 53.
func TestResolvConfIsFollowed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "resolv.conf")
	dnstest.Replace(t, file, "nameserver 192.0.2.1\nnameserver 127.0.0.53\n")
	in := start(t, "--resolv-file="+file, "--clear-on-reload")
	in.logged("reading " + regexp.QuoteMeta(file))
	in.logged(`using nameserver 192\.0\.2\.1#53`)
	in.logged(`using nameserver 127\.0\.0\.53#53`)
	dnstest.Replace(t, file, "nameserver 192.0.2.2\n")
	in.logged(`using nameserver 192\.0\.2\.2#53`)
	in.logged("cleared cache")
}

// TestLoopDetect uses a server that sends questions back to the program.
func TestLoopDetect(t *testing.T) {
	var in *instance
	ready := make(chan struct{})
	looping := upstreamServer(t, "", func(m *dns.Msg) bool {
		<-ready
		q := new(dns.Msg)
		q.Question = m.Question
		reply, _, err := (&dns.Client{Timeout: 200 * time.Millisecond}).Exchange(q, in.addr.String())
		if err != nil {
			return false
		}
		m.Answer = reply.Answer
		return true
	})
	good := upstreamServer(t, "192.0.2.1", nil)
	in = start(t, "--dns-loop-detect", "--server="+looping.option(), "--server="+good.option())
	close(ready)
	in.logged("NOT using nameserver " + regexp.QuoteMeta(looping.option()) + " - query loop detected")
	if got := in.answers("a.example"); got != "NOERROR 192.0.2.1" {
		t.Errorf("the other server's answer is %s", got)
	}
	if n := looping.count("a.example. A"); n != 0 {
		t.Errorf("the looping server was asked %d times", n)
	}
}

// TestMixedCase: for each question, the server sees another spelling of the name, unless the
// option is turned off. Clients see their own spelling.
func TestMixedCase(t *testing.T) {
	const name = "a-name-of-many-letters.example."
	for _, tt := range []struct {
		args  []string
		mixed bool
	}{
		{nil, false},
		{[]string{"--do-0x20-encode"}, true},
		{[]string{"--do-0x20-encode", "--no-0x20-encode"}, false},
	} {
		spellings := make(chan string, 8)
		up := upstreamServer(t, "", func(m *dns.Msg) bool {
			spellings <- m.Question[0].Name
			m.Answer = append(m.Answer, record(m.Question[0].Name+" 100 A 192.0.2.1"))
			return true
		})
		in := start(t, append(tt.args, "--cache-size=0", "--server="+up.option())...)
		for range 2 {
			reply := in.ask(name, dns.TypeA)
			if short(reply) != "NOERROR 192.0.2.1" || reply.Question[0].Name != name || reply.Answer[0].Header().Name != name {
				t.Errorf("%v: got\n%v", tt.args, reply)
			}
		}
		first, second := <-spellings, <-spellings
		if mixed := first != name && second != name && first != second; mixed != tt.mixed {
			t.Errorf("%v: the server was asked for %s and %s", tt.args, first, second)
		}
	}
}

func TestServeStale(t *testing.T) {
	up := upstreamServer(t, "", func(m *dns.Msg) bool {
		m.Answer = append(m.Answer, record(m.Question[0].Name+" 1 A 192.0.2.1"))
		return true
	})
	in := start(t, "--serve-stale=1h", "--server="+up.option())
	in.answers("a.example")
	up.setDown(true)
	time.Sleep(1100 * time.Millisecond)
	reply := in.ask("a.example", dns.TypeA)
	if short(reply) != "NOERROR 192.0.2.1" || reply.Answer[0].Header().Ttl != 30 {
		t.Errorf("with upstream silent:\n%v\nwant the old answer with TTL 30", reply)
	}
}

func TestUpstreamSilenceIsAnError(t *testing.T) {
	up := upstreamServer(t, "", func(*dns.Msg) bool { return false })
	in := start(t, "--server="+up.option())
	if got := in.answers("a.example"); got != "SERVFAIL" {
		t.Errorf("with upstream silent: %s, want SERVFAIL", got)
	}
	none := start(t)
	none.logged("warning: no upstream servers configured")
	if got := none.answers("a.example"); got != "REFUSED" {
		t.Errorf("without servers: %s, want REFUSED", got)
	}
}

func TestLameduck(t *testing.T) {
	up := upstreamServer(t, "192.0.2.1", nil)
	in := start(t, "--lameduck=1h", "--server="+up.option())
	in.signals <- syscall.SIGTERM
	in.logged("received SIGTERM, answering for another 1h0m0s")
	if got := in.answers("a.example"); got != "NOERROR 192.0.2.1" {
		t.Errorf("after the first SIGTERM: %s", got)
	}
	in.signals <- syscall.SIGTERM
	if code := in.wait(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	in.logged("exiting on receipt of SIGTERM")

	in = start(t, "--lameduck=20ms", "--server="+up.option())
	in.signals <- syscall.SIGTERM
	if code := in.wait(); code != 0 {
		t.Errorf("exit code %d after the lame-duck time, want 0", code)
	}
}

// TestLameduckEndsQuietly: a question that is in flight at the end of the lame-duck time is
// still answered.
func TestLameduckEndsQuietly(t *testing.T) {
	asked, release := make(chan struct{}), make(chan struct{})
	up := upstreamServer(t, "", func(m *dns.Msg) bool {
		asked <- struct{}{}
		<-release
		m.Answer = append(m.Answer, record(m.Question[0].Name+" 100 A 192.0.2.1"))
		return true
	})
	in := start(t, "--lameduck=10ms", "--server="+up.option())
	answer := make(chan string)
	go func() { answer <- in.answers("a.example") }()
	<-asked
	in.signals <- syscall.SIGTERM
	in.logged("received SIGTERM, answering for another 10ms")
	time.Sleep(100 * time.Millisecond)
	close(release)
	if got := <-answer; got != "NOERROR 192.0.2.1" {
		t.Errorf("got %s", got)
	}
	if code := in.wait(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

func TestLogFileIsReopened(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	in := start(t, "--log-facility="+path)
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	in.signals <- syscall.SIGUSR2
	in.signals <- syscall.SIGUSR1
	testkit.Eventually(t, "the new file has lines", func() bool {
		text, _ := os.ReadFile(path) // the file may not exist yet
		return regexp.MustCompile(`(?m)^[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d dnscache\[\d+\]: cache size 150, `).Match(text)
	})
}
