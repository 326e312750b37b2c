package options

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestSplitNanny(t *testing.T) {
	for _, tt := range []struct {
		args, nanny, dnsmasq string
		found                bool
	}{
		{"a b -- c d", "a b", "c d", true},
		{"a --", "a", "", true},
		{"-- c -- d", "", "c -- d", true},
		{"c d", "", "c d", false},
		{"", "", "", false},
	} {
		nanny, dnsmasq, found := SplitNanny(strings.Fields(tt.args))
		if !slices.Equal(nanny, strings.Fields(tt.nanny)) || !slices.Equal(dnsmasq, strings.Fields(tt.dnsmasq)) || found != tt.found {
			t.Errorf("SplitNanny(%s) = %q, %q, %v; want %q, %q, %v", tt.args, nanny, dnsmasq, found, tt.nanny, tt.dnsmasq, tt.found)
		}
	}
}

func TestLameduckAfterNanny(t *testing.T) {
	for _, tt := range []struct {
		args string
		want time.Duration
	}{
		{"-k --cache-size=1000", NannyLameduck},
		{"-k --lameduck=1m", time.Minute},
		{"-k --lameduck=0", 0},
	} {
		got, err := ParseAfterNanny(strings.Fields(tt.args), NoFiles())
		if err != nil || got.Own.Lameduck != tt.want {
			t.Errorf("ParseAfterNanny(%s): lame duck for %v, %v; want %v", tt.args, got.Own.Lameduck, err, tt.want)
		}
		plain, err := Parse([]string{"-k"}, NoFiles())
		if err != nil || plain.Own.Lameduck != 0 {
			t.Errorf("Parse(-k): lame duck for %v, %v; want none", plain.Own.Lameduck, err)
		}
	}
}

func TestParseNanny(t *testing.T) {
	for _, tt := range []struct {
		name, args string
		want       func(n *Nanny)
	}{
		{"none", "", func(*Nanny) {}},
		{"addon", "-v=2 -logtostderr -configDir=/etc/k8s/dns/dnsmasq-nanny -restartDnsmasq=true", func(n *Nanny) { n.Verbosity, n.ApplyChanges = 2, true }},
		{"an IPv4 address in brackets", "--kubednsServer=[10.96.0.11]:53", func(n *Nanny) { n.KubeDNSServer = "10.96.0.11:53" }},
		{"an IPv6 address", "--kubednsServer=[fd00::11]:53", func(n *Nanny) { n.KubeDNSServer = "[fd00::11]:53" }},
		{"two dashes and values apart", "--configDir /c --syncInterval 3s --kubednsServer=127.0.0.1:1 --logInterval 1m", func(n *Nanny) {
			n.ConfigDir, n.SyncInterval, n.KubeDNSServer, n.LogInterval = "/c", 3*time.Second, "127.0.0.1:1", time.Minute
		}},
		{"klog", "-dnsmasqExec=/usr/sbin/dnsmasq -stderrthreshold=INFO -vmodule=a=1 -log_dir=/x -alsologtostderr=false", func(*Nanny) {}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := NannyDefaults()
			tt.want(&want)
			got, err := ParseNanny(strings.Fields(tt.args))
			if err != nil || got != want {
				t.Errorf("ParseNanny(%s) = %+v, %v; want %+v", tt.args, got, err, want)
			}
		})
	}
	for _, args := range []string{"-k", "-v=x", "word", "-configDir", "-syncInterval=0s", "-logInterval=-1s", "-help"} {
		if _, err := ParseNanny(strings.Fields(args)); err == nil {
			t.Errorf("ParseNanny(%s) accepts it", args)
		} else if text, exit := Report("p", err); exit != ExitConfig || !strings.HasPrefix(text, "\np: bad command line options: try --help\np: before --: ") {
			t.Errorf("ParseNanny(%s) reports %q, %d", args, text, exit)
		}
	}
}

func TestParseResolvConf(t *testing.T) {
	got := ParseResolvConf([]byte("# c\nsearch a.b\nnameserver 1.2.3.4 # x\nserver ::1\n nameserver fe80::1%eth0\nnameserver 1.2.3.4\nnameserver name\nnameserver 1.2.3.4#53\nnameserver\noptions ndots:5\n"))
	var texts []string
	for _, a := range got {
		texts = append(texts, a.String())
	}
	if want := []string{"1.2.3.4", "::1", "fe80::1%eth0"}; !slices.Equal(texts, want) {
		t.Errorf("servers %q, want %q", texts, want)
	}
}

// Flags of dnsmasq-nanny without -- must not be taken for dnsmasq's short
// options: -v would print the version and end well.
func TestMisplacedNannyFlag(t *testing.T) {
	for words, want := range map[string]string{
		"-v=2 -logtostderr -configDir=/etc/k8s/dns/dnsmasq-nanny -restartDnsmasq=true": "-v=2 is a flag",
		"-logtostderr -v=2 -k":                  "-logtostderr is a flag",
		"--restartDnsmasq -k --cache-size=1000": "--restartDnsmasq is a flag",
		"-k -restartDnsmasq":                    "-restartDnsmasq is a flag",
		"--v=2":                                 "--v=2 is a flag",
		"-v":                                    "",
		"--version":                             "",
		"-kv":                                   "",
		"-k --cache-size=1000 --server=/a/1.2.3.4":   "",
		"--log-facility=- -v 2":                      "",
		"--conf-file=/x/configDir -r /x/logInterval": "",
	} {
		for _, after := range []bool{false, true} {
			err := MisplacedNannyFlag(strings.Fields(words), after)
			if (err != nil) != (want != "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", words, err, want)
			}
		}
	}
}
