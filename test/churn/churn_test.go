package churn

import (
	"context"
	"fmt"
	"log"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/test/addon"
	"github.com/kube-dns/kube-dns/test/apiserver"
)

const (
	changesPerSecond = 200
	// epoch is how long changes go on before they pause.
	epoch = 15 * time.Second
	// settleLimit bounds a wait that is only this long if something is broken: clients pause
	// for several seconds after an error.
	settleLimit = 45 * time.Second
	// answerLimit bounds the wait for an answer. It is far longer than a busy machine delays
	// a program.
	answerLimit = 30 * time.Second
)

// bin is the folder with the binary under test.
var bin string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "kube-dns-churn")
		if err != nil {
			log.Print(err)
			return 1
		}
		defer os.RemoveAll(dir)
		if err := addon.Build(dir, nil, "kubedns"); err != nil {
			log.Print(err)
			return 1
		}
		bin = dir
		return m.Run()
	}())
}

// duration is how long the churn goes on.
func duration(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("SOAK")
	if text == "" {
		return 4 * epoch
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("SOAK: %v", err)
	}
	return d
}

func TestChurn(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	api := apiserver.New()
	front, err := apiserver.Open(api)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { front.Stop() })
	c := &cluster{api: api, rnd: rand.New(rand.NewPCG(seed, 0))}
	c.fill()
	live := startKubedns(t, front.URL())
	watch := startAsking(t, live.addr)
	end := time.Now().Add(duration(t))
	settledMemory := 0 // after the first epochs
	for n := 0; time.Now().Before(end); n++ {
		changes := c.churn(t, front, n)
		fresh := startKubedns(t, front.URL())
		asked := compare(t, c.questions(), live, fresh)
		fresh.Kill()
		stats, memory := api.Stats(), resident(t, live.Pid())
		if n < 3 {
			settledMemory = max(settledMemory, memory)
		} else if memory > 2*settledMemory {
			t.Errorf("%d KiB resident, after %d in the first epochs", memory, settledMemory)
		}
		t.Logf("epoch %d: %d changes, %d answers equal a fresh start's; until now %d lists, %d streamed, %d watches, %d too old, %d questions meanwhile, %d KiB resident",
			n, changes, asked, stats.Lists, stats.Streamed, stats.Watches, stats.Expired, watch.asked.Load(), memory)
		if t.Failed() {
			return
		}
	}
	watch.stop()
	if live.Ended() {
		t.Errorf("kubedns has ended")
	}
	for _, bad := range []string{"panic", "DATA RACE"} {
		if strings.Contains(live.Log(), bad) {
			t.Errorf("kubedns logged %q", bad)
		}
	}
}

// churn changes the cluster for an epoch, with a fault every half second on average, and
// leaves the API server without faults. It returns the number of changes.
func (c *cluster) churn(t *testing.T, front *apiserver.Front, n int) int {
	t.Helper()
	changes, start := 0, time.Now()
	ticker := time.NewTicker(time.Second / changesPerSecond)
	defer ticker.Stop()
	end := time.After(epoch)
	var down <-chan time.Time // set while the API server is away
	for {
		select {
		case <-ticker.C:
			for due := int(time.Since(start).Seconds() * changesPerSecond); changes < due; changes++ {
				c.change()
				if c.rnd.IntN(changesPerSecond/2) == 0 && down == nil {
					down = c.fault(front)
				}
			}
		case <-down:
			c.heal(t, front)
			down = nil
		case <-end:
			c.heal(t, front)
			c.change() // earlier changes may have been missed, but not this one
			if n%2 == 1 {
				front.Stop() // the pause begins with a new API server
				c.api.Forget()
				if err := front.Start(); err != nil {
					t.Fatal(err)
				}
			}
			return changes
		}
	}
}

// fault causes a random fault. The channel it returns tells when to heal the fault; it is nil
// if there is nothing to heal.
func (c *cluster) fault(front *apiserver.Front) <-chan time.Time {
	pause := time.Duration(c.rnd.IntN(2000)) * time.Millisecond
	switch c.rnd.IntN(10) {
	case 0, 1:
		c.api.Cut()
	case 2:
		c.api.Forget()
	case 3:
		c.api.SetStreams(false)
		c.api.ExpirePages(c.rnd.IntN(3))
		c.api.Forget()
	case 4:
		c.api.SetStreams(true)
		c.api.BreakLists(1 + c.rnd.IntN(3))
		c.api.Forget()
	case 5:
		c.api.Refuse([]int{http.StatusInternalServerError, http.StatusServiceUnavailable, http.StatusTooManyRequests, http.StatusUnauthorized}[c.rnd.IntN(4)])
		c.api.RetryAfter(c.rnd.IntN(2))
		c.api.Cut()
		return time.After(pause)
	case 6:
		front.Stop()
		return time.After(pause)
	case 7:
		front.Stop()
		c.api.Forget()
		return time.After(pause)
	case 8:
		c.api.Deny("endpointslices", true)
		c.api.Cut()
		return time.After(pause)
	case 9:
		c.api.Stutter(true)
		return time.After(pause)
	}
	return nil
}

// heal undoes what fault did.
func (c *cluster) heal(t *testing.T, front *apiserver.Front) {
	t.Helper()
	c.api.Refuse(0)
	c.api.RetryAfter(0)
	c.api.Deny("endpointslices", false)
	c.api.Stutter(false)
	c.api.BreakLists(0)
	c.api.ExpirePages(0)
	front.Stop()
	if err := front.Start(); err != nil {
		t.Fatal(err)
	}
}

// kubedns is a running kubedns.
type kubedns struct {
	*addon.Process

	addr               string
	readiness, metrics string // URLs
}

// startKubedns starts kubedns and waits until it is ready.
func startKubedns(t *testing.T, api string) *kubedns {
	t.Helper()
	ports := addon.FreePorts(t, 3)
	k := &kubedns{
		addr:      fmt.Sprintf("127.0.0.1:%d", ports[0]),
		readiness: fmt.Sprintf("http://127.0.0.1:%d/readiness", ports[1]),
		metrics:   fmt.Sprintf("http://127.0.0.1:%d/metrics", ports[2]),
	}
	k.Process = addon.StartEnv(t, []string{"PROMETHEUS_PORT=" + strconv.Itoa(ports[2])}, filepath.Join(bin, "kubedns"), "--kube-master-url="+api, "--domain=cluster.local.", "--nameservers=none",
		"--dns-bind-address=127.0.0.1", "--dns-port="+strconv.Itoa(ports[0]), "--healthz-port="+strconv.Itoa(ports[1]), "--debug-address=")
	k.WaitURL(t, k.readiness, time.Minute)
	return k
}

// compare waits until all answers of live equal those of fresh, and returns their number.
// Nothing changes afterwards, so the answers must stay the same.
func compare(t *testing.T, all []question, live, fresh *kubedns) int {
	t.Helper()
	left := all
	a, b := dial(t, live.addr), dial(t, fresh.addr)
	defer a.Close()
	defer b.Close()
	for limit := time.Now().Add(settleLimit); ; time.Sleep(50 * time.Millisecond) {
		late := time.Now().After(limit) // asking everything may take longer than limit
		left = slices.DeleteFunc(slices.Clone(left), func(q question) bool { return a.ask(t, q) == b.ask(t, q) })
		if len(left) == 0 {
			break
		}
		if late {
			for _, q := range left[:min(len(left), 5)] {
				t.Errorf("%s %s:\n%s\na fresh start says\n%s", q.name, dns.TypeToString[q.typ], a.ask(t, q), b.ask(t, q))
			}
			t.Fatalf("%d of %d answers are not those of a fresh start", len(left), len(all))
		}
	}
	for _, q := range all {
		if x, y := a.ask(t, q), b.ask(t, q); x != y {
			t.Errorf("%s %s became:\n%s\na fresh start says\n%s", q.name, dns.TypeToString[q.typ], x, y)
		}
	}
	return len(all)
}

// conn asks over one TCP connection.
type conn struct{ *dns.Conn }

func dial(t *testing.T, addr string) conn {
	t.Helper()
	c, err := (&dns.Client{Net: "tcp", Timeout: answerLimit}).Dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	return conn{c}
}

// ask returns a reply as text, records sorted.
func (c conn) ask(t *testing.T, q question) string {
	t.Helper()
	_ = c.SetDeadline(time.Now().Add(answerLimit)) // an error shows below
	if err := c.WriteMsg(new(dns.Msg).SetQuestion(q.name, q.typ)); err != nil {
		t.Fatal(err)
	}
	m, err := c.ReadMsg()
	if err != nil {
		t.Fatal(err)
	}
	lines := []string{dns.RcodeToString[m.Rcode]}
	for _, rr := range append(m.Answer, m.Extra...) {
		lines = append(lines, rr.String())
	}
	slices.Sort(lines[1:])
	return strings.Join(lines, "\n")
}

// asker keeps asking for names that do not change.
type asker struct {
	asked atomic.Int64
	end   context.CancelFunc
	wg    sync.WaitGroup
}

func startAsking(t *testing.T, addr string) *asker {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	a := &asker{end: cancel}
	a.wg.Go(func() {
		client := dns.Client{Timeout: answerLimit}
		faults := 0
		for n := 0; ctx.Err() == nil && faults < 10; n++ {
			name, want := stableAnswer(n % stable)
			m, _, err := client.ExchangeContext(ctx, new(dns.Msg).SetQuestion(name, dns.TypeA), addr)
			switch {
			case ctx.Err() != nil:
				return
			case err != nil:
				faults++
				t.Errorf("%s: %v", name, err)
			case len(m.Answer) != 1 || !strings.HasSuffix(m.Answer[0].String(), "\t"+want):
				faults++
				t.Errorf("%s: %s %v, want %s", name, dns.RcodeToString[m.Rcode], m.Answer, want)
			}
			a.asked.Add(1)
			time.Sleep(2 * time.Millisecond)
		}
	})
	t.Cleanup(a.stop)
	return a
}

func (a *asker) stop() {
	a.end()
	a.wg.Wait()
}

// resident returns the resident memory of a process in KiB.
func resident(t *testing.T, pid int) int {
	t.Helper()
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
			if err != nil {
				t.Fatal(err)
			}
			return kib
		}
	}
	t.Fatalf("no VmRSS in\n%s", content)
	return 0
}
