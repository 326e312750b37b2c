package main

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/dnscache/files"
	"github.com/kube-dns/kube-dns/test/dnstest"
	"github.com/kube-dns/kube-dns/test/dnstest/logtest"
)

// --log-debug logs debug messages.
func TestLogDebug(t *testing.T) {
	for _, args := range [][]string{{"--conf-file="}, {"--conf-file=", "--log-debug"}} {
		o, nanny, err := files.ParseArgs(t.Context(), args, nil, &bytes.Buffer{})
		if err != nil {
			t.Fatal(err)
		}
		log, text := logtest.Open(t)
		a := &app{options: o, nanny: nanny, log: log}
		a.openLog()
		a.logger.Log(context.Background(), slog.LevelDebug, "a detail", "key", 1)
		want := ""
		if len(args) > 1 {
			want = "a detail key=1\n"
		}
		if got := text(); got != want {
			t.Errorf("%v: %q, want %q", args, got, want)
		}
	}
}

// --no-hosts: a name in this host's own /etc/hosts is not known.
func TestNoHosts(t *testing.T) {
	text, err := os.ReadFile("/etc/hosts")
	if err != nil || !regexp.MustCompile(`(?m)^127\.0\.0\.1\s.*\blocalhost\b`).Match(text) {
		t.Fatalf("/etc/hosts has no localhost: %v\n%s", err, text)
	}
	if got := start(t, "--addn-hosts=/dev/null").answers("localhost"); !strings.Contains(got, "127.0.0.1") {
		t.Errorf("with /etc/hosts: %s", got)
	}
	if got := start(t, "--addn-hosts=/dev/null", "--no-hosts").answers("localhost"); strings.Contains(got, "127.0.0.1") {
		t.Errorf("with --no-hosts: %s", got)
	}
}

// --no-poll: a changed resolv.conf is not read before SIGHUP. A second program without the
// option shows when it could have been read.
func TestNoPoll(t *testing.T) {
	file := filepath.Join(t.TempDir(), "resolv.conf")
	dnstest.Replace(t, file, "nameserver 192.0.2.1\n")
	in, polling := start(t, "--resolv-file="+file, "--no-poll"), start(t, "--resolv-file="+file)
	for _, i := range []*instance{in, polling} {
		i.logged(`using nameserver 192\.0\.2\.1#53`)
	}
	for n, server := range []string{"192.0.2.2", "192.0.2.3"} {
		dnstest.Replace(t, file, "nameserver "+server+"\n"+strings.Repeat("#\n", n))
		polling.logged("using nameserver " + regexp.QuoteMeta(server) + "#53")
	}
	if strings.Contains(in.log.String(), "192.0.2.2") {
		t.Errorf("the change was seen:\n%s", in.log)
	}
	in.signals <- syscall.SIGHUP
	in.logged(`using nameserver 192\.0\.2\.3#53`)
}

// --nxdomain-cut: no server is asked about names below a name that does not exist.
func TestNXDomainCut(t *testing.T) {
	for _, cut := range []bool{false, true} {
		up := upstreamServer(t, "", func(m *dns.Msg) bool {
			m.Rcode = dns.RcodeNameError
			m.Ns = append(m.Ns, record("ex. 60 SOA ns.ex. h.ex. 1 2 3 4 60"))
			return true
		})
		args := []string{"--server=" + up.option()}
		if cut {
			args = append(args, "--nxdomain-cut")
		}
		in := start(t, args...)
		for _, name := range []string{"gone.ex", "www.gone.ex", "other.ex"} {
			if got := in.answers(name); got != "NXDOMAIN" {
				t.Errorf("%s: %s", name, got)
			}
		}
		if asked := up.count("www.gone.ex. A") == 1; asked == cut {
			t.Errorf("cut %v: the name below was asked for: %v", cut, asked)
		}
		if up.count("other.ex. A") != 1 {
			t.Errorf("cut %v: the name beside was not asked for", cut)
		}
	}
}
