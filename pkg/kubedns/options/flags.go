// Package options parses the command line and the environment of kubedns.
//
// Use [Parse] to get typed [Options].
package options

import (
	"cmp"
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

	"github.com/kube-dns/kube-dns/pkg/autopath"
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
	// ClusterSetDomain is the clusterset zone (--clusterset-domain); "" means none.
	ClusterSetDomain dnsname.Name
	// BindAddress is the address to listen on for DNS (--dns-bind-address). The unspecified
	// address of either family means all addresses of both.
	BindAddress netip.Addr
	// DNSPort is the port for DNS over UDP and TCP (--dns-port).
	DNSPort uint16
	// TLSCA holds the paths of files with certificate authorities (--tls-ca-file).
	TLSCA []string
	// TLSCert and TLSKey are the paths of the client certificate and its key
	// (--tls-cert-file, --tls-key-file).
	TLSCert, TLSKey string
	// Nameservers are the upstream servers for names outside the cluster domain
	// (--nameservers). If empty, they are those of resolv.conf, unless NoNameserver is true.
	Nameservers []dnsconfig.Server
	// NoNameserver refuses names outside the cluster domain (--nameservers=none).
	NoNameserver bool

	// Kubeconfig is the path of a kubeconfig file (--kubecfg-file), and MasterURL overrides
	// the server in it (--kube-master-url). If both are empty, the Pod's service account is
	// used.
	Kubeconfig, MasterURL string
	// ObjectsPath is a file or folder of objects to serve instead of those of an API server
	// (--objects); "" means none.
	ObjectsPath string

	// Federations maps a federation's name to its domain (--federations).
	Federations map[string]string
	// ConfigMap and ConfigNamespace are the name and namespace of the ConfigMap to watch
	// (--config-map, --config-map-namespace); "" means none.
	ConfigMap, ConfigNamespace string
	// ConfigDir is the folder to read the configuration from (--config-dir); "" means none.
	ConfigDir string
	// ConfigPeriod is how often ConfigDir is read (--config-period).
	ConfigPeriod time.Duration

	// SyncTimeout is how long loading the first lists may take before an error is logged
	// (--initial-sync-timeout).
	SyncTimeout time.Duration
	// TTL is the TTL of the cluster's records, in whole seconds (--ttl).
	TTL time.Duration
	// NegativeTTL is how long clients may cache negative answers (--negative-ttl).
	NegativeTTL time.Duration
	// Wildcards lets the label "*" in a question match any label (--wildcards).
	Wildcards bool
	// Autopath says which names of a client's search list are completed (--autopath).
	Autopath autopath.Mode
	// AutopathSearches are the clients' search entries after those of the cluster
	// (--autopath-searches); nil means those of resolv.conf.
	AutopathSearches []dnsname.Name
	// Lameduck is how long to continue answering after SIGTERM (--lameduck).
	Lameduck time.Duration

	// HealthzPort is the port of /readiness (--healthz-port).
	HealthzPort uint16
	// DebugAddress is the host:port of /status, /explain, /cache, /log and pprof
	// (--debug-address); "" means off.
	DebugAddress string
	// Metrics says where metrics are served.
	Metrics Metrics

	// LogFormat is logging.Text or logging.JSON (--log-format).
	LogFormat string
	// Verbosity is the log level (-v): 2 adds changes of servers, 3 each query, 4
	// what the API client does.
	Verbosity int
	// Version says to print the version and exit (--version): "true" or "raw"; "" means not.
	Version string
	// Ignored holds the flags that were given but have no effect.
	Ignored []string
}

// Metrics says where to serve metrics. As in kube-dns, it comes from the environment.
type Metrics struct {
	// Port is the port of the metrics (PROMETHEUS_PORT); 0 means no metrics.
	Port uint16
	// Path is the path of the page (PROMETHEUS_PATH). Namespace and Subsystem are the first
	// parts of the names of kube-dns's metrics (PROMETHEUS_NAMESPACE,
	// PROMETHEUS_SUBSYSTEM).
	Path, Namespace, Subsystem string
}

// ErrHelp means that the usage was printed.
var ErrHelp = pflag.ErrHelp

// rawFlags holds the values of flags that pflag cannot parse completely.
type rawFlags struct {
	domain, clusterSet, bind, nameservers, masterURL, federations, autopath string   // the texts of the flags of these names
	searches                                                                []string // --autopath-searches; nil if it was not given
	dnsPort, healthzPort                                                    int      // --dns-port and --healthz-port, possibly out of range
	profiling                                                               bool     // --profiling
}

// Parse parses args and the environment. If args ask for help, it prints the usage to out and
// returns ErrHelp. Other errors name every flag and variable that is invalid.
func Parse(args []string, getenv func(string) string, out io.Writer) (*Options, error) {
	o, arguments, err := ParseCommand(args, getenv, out, func(*pflag.FlagSet) {})
	if err == nil && o.Version == "" && len(arguments) > 0 {
		return nil, fmt.Errorf("unexpected argument %q", arguments[0])
	}
	return o, err
}

// ParseCommand is Parse for a subcommand. The subcommand has the flags of the program, further
// flags, which add defines, and arguments, which are returned.
func ParseCommand(args []string, getenv func(string) string, out io.Writer, add func(*pflag.FlagSet)) (*Options, []string, error) {
	o := &Options{}
	raw := &rawFlags{}
	flags := newFlagSet(o, raw, out)
	add(flags)
	if err := flags.Parse(doubleDashes(flags, args)); err != nil {
		return nil, nil, plainError(err)
	}
	o, err := o.finish(raw, flags, getenv)
	return o, flags.Args(), err
}

// plainError returns err, in other words if pflag names a function of Go to say that a value has
// the wrong form.
func plainError(err error) error {
	wrong, ok := errors.AsType[*pflag.InvalidValueError](err)
	if !ok {
		return err
	}
	forms := map[string]string{
		"int": "a whole number of at most 64 bits", "uint64": "a whole number of at most 64 bits, not below 0",
		"bool": "true or false", "duration": "a duration such as 30s or 5m",
	}
	if form := forms[wrong.GetFlag().Value.Type()]; form != "" {
		return fmt.Errorf("--%s=%s: want %s", wrong.GetFlag().Name, wrong.GetValue(), form)
	}
	return err
}

// finish checks the flags that were parsed, and the environment.
func (o *Options) finish(raw *rawFlags, flags *pflag.FlagSet, getenv func(string) string) (*Options, error) {
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

// PodLameduck is the default of --lameduck in a Pod. kube-dns continued to answer after
// SIGTERM until it was killed, and its Deployments rely on that: a Pod receives queries until the
// kube-proxy of every node knows that the Pod is ending, which takes a second or two.
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
			"Usage: kubedns [flags]\n"+
			"       kubedns explain NAME [TYPE] [flags]   why a name resolves, or does not; see kubedns explain --help\n"+
			"       kubedns diff A B [flags]              what two states of a cluster answer differently\n"+
			"       kubedns validate --config-dir=DIR     what a configuration means, and its faults\n\n%s\n"+
			"Environment: PROMETHEUS_PORT (empty: no metrics), PROMETHEUS_PATH (/metrics),\n"+
			"PROMETHEUS_NAMESPACE (skydns), PROMETHEUS_SUBSYSTEM (skydns), and\n"+
			"KUBERNETES_SERVICE_HOST, the answer for kubernetes.default until the Services are loaded.\n", f.FlagUsages())
	}
	f.StringVar(&raw.domain, "domain", "cluster.local.", "cluster domain")
	f.StringVar(&raw.clusterSet, "clusterset-domain", "", "`domain` of multi-cluster Services, \"clusterset.local.\" in their specification;"+
		" it is answered from the cluster's ServiceImports; if empty, they are not read")
	f.StringVar(&raw.bind, "dns-bind-address", "0.0.0.0", "address to listen on for DNS; 0.0.0.0 means all addresses")
	f.IntVar(&raw.dnsPort, "dns-port", 53, "port for DNS over UDP and TCP")
	f.StringVar(&raw.nameservers, "nameservers", "", "comma-separated list `ip[:port]` of upstream servers for names outside the cluster domain,"+
		" instead of those in /etc/resolv.conf; \"none\" refuses such names; tls://ip%name:port is asked only over TLS")
	f.StringArrayVar(&o.TLSCA, "tls-ca-file", nil, "trust only the certificate authorities in this PEM `file` for servers given as tls://;"+
		" may be repeated; default: the system's authorities, or those built in; read again when it changes")
	f.StringVar(&o.TLSCert, "tls-cert-file", "", "client certificate (PEM `file`) for servers given as tls://; read again when it changes")
	f.StringVar(&o.TLSKey, "tls-key-file", "", "private key (PEM `file`) of --tls-cert-file")
	f.StringVar(&o.Kubeconfig, "kubecfg-file", "", "kubeconfig `file`; if empty, the Pod's service account is used")
	f.StringVar(&raw.masterURL, "kube-master-url", "", "`URL` of the API server; overrides the kubeconfig's; $VARIABLES are expanded")
	f.StringVar(&o.ObjectsPath, "objects", "", "file or folder of YAML or JSON objects to serve instead of those of an API server")
	f.StringVar(&raw.federations, "federations", "", "federations, as `name=domain,...`, unless the live configuration has some")
	f.StringVar(&o.ConfigMap, "config-map", "", "`name` of the ConfigMap with the live configuration")
	f.StringVar(&o.ConfigNamespace, "config-map-namespace", "kube-system", "`namespace` of --config-map")
	f.StringVar(&o.ConfigDir, "config-dir", "", "`folder` with the live configuration; cannot be used with --config-map")
	f.DurationVar(&o.ConfigPeriod, "config-period", dnsconfig.DefaultPeriod, "how often --config-dir is read")
	f.DurationVar(&o.SyncTimeout, "initial-sync-timeout", time.Minute,
		"how long loading the first lists may take before an error is logged, and again every minute; the program does not end")
	f.DurationVar(&o.TTL, "ttl", records.DefaultTTL*time.Second,
		"TTL of the cluster's records, in whole seconds, at most 1h")
	f.DurationVar(&o.NegativeTTL, "negative-ttl", 5*time.Second, "how long clients may cache that a name does not exist")
	f.BoolVar(&o.Wildcards, "wildcards", true, "answer names that have * as a label")
	f.StringVar(&raw.autopath, "autopath", autopath.Off.String(), "answer the first name that a client's search list makes of a name such as web.prod:"+
		" `mode` off, cluster for names inside the cluster, or all; unless the live configuration has a mode")
	f.StringSliceVar(&raw.searches, "autopath-searches", nil, "`domain,...` that clients have in their search lists after those of the cluster, for --autopath=all;"+
		" if it is not given, those in resolv.conf; \"\" means none")
	f.DurationVar(&o.Lameduck, "lameduck", 0, "how long to continue answering after SIGTERM; in a Pod the default is "+PodLameduck.String())
	f.IntVar(&raw.healthzPort, "healthz-port", 8081, "port of /readiness")
	f.StringVar(&o.DebugAddress, "debug-address", "127.0.0.1:6060", "`address:port` of /status, /explain, /cache, /log and /debug/pprof/; \"\" means off")
	f.BoolVar(&raw.profiling, "profiling", false, "serve /debug/pprof/ on 127.0.0.1:6060 even if --debug-address is empty")
	f.StringVar(&o.Version, "version", "", "print the version and exit; \"raw\" prints only the number")
	f.Lookup("version").NoOptDefVal = "true"
	f.StringVar(&o.LogFormat, "log-format", logging.Text, "`format` of the log: text, or json for one object on each line")
	f.IntVarP(&o.Verbosity, "v", "v", 0, "log `level`: 2 adds changes of upstream servers, 3 each answer, 4 the messages of the API client")
	addIgnoredFlags(f)
	return f
}

// addIgnoredFlags adds the flags of older logging libraries, so that scripts that use them
// continue to work. They have no effect: the log always goes to standard error, unbuffered.
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

// doubleDashes adds the second dash that pflag requires to long flags with a single dash, such
// as -dns-port=53. One-letter flags do not change.
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

// checkTTLs calls bad for each invalid TTL.
func (o *Options) checkTTLs(bad func(flag, value string, err error)) {
	if o.TTL < 0 || o.TTL > time.Hour || o.TTL%time.Second != 0 {
		bad("ttl", o.TTL.String(), errors.New("must be whole seconds from 0s to 1h"))
	}
	if o.NegativeTTL < 0 || o.NegativeTTL > time.Hour {
		bad("negative-ttl", o.NegativeTTL.String(), errors.New("must be from 0s to 1h"))
	}
}

// parseModes parses the flags whose value is one of a few words, and calls bad for each
// that is invalid.
func (o *Options) parseModes(raw *rawFlags, bad func(flag, value string, err error)) {
	var err error
	if o.Autopath, err = autopath.ParseMode(raw.autopath); err != nil {
		bad("autopath", raw.autopath, err)
	}
	if o.AutopathSearches, err = autopath.ParseSearches(raw.searches); err != nil {
		bad("autopath-searches", strings.Join(raw.searches, ","), err)
	}
	if err := logging.CheckFormat(o.LogFormat); err != nil {
		bad("log-format", o.LogFormat, err)
	}
}

// fill parses the raw flags and checks all flags.
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
	if o.BindAddress, err = parseBind(raw.bind); err != nil {
		bad("dns-bind-address", raw.bind, err)
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
	if err := checkAddress(o.DebugAddress); err != nil {
		bad("debug-address", o.DebugAddress, err)
	}
	o.checkTTLs(bad)
	o.parseModes(raw, bad)
	for flag, value := range map[string]time.Duration{"lameduck": o.Lameduck, "initial-sync-timeout": o.SyncTimeout} {
		if value < 0 {
			bad(flag, value.String(), errors.New("must not be negative"))
		}
	}
	if o.ConfigPeriod <= 0 {
		bad("config-period", o.ConfigPeriod.String(), errors.New("must be greater than 0s"))
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

// fillMetrics parses the PROMETHEUS_* variables.
func (o *Options) fillMetrics(getenv func(string) string) error {
	value := func(name, otherwise string) string {
		return cmp.Or(getenv("PROMETHEUS_"+name), otherwise)
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

// LogLevel returns the log level for -v. With 3 or more, debug messages are logged, which
// include each query. client-go's V(n) are at level -n.
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
	domain, err := dnsname.Parse(trimmed)
	if len(domain) > treecache.MaxZone {
		return "", fmt.Errorf("must have at most %d characters, so that names of Services fit", treecache.MaxZone-2)
	}
	return domain, err
}

// parseClusterSet parses the clusterset domain, which may be "". It must not overlap with the
// cluster domain.
func (o *Options) parseClusterSet(text string) (dnsname.Name, error) {
	if text == "" {
		return "", nil
	}
	domain, err := parseDomain(text)
	switch {
	case err != nil:
		return "", err
	case o.Domain != "" && (domain.HasSuffix(o.Domain) || o.Domain.HasSuffix(domain)):
		return "", errors.New("must not be equal to, above or below --domain=" + o.Domain.String())
	}
	return domain, nil
}

// checkAddress checks that text is "" or has the form address:port.
func checkAddress(text string) error {
	if text == "" {
		return nil
	}
	_, port, err := net.SplitHostPort(text)
	if err != nil {
		return err
	}
	if _, err = strconv.ParseUint(port, 10, 16); err != nil {
		return errors.New("the port must be a number from 0 to 65535")
	}
	return nil
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

// parseBind reads an address to listen on. ::ffff:0.0.0.0 is 0.0.0.0, which means all addresses.
func parseBind(text string) (netip.Addr, error) {
	addr, err := netip.ParseAddr(strings.Trim(text, "[]"))
	if err != nil {
		return addr, errors.New("not an IP address")
	}
	return addr.Unmap(), nil
}
