package main

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

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

func noEnv(string) string { return "" }

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func defaults() options {
	return options{
		domain: dnsname.MustParse("cluster.local."), bindAddress: netip.MustParseAddr("0.0.0.0"), dnsPort: 53,
		configNamespace: "kube-system", configPeriod: 10 * time.Second, syncTimeout: time.Minute,
		ttl: 30 * time.Second, negativeTTL: 5 * time.Second, wildcards: true, healthzPort: 8081, debugAddress: "127.0.0.1:6060",
		metrics: metricsOptions{path: "/metrics", namespace: "skydns", subsystem: "skydns"},
	}
}

func TestParseOptions(t *testing.T) {
	tests := []struct {
		name string
		args string
		want func(o *options)
	}{
		{"defaults", "", func(*options) {}},
		{"domain with dot", "--domain=a.b.", func(o *options) { o.domain = dnsname.MustParse("a.b.") }},
		{"domain without dot", "--domain=a.b", func(o *options) { o.domain = dnsname.MustParse("a.b.") }},
		{"single dash", "-domain=a.b -dns-port=10053 -healthz-port 8082", func(o *options) {
			o.domain, o.dnsPort, o.healthzPort = dnsname.MustParse("a.b."), 10053, 8082
		}},
		{"underscores", "--dns_port=10053 -config_dir=/etc/x", func(o *options) { o.dnsPort, o.configDir = 10053, "/etc/x" }},
		{"value as its own argument", "--dns-port 10053", func(o *options) { o.dnsPort = 10053 }},
		{"v6 bind address", "--dns-bind-address=[::1]", func(o *options) { o.bindAddress = netip.MustParseAddr("::1") }},
		{"v6 bind address, no brackets", "--dns-bind-address=::1", func(o *options) { o.bindAddress = netip.MustParseAddr("::1") }},
		{"nameservers", "--nameservers=8.8.8.8,8.8.4.4:5353,[2001:db8::1]:54,2001:db8::2", func(o *options) {
			for _, s := range []string{"8.8.8.8:53", "8.8.4.4:5353", "[2001:db8::1]:54", "[2001:db8::2]:53"} {
				o.nameservers = append(o.nameservers, netip.MustParseAddrPort(s))
			}
		}},
		{"no nameservers", "--nameservers=none", func(o *options) { o.noNameserver = true }},
		{"loopback nameserver is kept", "--nameservers=127.0.0.1:5353", func(o *options) {
			o.nameservers = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:5353")}
		}},
		{"federations", "--federations=a=b,c=d.e", func(o *options) { o.federations = map[string]string{"a": "b", "c": "d.e"} }},
		{"config map", "--config-map=kube-dns --config-map-namespace=x", func(o *options) { o.configMap, o.configNamespace = "kube-dns", "x" }},
		{"config dir", "--config-dir=/c --config-period=1s", func(o *options) { o.configDir, o.configPeriod = "/c", time.Second }},
		{"api server", "--kubecfg-file=/k --kube-master-url=http://127.0.0.1:8080", func(o *options) {
			o.kubeconfig, o.masterURL = "/k", "http://127.0.0.1:8080"
		}},
		{"objects", "--objects=dir", func(o *options) { o.objectsPath = "dir" }},
		{"sync timeout", "--initial-sync-timeout=5s", func(o *options) { o.syncTimeout = 5 * time.Second }},
		{"ours", "--ttl=5s --negative-ttl=30s --wildcards=false --lameduck=20s --debug-address=", func(o *options) {
			o.ttl = 5 * time.Second
			o.negativeTTL, o.wildcards, o.lameduck, o.debugAddress = 30*time.Second, false, 20*time.Second, ""
		}},
		{"profiling", "--profiling --debug-address=", func(*options) {}},
		{"level, long", "--v=2", func(o *options) { o.verbosity = 2 }},
		{"level, short", "-v=2", func(o *options) { o.verbosity = 2 }},
		{"level, own argument", "-v 2", func(o *options) { o.verbosity = 2 }},
		{"old logging flags", "--logtostderr=true -alsologtostderr --vmodule=a=1 --stderrthreshold=2 --log_dir=/x --log-flush-frequency=1s", func(o *options) {
			o.ignored = []string{"--alsologtostderr", "--log-dir", "--log-flush-frequency", "--logtostderr", "--stderrthreshold", "--vmodule"}
		}},
		{"version", "--version", func(o *options) { o.version = "true" }},
		{"version raw", "--version=raw", func(o *options) { o.version = "raw" }},
		{"all of the addon's manifest", "--domain=cluster.local. --dns-port=10053 --config-dir=/kube-dns-config --v=2", func(o *options) {
			o.dnsPort, o.configDir, o.verbosity = 10053, "/kube-dns-config", 2
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseOptions(strings.Fields(tt.args), noEnv, &bytes.Buffer{})
			if err != nil {
				t.Fatalf("%s: %v", tt.args, err)
			}
			want := defaults()
			tt.want(&want)
			if want.version != "" { // nothing else is looked at
				want = options{version: want.version}
				got = &options{version: got.version}
			}
			if diff := cmp.Diff(want, *got, cmp.AllowUnexported(options{}, metricsOptions{}), cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{})); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tt.args, diff)
			}
		})
	}
}

func TestParseOptionsRejects(t *testing.T) {
	tests := []struct{ args, want string }{
		{"--domain=Cluster.Local", "--domain"},
		{"--domain=a_b", "--domain"},
		{"--domain=", "--domain"},
		{"--domain=a..b", "--domain"},
		{"--dns-port=0", "--dns-port"},
		{"--dns-port=65536", "--dns-port"},
		{"--dns-port=x", "--dns-port"},
		{"--healthz-port=-1", "--healthz-port"},
		{"--dns-bind-address=localhost", "--dns-bind-address"},
		{"--nameservers=example.com", "--nameservers"},
		{"--nameservers=1.2.3.4:0", "--nameservers"},
		{"--nameservers=1.2.3.4,", "--nameservers"},
		{"--nameservers=none,1.2.3.4", "--nameservers"},
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
		{"--version=what", "--version"},
		{"--no-such-flag", "no-such-flag"},
		{"-no-such-flag", "no-such-flag"},
		{"extra", "extra"},
	}
	for _, tt := range tests {
		if o, err := parseOptions(strings.Fields(tt.args), noEnv, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %+v, error %v does not name %s", tt.args, o, err, tt.want)
		}
	}
	_, err := parseOptions([]string{"--domain=A", "--dns-port=0", "--negative-ttl=-1s"}, noEnv, &bytes.Buffer{})
	for _, flag := range []string{"--domain", "--dns-port", "--negative-ttl"} {
		if err == nil || !strings.Contains(err.Error(), flag) {
			t.Errorf("of several faults, %s is not told: %v", flag, err)
		}
	}
}

// In a Pod, SIGTERM leaves time for the nodes to hear of it.
func TestLameduckDefault(t *testing.T) {
	inPod := func(name string) string { return map[string]string{"KUBERNETES_SERVICE_HOST": "10.96.0.1"}[name] }
	tests := []struct {
		args   string
		getenv func(string) string
		want   time.Duration
	}{
		{"", noEnv, 0},
		{"", inPod, podLameduck},
		{"--lameduck=0s", inPod, 0},
		{"--lameduck=20s", inPod, 20 * time.Second},
		{"--objects=dir", inPod, 0},
	}
	for _, tt := range tests {
		o, err := parseOptions(strings.Fields(tt.args), tt.getenv, &bytes.Buffer{})
		if err != nil || o.lameduck != tt.want {
			t.Errorf("%q: lame duck for %v, %v; want %v", tt.args, o.lameduck, err, tt.want)
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
	o, err := parseOptions(nil, env("PROMETHEUS_PORT", "10055", "PROMETHEUS_PATH", "/m", "PROMETHEUS_NAMESPACE", "n", "PROMETHEUS_SUBSYSTEM", "s"), &bytes.Buffer{})
	if want := (metricsOptions{port: 10055, path: "/m", namespace: "n", subsystem: "s"}); err != nil || o.metrics != want {
		t.Errorf("metrics %+v, %v; want %+v", o, err, want)
	}
	for name, value := range map[string]string{"PROMETHEUS_PORT": "x", "PROMETHEUS_PATH": "metrics"} {
		if _, err := parseOptions(nil, env(name, value), &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), name) {
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
		_, err := parseOptions([]string{arg}, noEnv, &out)
		if !errors.Is(err, errHelp) {
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
		if got := (&options{verbosity: v}).logLevel(); got != want {
			t.Errorf("-v=%d: level %v, want %v", v, got, want)
		}
	}
}
