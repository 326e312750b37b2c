package main

import (
	"path/filepath"
	"regexp"
	"syscall"
	"testing"

	"github.com/kube-dns/kube-dns/test/dnstest"
)

// TestSignalLogsCache: SIGUSR1 logs the table with --log-queries, and does not log it without.
func TestSignalLogsCache(t *testing.T) {
	up := upstreamServer(t, "192.0.2.1", nil)
	const table = `Host {27}Address {34}Flags {6}Expires {18}Source`
	quiet := start(t, "--server="+up.option())
	quiet.answers("a.example")
	quiet.signals <- syscall.SIGUSR1
	quiet.logged(`server .*: queries sent 1, .*`)
	quiet.signals <- syscall.SIGHUP // handled after the first signal
	quiet.logged(`cleared cache`)
	if text := quiet.log.String(); regexp.MustCompile(table).MatchString(text) {
		t.Errorf("the cache is logged without --log-queries:\n%s", text)
	}
	hosts := filepath.Join(t.TempDir(), "hosts")
	dnstest.Replace(t, hosts, "1.2.3.4 again.example\n1.2.3.5 file.example h.example\n1.2.3.4 h.example\n")
	in := start(t, "--log-queries", "--host-record=h.example,1.2.3.4", "--cname=c.example,h.example", "--server="+up.option(), "--no-hosts", "--addn-hosts="+hosts)
	in.answers("a.example")
	in.signals <- syscall.SIGUSR1
	in.logged(table)
	in.logged(`-{30} -{40} -{10} -{24} -{12}`)
	in.logged(`h\.example {22}1\.2\.3\.4 {34}4FRI   HC`)
	in.logged(`c\.example {22}h\.example {32}CF I    C`)
	in.logged(`again\.example {18}1\.2\.3\.4 {34}4F I   H +` + regexp.QuoteMeta(hosts)) // the record's name is that of the address
	in.logged(`file\.example {19}1\.2\.3\.5 {34}4FRI   H +` + regexp.QuoteMeta(hosts))
	in.logged(`a\.example {22}192\.0\.2\.1 {32}4F {9}\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}`)
}
