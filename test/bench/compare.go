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
)

// settings are the flags of compare.
type settings struct {
	rounds  int
	scale   float64
	only    string
	sockets int
	window  int
}

// session is one run of compare.
type session struct {
	settings
	programs programs
	upstream netip.AddrPort  // asked by what forwards
	secure   *secureUpstream // the same over TLS

	stdout, stderr io.Writer

	judged int      // budgets
	over   []string // those of them that are missed
}

// section is a part of the output: one or several tables.
type section struct {
	name string // for -only, which takes what comes before the dash too
	run  func(context.Context) error
}

func runCompare(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := flag.NewFlagSet("compare", flag.ContinueOnError)
	fs.SetOutput(stderr)
	s := &session{stdout: stdout, stderr: stderr}
	names := make([]string, 0, 10)
	for _, sec := range s.sections() {
		names = append(names, sec.name)
	}
	bin := fs.String("bin", "bin", "`folder` with dnscache and kubedns")
	coredns := fs.String("coredns", "", "`path` of CoreDNS; without it CoreDNS is left out")
	fs.IntVar(&s.settings.rounds, "rounds", 5, "rounds; each server is measured once in each")
	fs.Float64Var(&s.scale, "scale", 1, "factor on the number of questions")
	fs.StringVar(&s.only, "only", "", "measure only these (comma-separated; what is before a dash means all that begin so): "+strings.Join(slices.Compact(names), ", "))
	fs.IntVar(&s.sockets, "sockets", 8, "client ports")
	fs.IntVar(&s.window, "window", 8, "outstanding questions of each port")
	if err := fs.Parse(args); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	if s.settings.rounds < 1 || s.scale <= 0 || fs.NArg() != 0 {
		return fmt.Errorf("%w: want at least one round, a positive scale and no other arguments", errUsage)
	}
	for only := range strings.SplitSeq(s.only, ",") {
		if !slices.ContainsFunc(s.sections(), func(sec section) bool { return sec.wanted(only) }) {
			return fmt.Errorf("%w: -only: there is no %q", errUsage, only)
		}
	}
	var err error
	if s.programs, err = findPrograms(*bin, *coredns, stderr); err != nil {
		return err
	}
	up, err := listener.Listen(listener.Config{
		Addrs: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, Handler: upstream{ttl: 3600},
	})
	if err != nil {
		return err
	}
	s.upstream = up.Addrs()[0]
	if s.secure, err = newSecureUpstream(); err != nil {
		return err
	}
	defer s.secure.close()
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- up.Run(ctx) }()
	err = s.compare(ctx)
	cancel()
	return errors.Join(err, <-ended)
}

// wanted reports whether -only, a comma-separated list, names the section.
func (sec section) wanted(only string) bool {
	group, _, _ := strings.Cut(sec.name, "-")
	list := strings.Split(only, ",")
	return only == "" || slices.Contains(list, sec.name) || slices.Contains(list, group)
}

// sections are all parts, in the order in which they are printed.
func (s *session) sections() []section {
	var list []section
	for _, sc := range s.scenarios() {
		list = append(list, section{sc.name, func(ctx context.Context) error {
			rows, err := s.measure(ctx, sc)
			if err == nil && len(rows) > 0 {
				s.printTable(sc, rows)
			}
			return err
		}})
	}
	return append(list, s.clusterSections()...)
}

// compare measures every section and prints its tables.
func (s *session) compare(ctx context.Context) error {
	var errs []error
	began := time.Now()
	for _, sec := range s.sections() {
		if !sec.wanted(s.only) || ctx.Err() != nil {
			continue
		}
		if err := sec.run(ctx); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", sec.name, err))
		}
	}
	fmt.Fprintf(s.stdout, "\n%d of %d budgets are missed, after %v\n", len(s.over), s.judged, time.Since(began).Round(time.Second))
	for _, line := range s.over {
		fmt.Fprintln(s.stdout, "  "+line)
	}
	return errors.Join(errs...)
}

// findPrograms finds the programs to compare. It reports missing ones on stderr; they are
// left out of the comparison.
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
