package options

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Nanny holds the flags of dnsmasq-nanny, the program that has run dnsmasq in kube-dns
// since Kubernetes 1.6.
type Nanny struct {
	// ConfigDir is -configDir, the directory with stubDomains and
	// upstreamNameservers.
	ConfigDir string
	// ApplyChanges is -restartDnsmasq: changes of the directory are applied
	// while running. dnscache does not restart for that.
	ApplyChanges bool
	// SyncInterval is -syncInterval, how often the directory is read.
	SyncInterval time.Duration
	// KubeDNSServer is -kubednsServer, host:port of kubedns.
	KubeDNSServer string
	// LogInterval is -logInterval, how often statistics are logged; 0 means never.
	LogInterval time.Duration
	// Verbosity is -v.
	Verbosity int
}

// NannyLameduck is the default of --lameduck if flags of dnsmasq-nanny are given. These
// come from Deployments of kube-dns, which do not set --lameduck. Their Pods get queries
// until every node's kube-proxy has learned that they end, which takes a second or two;
// Kubernetes gives the Pods 30 seconds.
const NannyLameduck = 5 * time.Second

// NannyDefaults returns the defaults of the flags.
func NannyDefaults() Nanny {
	return Nanny{
		ConfigDir:     "/etc/k8s/dns/dnsmasq-nanny",
		SyncInterval:  10 * time.Second,
		KubeDNSServer: "127.0.0.1:10053",
	}
}

// SplitNanny splits a command line at its first argument "--" into the flags of
// dnsmasq-nanny and the arguments of dnsmasq. Without that argument, all are dnsmasq's
// and found is false.
func SplitNanny(args []string) (nanny, dnsmasq []string, found bool) {
	i := slices.Index(args, "--")
	if i < 0 {
		return nil, args, false
	}
	return args[:i], args[i+1:], true
}

// MisplacedNannyFlag returns a fault for the first of words that is a flag of
// dnsmasq-nanny, and nil if there is none. words are expected to be options of dnsmasq;
// after says whether they follow an argument "--".
func MisplacedNannyFlag(words []string, after bool) error {
	for _, word := range words {
		name, dashed := strings.CutPrefix(word, "-")
		name, value, hasValue := strings.Cut(strings.TrimPrefix(name, "-"), "=")
		known := slices.ContainsFunc(nannyFlags(), func(f nannyFlag) bool { return f.name == name })
		if !dashed || !known {
			continue
		}
		if _, err := strconv.Atoi(value); name == "v" && (!hasValue || err != nil) {
			continue // -v is dnsmasq's --version
		}
		detail := fmt.Sprintf("%s is a flag of dnsmasq-nanny; put the argument -- between such flags and the options of dnsmasq: %s ... -- -k ...", printable(word), printable(word))
		if after {
			detail = fmt.Sprintf("%s is a flag of dnsmasq-nanny; move it before the --", printable(word))
		}
		return &Fault{Text: "bad command line options: try --help", Detail: detail, Exit: ExitConfig}
	}
	return nil
}

// nannyFlag is one row of the table of dnsmasq-nanny's flags.
type nannyFlag struct {
	name   string
	status Status
	help   string
}

// nannyFlags lists dnsmasq-nanny's own flags, then those of its log library.
func nannyFlags() []nannyFlag {
	flags := []nannyFlag{
		{"configDir", Implemented, "directory of the ConfigMap, with stubDomains and upstreamNameservers"},
		{"restartDnsmasq", Implemented, "apply changes of the directory while running; dnscache does not restart, and keeps cached answers for names whose servers have not changed"},
		{"syncInterval", Implemented, "how often the directory is read"},
		{"kubednsServer", Implemented, "host:port of kubedns; it is asked for the addresses of stub servers with names in the cluster domain, and for stub domains while no server of theirs has an address"},
		{"logInterval", Implemented, "log statistics at this interval"},
		{"v", Implemented, "log level; from 3, debug messages are logged"},
		{"dnsmasqExec", Accepted, "dnscache is the server itself"},
	}
	for name := range strings.FieldsSeq(`
		logtostderr alsologtostderr stderrthreshold log_dir log_file log_file_max_size log_backtrace_at vmodule skip_headers
		skip_log_headers add_dir_header one_output`) {
		flags = append(flags, nannyFlag{name, Accepted, "dnscache logs to --log-facility"})
	}
	return flags
}

// ParseNanny parses the arguments before "--", in the syntax of Go's flag package. The
// error is a [Fault] or joins several.
func ParseNanny(args []string) (Nanny, error) {
	n := NannyDefaults()
	set := flag.NewFlagSet("dnsmasq-nanny", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.StringVar(&n.ConfigDir, "configDir", n.ConfigDir, "")
	set.BoolVar(&n.ApplyChanges, "restartDnsmasq", false, "")
	set.DurationVar(&n.SyncInterval, "syncInterval", n.SyncInterval, "")
	set.StringVar(&n.KubeDNSServer, "kubednsServer", n.KubeDNSServer, "")
	set.DurationVar(&n.LogInterval, "logInterval", 0, "")
	set.IntVar(&n.Verbosity, "v", 0, "")
	for _, f := range nannyFlags() {
		if f.status != Accepted {
			continue
		}
		switch f.name {
		case "logtostderr", "alsologtostderr", "skip_headers", "skip_log_headers", "add_dir_header", "one_output":
			set.Bool(f.name, false, "")
		default:
			set.String(f.name, "", "")
		}
	}
	fault := func(detail string) error {
		return &Fault{Text: "bad command line options: try --help", Detail: "before --: " + detail, Exit: ExitConfig}
	}
	if err := set.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			err = errors.New("--help must come after the --")
		}
		return n, fault(err.Error())
	}
	if set.NArg() > 0 {
		return n, fault(fmt.Sprintf("%q is not a flag of dnsmasq-nanny; the options of dnsmasq must come after the --", set.Arg(0)))
	}
	n.KubeDNSServer = unbracketIPv4(n.KubeDNSServer)
	var faults []error
	if n.SyncInterval <= 0 {
		faults = append(faults, fault("-syncInterval must be greater than 0"))
	}
	if n.LogInterval < 0 {
		faults = append(faults, fault("-logInterval must not be negative"))
	}
	return n, errors.Join(faults...)
}

// unbracketIPv4 removes the brackets around an IPv4 address in host:port. In manifests, an
// address of an unknown family is best written in brackets.
func unbracketIPv4(hostPort string) string {
	inside, bracketed := strings.CutPrefix(hostPort, "[")
	host, port, _ := strings.Cut(inside, "]:")
	if addr, err := netip.ParseAddr(host); bracketed && err == nil && addr.Is4() {
		return host + ":" + port
	}
	return hostPort
}
