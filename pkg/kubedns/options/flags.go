// Package options reads the command line and the environment of kubedns.
//
// Use [Parse] to get them as typed [Options].
package options

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/kube-dns/kube-dns/pkg/dnsconfig"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/logging"
	"github.com/kube-dns/kube-dns/pkg/records"
	"github.com/kube-dns/kube-dns/pkg/treecache"
)

// Options are the command line and the environment of kubedns as typed values.
type Options struct {
	// Domain is the cluster domain (--domain).
	Domain dnsname.Name
	// ClusterSetDomain is the zone of multi-cluster Services (--clusterset-domain); ""
	// is none.
	ClusterSetDomain dnsname.Name
	// BindAddress is the address to answer DNS on (--dns-bind-address); an
	// unspecified one of either family stands for all addresses of both.
	BindAddress netip.Addr
	// DNSPort is the port for DNS over UDP and TCP (--dns-port).
	DNSPort uint16
	// TLSCA, TLSCert and TLSKey are files for servers over TLS: --tls-ca-file,
	// --tls-cert-file and --tls-key-file.
	TLSCA           []string
	TLSCert, TLSKey string
	// Nameservers are asked about names outside the cluster domain
	// (--nameservers). Empty means those of resolv.conf, unless NoNameserver is
	// set (--nameservers=none): such names are then REFUSED.
	Nameservers  []dnsconfig.Server
	NoNameserver bool

	// Kubeconfig is a file that says how to reach the API server
	// (--kubecfg-file), and MasterURL overrides the address in it
	// (--kube-master-url). Both empty: the Pod's service account.
	Kubeconfig, MasterURL string
	// ObjectsPath is a file or folder of objects to serve instead of an API
	// server's (--objects); "" is none.
	ObjectsPath string

	// Federations maps a federation's name to its domain (--federations).
	Federations map[string]string
	// ConfigMap and ConfigNamespace name the ConfigMap to watch (--config-map,
	// --config-map-namespace); "" is none.
	ConfigMap, ConfigNamespace string
	// ConfigDir is a folder to read the configuration from (--config-dir), every
	// ConfigPeriod (--config-period); "" is none.
	ConfigDir    string
	ConfigPeriod time.Duration

	// SyncTimeout is how long the first lists may take before that is logged as
	// an error (--initial-sync-timeout).
	SyncTimeout time.Duration
	// TTL is that of the cluster's records, in whole seconds (--ttl).
	TTL time.Duration
	// NegativeTTL is how long others may keep negative answers (--negative-ttl).
	NegativeTTL time.Duration
	// Wildcards makes the label "*" match any other (--wildcards).
	Wildcards bool
	// Lameduck is how long to go on answering after SIGTERM (--lameduck).
	Lameduck time.Duration

	// HealthzPort is the port of /readiness (--healthz-port).
	HealthzPort uint16
	// DebugAddress is the host:port of /cache, /log and pprof (--debug-address); "" is
	// off.
	DebugAddress string
	// Metrics says where metrics are served.
	Metrics Metrics

	// LogFormat is logging.Text or logging.JSON (--log-format).
	LogFormat string
	// Verbosity is the log level (-v): 2 adds changes of servers, 3 each query, 4
	// what the API client does.
	Verbosity int
	// Version asks for the version instead of a run (--version): "" is no, else
	// "true" or "raw".
	Version string
	// Ignored are flags that were given and no longer have an effect.
	Ignored []string
}

// Metrics comes from the environment, as kube-dns's did.
type Metrics struct {
	// Port serves the metrics (PROMETHEUS_PORT); 0 is no metrics.
	Port uint16
	// Path is the page (PROMETHEUS_PATH), Namespace and Subsystem are the first
	// parts of the names of kube-dns's metrics (PROMETHEUS_NAMESPACE,
	// PROMETHEUS_SUBSYSTEM).
	Path, Namespace, Subsystem string
}

// ErrHelp says that the usage was printed.
var ErrHelp = pflag.ErrHelp

// rawFlags is the text of the flags that need more than pflag's own parsing.
type rawFlags struct {
	domain, clusterSet, bind, nameservers, masterURL, federations string
	dnsPort, healthzPort                                          int
	profiling                                                     bool
}

// Parse reads args and the environment. It prints the usage to out and
// returns ErrHelp when it was asked for. Otherwise the error names every flag
// and variable that is wrong.
func Parse(args []string, getenv func(string) string, out io.Writer) (*Options, error) {
	o := &Options{}
	raw := &rawFlags{}
	flags := newFlagSet(o, raw, out)
	if err := flags.Parse(doubleDashes(flags, args)); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	switch o.Version {
	case "", "false":
		o.Version = ""
	case "true", "raw":
		return o, nil
	default:
		return nil, fmt.Errorf("--version=%s: want true, false or raw", o.Version)
	}
	if !flags.Changed("lameduck") && o.ObjectsPath == "" && getenv("KUBERNETES_SERVICE_HOST") != "" {
		o.Lameduck = PodLameduck
	}
	return o, errors.Join(o.fill(raw, flags), o.fillMetrics(getenv))
}

// PodLameduck is the default of --lameduck in a Pod. kube-dns went on answering
// after SIGTERM until it was killed, and its Deployments count on that: a Pod
// is asked until every node's kube-proxy has heard of its end, which takes a
// second or two.
const PodLameduck = 5 * time.Second

func newFlagSet(o *Options, raw *rawFlags, out io.Writer) *pflag.FlagSet {
	f := pflag.NewFlagSet("kubedns", pflag.ContinueOnError)
	f.SetOutput(out)
	f.SortFlags = true
	f.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		return pflag.NormalizedName(strings.ReplaceAll(name, "_", "-"))
	})
	f.Usage = func() {
		fmt.Fprintf(out, "kubedns answers DNS queries about the Services of a Kubernetes cluster.\n\n"+
			"Usage: kubedns [flags]\n\n%s\n"+
			"Environment: PROMETHEUS_PORT (empty: no metrics), PROMETHEUS_PATH (/metrics),\n"+
			"PROMETHEUS_NAMESPACE (skydns), PROMETHEUS_SUBSYSTEM (skydns), and\n"+
			"KUBERNETES_SERVICE_HOST, the answer for kubernetes.default before the first list.\n", f.FlagUsages())
	}
	f.StringVar(&raw.domain, "domain", "cluster.local.", "domain of the cluster's names")
	f.StringVar(&raw.clusterSet, "clusterset-domain", "", "`domain` of multi-cluster Services, \"clusterset.local.\" by their specification;"+
		" it is answered from the cluster's ServiceImports. Empty: they are not read")
	f.StringVar(&raw.bind, "dns-bind-address", "0.0.0.0", "address to answer DNS on; 0.0.0.0 takes every address")
	f.IntVar(&raw.dnsPort, "dns-port", 53, "port to answer DNS on, UDP and TCP")
	f.StringVar(&raw.nameservers, "nameservers", "", "comma-separated `ip[:port]` list to forward names outside the domain to,"+
		" instead of the servers of /etc/resolv.conf; \"none\" refuses such names; tls://ip%name:port asks over TLS only")
	f.StringArrayVar(&o.TLSCA, "tls-ca-file", nil, "trust the authorities of this PEM `file`, and no others, for servers given as tls://;"+
		" repeat it for more; default: the system's, else those built in; read again when it changes")
	f.StringVar(&o.TLSCert, "tls-cert-file", "", "client certificate (PEM `file`) for servers given as tls://; read again when it changes")
	f.StringVar(&o.TLSKey, "tls-key-file", "", "key `file` of --tls-cert-file")
	f.StringVar(&o.Kubeconfig, "kubecfg-file", "", "kubeconfig `file`; empty uses the Pod's service account")
	f.StringVar(&raw.masterURL, "kube-master-url", "", "`URL` of the API server, overrides the kubeconfig's; $VARIABLES are expanded")
	f.StringVar(&o.ObjectsPath, "objects", "", "file or folder of YAML or JSON objects to serve instead of an API server's")
	f.StringVar(&raw.federations, "federations", "", "`name=domain,...` of federations, unless the configuration names some")
	f.StringVar(&o.ConfigMap, "config-map", "", "`name` of the ConfigMap to watch for configuration")
	f.StringVar(&o.ConfigNamespace, "config-map-namespace", "kube-system", "`namespace` of --config-map")
	f.StringVar(&o.ConfigDir, "config-dir", "", "`folder` to read configuration from; not together with --config-map")
	f.DurationVar(&o.ConfigPeriod, "config-period", dnsconfig.DefaultPeriod, "how often --config-dir is read")
	f.DurationVar(&o.SyncTimeout, "initial-sync-timeout", time.Minute,
		"how long the first lists may take before an error is logged, and then again every minute; it never ends the program")
	f.DurationVar(&o.TTL, "ttl", records.DefaultTTL*time.Second,
		"TTL of the cluster's records: how long others may remember them; whole seconds, at most 1h")
	f.DurationVar(&o.NegativeTTL, "negative-ttl", 5*time.Second, "how long others may remember that a name does not exist")
	f.BoolVar(&o.Wildcards, "wildcards", true, "answer names that have * for a label")
	f.DurationVar(&o.Lameduck, "lameduck", 0, "how long to go on answering after SIGTERM; in a Pod the default is "+PodLameduck.String())
	f.IntVar(&raw.healthzPort, "healthz-port", 8081, "port of /readiness")
	f.StringVar(&o.DebugAddress, "debug-address", "127.0.0.1:6060", "`address:port` of /cache, /log and /debug/pprof/; \"\" is off")
	f.BoolVar(&raw.profiling, "profiling", false, "serve /debug/pprof/ on 127.0.0.1:6060 even if --debug-address is empty")
	f.StringVar(&o.Version, "version", "", "print the version and exit; \"raw\" prints the number alone")
	f.Lookup("version").NoOptDefVal = "true"
	f.StringVar(&o.LogFormat, "log-format", logging.Text, "`format` of the log: text, or json for one object on each line")
	f.IntVarP(&o.Verbosity, "v", "v", 0, "log `level`: 3 adds each answer, 4 what the API client does")
	addIgnoredFlags(f)
	return f
}

// addIgnoredFlags adds the flags of older logging libraries. Scripts that give
// them keep working: our log always goes to standard error, whole, at once.
func addIgnoredFlags(f *pflag.FlagSet) {
	const usage = "accepted, no effect: the log goes to standard error, unbuffered"
	for _, name := range []string{"logtostderr", "alsologtostderr", "one-output", "skip-headers", "skip-log-headers", "add-dir-header"} {
		f.Bool(name, name == "logtostderr", usage)
	}
	for _, name := range []string{"vmodule", "stderrthreshold", "log-dir", "log-file", "log-backtrace-at"} {
		f.String(name, "", usage)
	}
	f.Uint64("log-file-max-size", 1800, usage)
	f.Duration("log-flush-frequency", 5*time.Second, usage)
}

// doubleDashes gives Go's single-dash long flags, such as -dns-port=53, the
// second dash that pflag wants. One-letter flags stay as they are.
func doubleDashes(f *pflag.FlagSet, args []string) []string {
	out := make([]string, 0, len(args))
	for i, arg := range args {
		if arg == "--" {
			return append(out, args[i:]...)
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(arg, "-"), "=")
		if strings.HasPrefix(arg, "-") && len(name) > 1 && name[0] != '-' && (name == "help" || f.Lookup(name) != nil) {
			arg = "-" + arg
		}
		out = append(out, arg)
	}
	return out
}

// checkTTLs tells bad which of the TTLs cannot be used.
func (o *Options) checkTTLs(bad func(flag, value string, err error)) {
	if o.TTL < 0 || o.TTL > time.Hour || o.TTL%time.Second != 0 {
		bad("ttl", o.TTL.String(), errors.New("must be whole seconds from 0s to 1h"))
	}
	if o.NegativeTTL < 0 || o.NegativeTTL > time.Hour {
		bad("negative-ttl", o.NegativeTTL.String(), errors.New("must be from 0s to 1h"))
	}
}

// checkLog tells bad if the log cannot be written in this format.
func (o *Options) checkLog(bad func(flag, value string, err error)) {
	if err := logging.CheckFormat(o.LogFormat); err != nil {
		bad("log-format", o.LogFormat, err)
	}
}

// fill turns the raw flags into values.
func (o *Options) fill(raw *rawFlags, flags *pflag.FlagSet) error {
	var errs []error
	bad := func(flag, value string, err error) {
		errs = append(errs, fmt.Errorf("--%s=%s: %w", flag, value, err))
	}
	var err error
	if o.Domain, err = parseDomain(raw.domain); err != nil {
		bad("domain", raw.domain, err)
	}
	if o.ClusterSetDomain, err = o.parseClusterSet(raw.clusterSet); err != nil {
		bad("clusterset-domain", raw.clusterSet, err)
	}
	if o.BindAddress, err = netip.ParseAddr(strings.Trim(raw.bind, "[]")); err != nil {
		bad("dns-bind-address", raw.bind, errors.New("not an IP address"))
	}
	if o.DNSPort, err = parsePort(raw.dnsPort); err != nil {
		bad("dns-port", strconv.Itoa(raw.dnsPort), err)
	}
	if o.HealthzPort, err = parsePort(raw.healthzPort); err != nil {
		bad("healthz-port", strconv.Itoa(raw.healthzPort), err)
	}
	if o.Nameservers, o.NoNameserver, err = parseNameservers(raw.nameservers); err != nil {
		bad("nameservers", raw.nameservers, err)
	}
	if o.Federations, err = dnsconfig.ParseFederations(raw.federations); err != nil {
		bad("federations", raw.federations, err)
	}
	if o.MasterURL, err = parseMasterURL(raw.masterURL); err != nil {
		bad("kube-master-url", raw.masterURL, err)
	}
	if o.DebugAddress == "" && raw.profiling {
		o.DebugAddress = "127.0.0.1:6060"
	}
	if o.DebugAddress != "" {
		if _, _, err := net.SplitHostPort(o.DebugAddress); err != nil {
			bad("debug-address", o.DebugAddress, err)
		}
	}
	o.checkTTLs(bad)
	o.checkLog(bad)
	for flag, value := range map[string]time.Duration{"lameduck": o.Lameduck, "initial-sync-timeout": o.SyncTimeout} {
		if value < 0 {
			bad(flag, value.String(), errors.New("must not be negative"))
		}
	}
	if o.ConfigPeriod <= 0 {
		bad("config-period", o.ConfigPeriod.String(), errors.New("must be more than 0s"))
	}
	if o.ConfigMap != "" && o.ConfigDir != "" {
		errs = append(errs, errors.New("--config-map and --config-dir cannot be used together"))
	}
	if o.ObjectsPath != "" && (o.Kubeconfig != "" || o.MasterURL != "") {
		errs = append(errs, errors.New("--objects cannot be used with --kubecfg-file or --kube-master-url"))
	}
	flags.Visit(func(f *pflag.Flag) {
		if strings.HasPrefix(f.Usage, "accepted, no effect") {
			o.Ignored = append(o.Ignored, "--"+f.Name)
		}
	})
	return errors.Join(errs...)
}

// fillMetrics reads the PROMETHEUS_* variables.
func (o *Options) fillMetrics(getenv func(string) string) error {
	value := func(name, otherwise string) string {
		if v := getenv("PROMETHEUS_" + name); v != "" {
			return v
		}
		return otherwise
	}
	o.Metrics = Metrics{
		Path:      value("PATH", "/metrics"),
		Namespace: value("NAMESPACE", "skydns"),
		Subsystem: value("SUBSYSTEM", "skydns"),
	}
	if !strings.HasPrefix(o.Metrics.Path, "/") {
		return fmt.Errorf("PROMETHEUS_PATH=%s: must begin with a slash", o.Metrics.Path)
	}
	text := value("PORT", "")
	if text == "" {
		return nil
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 {
		return fmt.Errorf("PROMETHEUS_PORT=%s: not a port from 1 to 65535", text)
	}
	o.Metrics.Port = uint16(port)
	return nil
}

// LogLevel maps -v to a level: 3 or more shows debug messages, each query among
// them, and client-go's V(n) are at level -n.
func (o *Options) LogLevel() slog.Level {
	if o.Verbosity >= 3 {
		return min(slog.LevelDebug, slog.Level(-o.Verbosity))
	}
	return slog.Level(-max(o.Verbosity, 0))
}

func parseDomain(text string) (dnsname.Name, error) {
	trimmed := strings.TrimSuffix(text, ".")
	if !dnsname.IsSubdomain1123(trimmed) {
		return "", errors.New("each label must be an RFC 1123 label: lower-case letters, digits and inner dashes")
	}
	return dnsname.Parse(trimmed)
}

// parseClusterSet reads the clusterset domain, which may be "". It is a zone beside the
// cluster domain.
func (o *Options) parseClusterSet(text string) (dnsname.Name, error) {
	if text == "" {
		return "", nil
	}
	domain, err := parseDomain(text)
	switch {
	case err != nil:
		return "", err
	case len(domain) > treecache.MaxZone:
		return "", fmt.Errorf("must have at most %d octets in wire form, has %d", treecache.MaxZone, len(domain))
	case o.Domain != "" && (domain.HasSuffix(o.Domain) || o.Domain.HasSuffix(domain)):
		return "", errors.New("must not equal, contain or lie in --domain=" + o.Domain.String())
	}
	return domain, nil
}

func parsePort(n int) (uint16, error) {
	if n < 1 || n > 65535 {
		return 0, errors.New("not a port from 1 to 65535")
	}
	return uint16(n), nil
}

func parseNameservers(text string) (servers []dnsconfig.Server, none bool, err error) {
	switch text {
	case "":
		return nil, false, nil
	case "none":
		return nil, true, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		server, err := dnsconfig.ParseNameserver(strings.TrimSpace(part))
		if err != nil {
			return nil, false, err
		}
		servers = append(servers, server)
	}
	return servers, false, dnsconfig.Unmixed(servers)
}

func parseMasterURL(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	expanded := os.ExpandEnv(text)
	u, err := url.Parse(expanded)
	if err != nil {
		return "", err
	}
	if u.Scheme == "" || u.Host == "" || u.Host == ":" {
		return "", fmt.Errorf("%q must have a scheme and a host", expanded)
	}
	return expanded, nil
}
