package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kube-dns/kube-dns/pkg/listener"
	"github.com/kube-dns/kube-dns/test/bench/load"
)

// askLimit bounds the time of one run of questions.
const askLimit = 2 * time.Minute

// scenario is one kind of query, put to several servers.
type scenario struct {
	name, title string
	peers       []peer
	pattern     string
	distinct    int // names asked in turn; 0: every question has a new name
	warm        int // questions before the measured ones, of the same kind
	count       int // measured questions per server and round
	tcp         bool
	budgets     []budget
}

// budget is a row of DESIGN.md §6: ours takes at most factor times theirs.
type budget struct {
	ours, theirs string
	factor       float64
}

// settings are the flags of compare.
type settings struct {
	rounds  int
	scale   float64
	only    string
	sockets int
	window  int
}

func runCompare(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := flag.NewFlagSet("compare", flag.ContinueOnError)
	fs.SetOutput(stderr)
	var set settings
	bin := fs.String("bin", "bin", "`folder` with dnscache and kubedns")
	coredns := fs.String("coredns", "", "`path` of CoreDNS; without it CoreDNS is left out")
	fs.IntVar(&set.rounds, "rounds", 5, "rounds; each server is measured once in each")
	fs.Float64Var(&set.scale, "scale", 1, "factor on the number of questions")
	fs.StringVar(&set.only, "only", "", "measure only these of cached, tcp, forwarded, cluster and growth (comma-separated)")
	fs.IntVar(&set.sockets, "sockets", 8, "client ports")
	fs.IntVar(&set.window, "window", 8, "outstanding questions of each port")
	if err := fs.Parse(args); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	if set.rounds < 1 || set.scale <= 0 || fs.NArg() != 0 {
		return fmt.Errorf("%w: want at least one round, a positive scale and no other arguments", errUsage)
	}
	p, err := findPrograms(*bin, *coredns, stderr)
	if err != nil {
		return err
	}
	up, err := listener.Listen(listener.Config{
		Addrs: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, Handler: upstream{ttl: 3600},
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- up.Run(ctx) }()
	err = compare(ctx, set, scenarios(p, up.Addrs()[0]), stdout, stderr)
	cancel()
	return errors.Join(err, <-ended)
}

// findPrograms says on stderr what is missing; that part is then left out.
func findPrograms(bin, coredns string, stderr io.Writer) (programs, error) {
	self, err := os.Executable()
	if err != nil {
		return programs{}, err
	}
	look := func(candidates ...string) string {
		for _, c := range candidates {
			if c == "" {
				continue
			}
			if path, err := exec.LookPath(c); err == nil {
				if abs, err := filepath.Abs(path); err == nil {
					return abs
				}
			}
		}
		fmt.Fprintln(stderr, "left out, not found:", strings.Join(candidates, " "))
		return ""
	}
	return programs{
		self:     self,
		dnscache: look(filepath.Join(bin, "dnscache")),
		kubedns:  look(filepath.Join(bin, "kubedns")),
		dnsmasq:  look("dnsmasq", "/usr/sbin/dnsmasq"),
		unbound:  look("unbound", "/usr/sbin/unbound"),
		coredns:  look(cmp.Or(coredns, "coredns")),
	}, nil
}

func scenarios(p programs, up netip.AddrPort) []scenario {
	const cache = 10000
	return []scenario{
		{
			name: "cached", title: "cached answer, 1000 names",
			peers: []peer{
				p.echoPeer(), p.dnscachePeer("dnscache", up, cache), p.dnsmasqPeer("dnsmasq", up, cache),
				p.unboundPeer(up), p.corednsPeer(up, cache),
			},
			budgets: []budget{
				{"dnscache", "echo", 1.05},
				{"dnscache", "dnsmasq", 0.88},
				{"dnscache", "unbound", 0.98},
				{"dnscache", "CoreDNS", 0.45},
			},
			pattern: "n%d.example.com", distinct: 1000, warm: 2000, count: 60000,
		},
		{
			name: "tcp", title: "cached answer over TCP, pipelined",
			// dnsmasq ends a connection after 100 queries and answers them in
			// processes of their own, so it is not comparable here.
			peers: []peer{p.echoPeer(), p.dnscachePeer("dnscache", up, cache), p.unboundPeer(up), p.corednsPeer(up, cache)}, tcp: true,
			pattern: "n%d.example.com", distinct: 1000, warm: 2000, count: 30000,
		},
		{
			name: "forwarded", title: "forwarded answer, every name new",
			peers: []peer{
				p.dnscachePeer("dnscache", up, cache), p.dnsmasqPeer("dnsmasq-nocache", up, 0), p.dnsmasqPeer("dnsmasq-full", up, cache),
				p.unboundPeer(up), p.corednsPeer(up, cache),
			},
			budgets: []budget{
				{"dnscache", "dnsmasq-nocache", 0.65}, {"dnscache", "unbound", 0.55}, {"dnscache", "CoreDNS", 0.50},
			},
			pattern: "n%d.distinct.example.com", warm: 12000, count: 12000,
		},
		{
			name: "cluster", title: "in-cluster answer, 1000 Services",
			peers:   []peer{p.echoPeer(), p.kubednsPeer("kubedns", 1000)},
			budgets: []budget{{"kubedns", "echo", 1.3}},
			pattern: "web%d.default.svc.cluster.local", distinct: 1000, warm: 2000, count: 60000,
		},
		{
			name: "growth", title: "in-cluster answer, 10 and 50 000 Services",
			peers:   []peer{p.kubednsPeer("kubedns-10", 10), p.kubednsPeer("kubedns-50k", 50000)},
			budgets: []budget{{"kubedns-50k", "kubedns-10", 1.15}},
			pattern: "web%d.default.svc.cluster.local", distinct: 10, warm: 2000, count: 60000,
		},
		{
			name: "growth", title: "cached answer, 10 and 1 000 000 names",
			peers: []peer{
				p.dnscachePeer("dnscache-10", up, cache).asked(10), p.dnscachePeer("dnscache-1M", up, 2000000).asked(1000000),
			},
			budgets: []budget{{"dnscache-1M", "dnscache-10", 1.15}},
			pattern: "n%d.example.com", distinct: 10, warm: 2000, count: 60000,
		},
	}
}

// compare measures every scenario and prints a table for each.
func compare(ctx context.Context, set settings, all []scenario, stdout, stderr io.Writer) error {
	var errs []error
	for _, sc := range all {
		if set.only != "" && !slices.Contains(strings.Split(set.only, ","), sc.name) {
			continue
		}
		rows, err := measure(ctx, set, sc, stderr)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", sc.name, err))
			if ctx.Err() != nil {
				break
			}
			continue
		}
		if len(rows) > 0 {
			printTable(stdout, sc, rows)
		}
	}
	return errors.Join(errs...)
}

// row is what was measured of one server.
type row struct {
	name   string
	perOne []time.Duration // processor time per query, one per round
	rss    int64           // octets, at the end
	failed int             // questions not answered rightly, of all rounds
}

// measure runs one scenario: all its servers at once, asked one after the
// other in each round, so that what disturbs the machine disturbs all.
func measure(ctx context.Context, set settings, sc scenario, stderr io.Writer) ([]row, error) {
	root, err := os.MkdirTemp("", "kube-dns-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(root)
	var running []*process
	defer func() {
		for _, p := range running {
			p.stop()
		}
	}()
	var rows []row
	var configs []load.Config
	var distinct []int
	for _, peer := range sc.peers {
		p, cfg, err := sc.start(ctx, set, root, peer)
		if err != nil {
			return nil, err
		}
		if p == nil {
			continue
		}
		running, rows, configs = append(running, p), append(rows, row{name: peer.name}), append(configs, cfg)
		distinct = append(distinct, cmp.Or(peer.distinct, sc.distinct))
	}
	asked := 0 // number of the next new name
	for round := range set.rounds {
		fmt.Fprintf(stderr, "%s: round %d of %d\n", sc.name, round+1, set.rounds)
		count := max(int(float64(sc.count)*set.scale), 1)
		first := asked // each server is asked for the same names
		for i, p := range running {
			if round == 0 { // later the caches are full
				warm := max(sc.warm, distinct[i])
				if _, err := ask(ctx, configs[i], sc.pattern, asked, warm, distinct[i]); err != nil {
					return nil, fmt.Errorf("%s: %w", p.name, err)
				}
				first = asked + warm
			}
			before, err := p.cpu()
			if err != nil {
				return nil, err
			}
			r, err := ask(ctx, configs[i], sc.pattern, first, count, distinct[i])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", p.name, err)
			}
			after, err := p.cpu()
			if err != nil {
				return nil, err
			}
			rows[i].perOne = append(rows[i].perOne, (after-before)/time.Duration(max(r.Answered, 1)))
			rows[i].failed += r.Lost + r.Wrong
		}
		asked = first + count
	}
	for i, p := range running {
		if rows[i].rss, err = p.rss(); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// start launches one server; a nil process means that it is left out.
func (sc scenario) start(ctx context.Context, set settings, root string, p peer) (*process, load.Config, error) {
	dir := filepath.Join(root, p.name)
	cfg := load.Config{NoAnswers: p.echo, TCP: sc.tcp, Sockets: set.sockets, Window: set.window}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, cfg, err
	}
	var err error
	if cfg.Server, err = freePort(); err != nil {
		return nil, cfg, err
	}
	argv, err := p.argv(dir, cfg.Server)
	if err != nil || argv == nil {
		return nil, cfg, err
	}
	if cfg.Names, err = load.NewPattern(sc.pattern, 1); err != nil {
		return nil, cfg, err
	}
	proc, err := launch(ctx, p.name, dir, argv, cfg)
	return proc, cfg, err
}

// ask puts count questions, numbered from first on: for distinct names in turn,
// or, when that is 0, each for a new one.
func ask(ctx context.Context, cfg load.Config, pattern string, first, count, distinct int) (load.Result, error) {
	var err error
	if cfg.Names, err = load.NewPattern(pattern, distinct); err != nil {
		return load.Result{}, err
	}
	cfg.First, cfg.Count = first, count
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	return load.Run(ctx, cfg)
}
