package options

import (
	"bytes"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/kube-dns/kube-dns/pkg/autopath"
	"github.com/kube-dns/kube-dns/pkg/dnsconfig"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

func noEnv(string) string { return "" }

func defaults() Options {
	return Options{
		Domain: dnsname.MustParse("cluster.local."), BindAddress: netip.MustParseAddr("0.0.0.0"), DNSPort: 53,
		ConfigNamespace: "kube-system", ConfigPeriod: 10 * time.Second, SyncTimeout: time.Minute,
		TTL: 30 * time.Second, NegativeTTL: 5 * time.Second, Wildcards: true, Autopath: autopath.Off, HealthzPort: 8081, DebugAddress: "127.0.0.1:6060",
		Metrics: Metrics{Path: "/metrics", Namespace: "skydns", Subsystem: "skydns"}, LogFormat: "text",
	}
}

// longDomain is as long as a domain may be.
var longDomain = strings.Repeat("a.", 113) + "bb"

func TestParseOptions(t *testing.T) {
	tests := []struct {
		name string
		args string
		want func(o *Options)
	}{
		{"defaults", "", func(*Options) {}},
		{"domain with dot", "--domain=a.b.", func(o *Options) { o.Domain = dnsname.MustParse("a.b.") }},
		{"domain without dot", "--domain=a.b", func(o *Options) { o.Domain = dnsname.MustParse("a.b.") }},
		{"long domain", "--domain=" + longDomain, func(o *Options) { o.Domain = dnsname.MustParse(longDomain) }},
		{"clusterset domain", "--clusterset-domain=clusterset.local", func(o *Options) { o.ClusterSetDomain = dnsname.MustParse("clusterset.local.") }},
		{"autopath", "--autopath=cluster", func(o *Options) { o.Autopath = autopath.Cluster }},
		{"autopath for all names", "--autopath=all --autopath-searches=corp.internal,b.", func(o *Options) {
			o.Autopath, o.AutopathSearches = autopath.All, []dnsname.Name{dnsname.MustParse("corp.internal."), dnsname.MustParse("b.")}
		}},
		{"no searches", "--autopath-searches=", func(o *Options) { o.AutopathSearches = []dnsname.Name{} }},
		{"single dash", "-domain=a.b -dns-port=10053 -healthz-port 8082", func(o *Options) {
			o.Domain, o.DNSPort, o.HealthzPort = dnsname.MustParse("a.b."), 10053, 8082
		}},
		{"underscores", "--dns_port=10053 -config_dir=/etc/x", func(o *Options) { o.DNSPort, o.ConfigDir = 10053, "/etc/x" }},
		{"value as its own argument", "--dns-port 10053", func(o *Options) { o.DNSPort = 10053 }},
		{"v6 bind address", "--dns-bind-address=[::1]", func(o *Options) { o.BindAddress = netip.MustParseAddr("::1") }},
		{"v4 bind address written as v6", "--dns-bind-address=::ffff:0.0.0.0", func(o *Options) { o.BindAddress = netip.MustParseAddr("0.0.0.0") }},
		{"v6 bind address, no brackets", "--dns-bind-address=::1", func(o *Options) { o.BindAddress = netip.MustParseAddr("::1") }},
		{"nameservers", "--nameservers=8.8.8.8,8.8.4.4:5353,[2001:db8::1]:54,2001:db8::2", func(o *Options) {
			for _, s := range []string{"8.8.8.8:53", "8.8.4.4:5353", "[2001:db8::1]:54", "[2001:db8::2]:53"} {
				o.Nameservers = append(o.Nameservers, dnsconfig.Server{Addr: netip.MustParseAddrPort(s)})
			}
		}},
		{"nameserver over TLS", "--nameservers=tls://192.0.2.1%dns.example.net", func(o *Options) {
			o.Nameservers = []dnsconfig.Server{{Addr: netip.MustParseAddrPort("192.0.2.1:853"), TLS: true, TLSName: "dns.example.net"}}
		}},
		{"no nameservers", "--nameservers=none", func(o *Options) { o.NoNameserver = true }},
		{"loopback nameserver is kept", "--nameservers=127.0.0.1:5353", func(o *Options) {
			o.Nameservers = []dnsconfig.Server{{Addr: netip.MustParseAddrPort("127.0.0.1:5353")}}
		}},
		{"federations", "--federations=a=b,c=d.e", func(o *Options) { o.Federations = map[string]string{"a": "b", "c": "d.e"} }},
		{"config map", "--config-map=kube-dns --config-map-namespace=x", func(o *Options) { o.ConfigMap, o.ConfigNamespace = "kube-dns", "x" }},
		{"config dir", "--config-dir=/c --config-period=1s", func(o *Options) { o.ConfigDir, o.ConfigPeriod = "/c", time.Second }},
		{"api server", "--kubecfg-file=/k --kube-master-url=http://127.0.0.1:8080", func(o *Options) {
			o.Kubeconfig, o.MasterURL = "/k", "http://127.0.0.1:8080"
		}},
		{"objects", "--objects=dir", func(o *Options) { o.ObjectsPath = "dir" }},
		{"sync timeout", "--initial-sync-timeout=5s", func(o *Options) { o.SyncTimeout = 5 * time.Second }},
		{"ours", "--ttl=5s --negative-ttl=30s --wildcards=false --lameduck=20s --debug-address=", func(o *Options) {
			o.TTL = 5 * time.Second
			o.NegativeTTL, o.Wildcards, o.Lameduck, o.DebugAddress = 30*time.Second, false, 20*time.Second, ""
		}},
		{"profiling", "--profiling --debug-address=", func(*Options) {}},
		{"log format", "--log-format=json", func(o *Options) { o.LogFormat = "json" }},
		{"level, long", "--v=2", func(o *Options) { o.Verbosity = 2 }},
		{"level, short", "-v=2", func(o *Options) { o.Verbosity = 2 }},
		{"level, own argument", "-v 2", func(o *Options) { o.Verbosity = 2 }},
		{"old logging flags", "--logtostderr=true -alsologtostderr --vmodule=a=1 --stderrthreshold=2 --log_dir=/x --log-flush-frequency=1s", func(o *Options) {
			o.Ignored = []string{"--alsologtostderr", "--log-dir", "--log-flush-frequency", "--logtostderr", "--stderrthreshold", "--vmodule"}
		}},
		{"version", "--version", func(o *Options) { o.Version = "true" }},
		{"version raw", "--version=raw", func(o *Options) { o.Version = "raw" }},
		{"all of the addon's manifest", "--domain=cluster.local. --dns-port=10053 --config-dir=/kube-dns-config --v=2", func(o *Options) {
			o.DNSPort, o.ConfigDir, o.Verbosity = 10053, "/kube-dns-config", 2
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Parse(strings.Fields(tt.args), noEnv, &bytes.Buffer{})
			if err != nil {
				t.Fatalf("%s: %v", tt.args, err)
			}
			want := defaults()
			tt.want(&want)
			if want.Version != "" { // no other flag has an effect
				want = Options{Version: want.Version}
				got = &Options{Version: got.Version}
			}
			if diff := cmp.Diff(want, *got, cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{})); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tt.args, diff)
			}
		})
	}
}

// A value of the wrong form is named with the form that is right, not with a function of Go.
func TestWrongFormIsInPlainWords(t *testing.T) {
	for args, want := range map[string]string{
		"--v=x":                              "--v=x: want a whole number",
		"-v x":                               "--v=x: want a whole number",
		"--dns_port=53.5":                    "--dns-port=53.5: want a whole number",
		"-healthz-port=99999999999999999999": "want a whole number of at most 64 bits",
		"--ttl=30":                           "--ttl=30: want a duration such as 30s",
		"--wildcards=maybe":                  "--wildcards=maybe: want true or false",
		"--log-file-max-size=-1":             "--log-file-max-size=-1: want a whole number",
		"--nosuch=1":                         "unknown flag: --nosuch",
		"--domain":                           "flag needs an argument",
	} {
		_, err := Parse(strings.Fields(args), noEnv, &bytes.Buffer{})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "strconv") {
			t.Errorf("%s: %v, want %s", args, err, want)
		}
	}
}

func TestParseOptionsRejects(t *testing.T) {
	tests := []struct{ args, want string }{
		{"--domain=Cluster.Local", "--domain"},
		{"--domain=a_b", "--domain"},
		{"--domain=", "--domain"},
		{"--domain=x" + longDomain, "--domain=x" + longDomain + ": must have at most 228 characters"},
		{"--domain=a..b", "--domain"},
		{"--clusterset-domain=Clusterset", "--clusterset-domain"},
		{"--clusterset-domain=.", "--clusterset-domain"},
		{"--clusterset-domain=cluster.local", "--clusterset-domain"},
		{"--clusterset-domain=set.cluster.local.", "--clusterset-domain"},
		{"--clusterset-domain=local", "--clusterset-domain"},
		{"--clusterset-domain=x" + longDomain, "--clusterset-domain"},
		{"--dns-port=0", "--dns-port"},
		{"--dns-port=65536", "--dns-port"},
		{"--dns-port=x", "--dns-port"},
		{"--healthz-port=-1", "--healthz-port"},
		{"--log-format=xml", "--log-format=xml: \"xml\" is not a format"},
		{"--dns-bind-address=localhost", "--dns-bind-address"},
		{"--nameservers=example.com", "--nameservers"},
		{"--autopath-searches=a_b.c", "--autopath-searches=a_b.c: search entry"},
		{"--autopath=on", "--autopath"},
		{"--autopath=", "--autopath"},
		{"--nameservers=1.2.3.4:0", "--nameservers"},
		{"--nameservers=1.2.3.4,", "--nameservers"},
		{"--nameservers=none,1.2.3.4", "--nameservers"},
		{"--nameservers=tls://192.0.2.1,192.0.2.2", "--nameservers"},
		{"--federations=a", "--federations"},
		{"--kube-master-url=nohost", "--kube-master-url"},
		{"--config-map=a --config-dir=b", "--config-dir"},
		{"--config-period=0s", "--config-period"},
		{"--config-period=10", "--config-period"},
		{"--objects=x --kubecfg-file=y", "--objects"},
		{"--ttl=-1s", "--ttl"},
		{"--ttl=2h", "--ttl"},
		{"--ttl=1500ms", "--ttl"},
		{"--ttl=30", "--ttl"},
		{"--negative-ttl=-1s", "--negative-ttl"},
		{"--negative-ttl=2h", "--negative-ttl"},
		{"--lameduck=-1s", "--lameduck"},
		{"--initial-sync-timeout=-1s", "--initial-sync-timeout"},
		{"--debug-address=6060", "--debug-address"},
		{"--debug-address=127.0.0.1:65536", "--debug-address=127.0.0.1:65536: the port must be a number"},
		{"--debug-address=127.0.0.1:", "--debug-address=127.0.0.1:: the port must be a number"},
		{"--version=what", "--version"},
		{"--no-such-flag", "no-such-flag"},
		{"-no-such-flag", "no-such-flag"},
		{"extra", "extra"},
	}
	for _, tt := range tests {
		if o, err := Parse(strings.Fields(tt.args), noEnv, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %+v, error %v does not name %s", tt.args, o, err, tt.want)
		}
	}
	_, err := Parse([]string{"--domain=A", "--dns-port=0", "--negative-ttl=-1s"}, noEnv, &bytes.Buffer{})
	for _, flag := range []string{"--domain", "--dns-port", "--negative-ttl"} {
		if err == nil || !strings.Contains(err.Error(), flag) {
			t.Errorf("of several faults, %s is not told: %v", flag, err)
		}
	}
}

// In a Pod, the program goes on answering after SIGTERM, so that all nodes can learn that it is
// ending.
func TestLameduckDefault(t *testing.T) {
	inPod := func(name string) string { return map[string]string{"KUBERNETES_SERVICE_HOST": "10.96.0.1"}[name] }
	tests := []struct {
		args   string
		getenv func(string) string
		want   time.Duration
	}{
		{"", noEnv, 0},
		{"", inPod, PodLameduck},
		{"--lameduck=0s", inPod, 0},
		{"--lameduck=20s", inPod, 20 * time.Second},
		{"--objects=dir", inPod, 0},
	}
	for _, tt := range tests {
		o, err := Parse(strings.Fields(tt.args), tt.getenv, &bytes.Buffer{})
		if err != nil || o.Lameduck != tt.want {
			t.Errorf("%q: lame duck for %v, %v; want %v", tt.args, o.Lameduck, err, tt.want)
		}
	}
}

func TestEnvironmentVariables(t *testing.T) {
	env := func(pairs ...string) func(string) string {
		return func(name string) string {
			for i := 0; i < len(pairs); i += 2 {
				if pairs[i] == name {
					return pairs[i+1]
				}
			}
			return ""
		}
	}
	o, err := Parse(nil, env("PROMETHEUS_PORT", "10055", "PROMETHEUS_PATH", "/m", "PROMETHEUS_NAMESPACE", "n", "PROMETHEUS_SUBSYSTEM", "s"), &bytes.Buffer{})
	if want := (Metrics{Port: 10055, Path: "/m", Namespace: "n", Subsystem: "s"}); err != nil || o.Metrics != want {
		t.Errorf("metrics %+v, %v; want %+v", o, err, want)
	}
	for name, value := range map[string]string{"PROMETHEUS_PORT": "x", "PROMETHEUS_PATH": "metrics"} {
		if _, err := Parse(nil, env(name, value), &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s=%s: error %v does not name it", name, value, err)
		}
	}
	t.Setenv("KUBE_HOST_FOR_TEST", "127.0.0.1:8080")
	if got, err := parseMasterURL("http://$KUBE_HOST_FOR_TEST"); err != nil || got != "http://127.0.0.1:8080" {
		t.Errorf("master URL %q, %v", got, err)
	}
}

func TestHelp(t *testing.T) {
	for _, arg := range []string{"--help", "-help", "-h"} {
		var out bytes.Buffer
		_, err := Parse([]string{arg}, noEnv, &out)
		if !errors.Is(err, ErrHelp) {
			t.Errorf("%s: error %v", arg, err)
		}
		for _, want := range []string{"--domain", "--objects", "--nameservers", "--lameduck", "PROMETHEUS_PORT"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s does not mention %s", arg, want)
			}
		}
	}
}

func TestLogLevel(t *testing.T) {
	for v, want := range map[int]slog.Level{0: slog.LevelInfo, 2: -2, 3: slog.LevelDebug, 4: slog.LevelDebug, 6: -6, -1: slog.LevelInfo} {
		if got := (&Options{Verbosity: v}).LogLevel(); got != want {
			t.Errorf("-v=%d: level %v, want %v", v, got, want)
		}
	}
}
