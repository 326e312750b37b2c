package options

import (
	"net/netip"
	"time"
)

// The options that dnscache has a use for, by subject. Each function is one
// part of [Table].

func processOptions() []Spec {
	return []Spec{
		{Name: "help", Short: 'w', Status: Implemented, Help: "print this help and exit", set: setHelp},
		{Name: "version", Short: 'v', Status: Implemented, Help: "print the version and exit", set: setVersion},
		{Name: "test", Status: Implemented, Help: "check the configuration, then exit", set: boolean(func(o *Options) *bool { return &o.Test })},
		{Name: "keep-in-foreground", Short: 'k', Status: Accepted, Help: "dnscache always runs in the foreground"},
		{Name: "no-daemon", Short: 'd', Status: Implemented, Help: "do not change the user, and do not write a pid file", set: boolean(func(o *Options) *bool { return &o.Process.NoDaemon })},
		{Name: "log-facility", Short: '8', Arg: RequiredArgument, Param: "-|path|facility", Repeat: Once, Status: Implemented, Default: "-", Help: "log to standard error (-) or to this file; a syslog facility also means standard error", set: setLogFacility},
		{Name: "log-queries", Short: 'q', Arg: OptionalArgument, Param: "extra", ShortBare: true, Status: Implemented, Help: "log every query; with extra, add a serial number and the client's address", set: setLogQueries},
		{Name: "log-async", Arg: OptionalArgument, Param: "lines", Repeat: Once, Status: Accepted, Help: "logging never delays answers in dnscache", set: number(0, unused)},
		{Name: "log-debug", Status: Implemented, Help: "log debug messages", set: boolean(func(o *Options) *bool { return &o.Process.LogDebug })},
		{Name: "pid-file", Short: 'x', Arg: OptionalArgument, Param: "path", Repeat: Once, Status: Implemented, Help: "write the process id to this file; if it is a device, named pipe or socket, log a warning instead", set: str(func(o *Options) *string { return &o.Process.PidFile })},
		{Name: "user", Short: 'u', Arg: OptionalArgument, Param: "name|uid", Repeat: Once, Status: Implemented, Default: "65534", Help: "run as this user when started as root", set: str(func(o *Options) *string { return &o.Process.User })},
		{Name: "group", Short: 'g', Arg: OptionalArgument, Param: "name|gid", Repeat: Once, Status: Implemented, Default: "the user's", Help: "run as this group when started as root", set: str(func(o *Options) *string { return &o.Process.Group })},
		{Name: "conf-file", Short: 'C', Arg: RequiredArgument, Param: "path|-", Status: Implemented, Default: DefaultConfFile, Help: "read options from this file instead of the default one; - is standard input", set: setConfFile},
		{Name: "conf-dir", Short: '7', Arg: RequiredArgument, Param: "dir[,suffix...]", Status: Implemented, Help: "read options from the files in this directory", set: setConfDir},
		{Name: "conf-script", Arg: RequiredArgument, Param: "program[ argument...]", Status: Implemented, Help: "run this program and read options from its output; it may take 60 seconds", set: setConfScript},
		{Name: "servers-file", Arg: RequiredArgument, Param: "path", Repeat: Once, Status: Implemented, Help: "read server and rev-server lines from this file, and again at SIGHUP", set: str(func(o *Options) *string { return &o.Process.ServersFile })},
	}
}

func listenOptions() []Spec {
	return []Spec{
		{Name: "port", Short: 'p', Arg: RequiredArgument, Param: "port", Repeat: Once, Status: Implemented, Default: "53", Help: "listen on this port", set: port(func(o *Options) *uint16 { return &o.Listen.Port })},
		{Name: "listen-address", Short: 'a', Arg: RequiredArgument, Param: "address[,address...]", Status: Implemented, Default: "all", Help: "listen only on these addresses, including those that appear later", set: setListenAddress},
		{Name: "interface", Short: 'i', Arg: RequiredArgument, Param: "name[,name...]", Status: Implemented, Default: "all", Help: "listen only on the addresses of these interfaces and of lo, including those that appear later; name* means all names with this prefix", set: names(func(o *Options) *[]string { return &o.Listen.Interfaces })},
		{Name: "except-interface", Short: 'I', Arg: RequiredArgument, Param: "name[,name...]", Status: Implemented, Help: "do not listen on the addresses of these interfaces", set: names(func(o *Options) *[]string { return &o.Listen.ExceptInterfaces })},
		{Name: "bind-interfaces", Short: 'z', Status: Implemented, Help: "bind each address that exists at the start separately; a missing address is an error", set: boolean(func(o *Options) *bool { return &o.Listen.BindInterfaces })},
		{Name: "bind-dynamic", Status: Implemented, Help: "bind each address separately, including those that appear later", set: boolean(func(o *Options) *bool { return &o.Listen.BindDynamic })},
		{Name: "max-tcp-connections", Arg: RequiredArgument, Param: "n", Repeat: Once, Status: Implemented, Default: "1024", Help: "largest number of TCP connections at a time; one client may have half of them, at most 256", set: number(1, func(o *Options, n int) { o.Listen.MaxTCPConnections = n })},
		{Name: "local-service", Arg: OptionalArgument, Param: "net|host", Status: Implemented, Help: "answer only clients on networks that this host is connected to (net), or only this host (host); no effect with options for addresses and interfaces", set: setLocalService},
		{Name: "localise-queries", Short: 'y', Status: Implemented, Help: "if a local name has IPv4 addresses on the network that the query came in on, answer with these only", set: boolean(func(o *Options) *bool { return &o.Listen.LocaliseQueries })},
	}
}

func upstreamOptions() []Spec {
	return []Spec{
		{Name: "server", Short: 'S', Arg: RequiredArgument, Param: "[/domain/...][address[#port][@interface][@source[#port]]]", Status: Implemented, Help: "upstream server, for these domains or for all names; with tls:address[#port][,name=NAME][,pin=HEX64...] it is asked only over TLS, and with tcp:address[#port] only over TCP", set: list(func(o *Options) *[]Server { return &o.Upstream.Servers }, parseServer)},
		{Name: "local", Arg: RequiredArgument, Param: "/domain/[...]", Status: Implemented, Help: "never ask upstream servers for names in these domains", set: list(func(o *Options) *[]Server { return &o.Upstream.Servers }, parseServer)},
		{Name: "rev-server", Arg: RequiredArgument, Param: "network[/bits],address[#port]...", Status: Implemented, Help: "upstream server for the reverse names of this network", set: list(func(o *Options) *[]Server { return &o.Upstream.Servers }, parseRevServer)},
		{Name: "resolv-file", Short: 'r', Arg: OptionalArgument, Param: "path", Status: Implemented, Default: DefaultResolvFile, Help: "read upstream servers from this file; with several files, from the newest one", set: setResolvFile},
		{Name: "no-resolv", Short: 'R', Status: Implemented, Help: "do not read resolv.conf", set: boolean(func(o *Options) *bool { return &o.Upstream.NoResolv })},
		{Name: "no-poll", Short: 'n', Status: Implemented, Help: "read resolv.conf again only at SIGHUP", set: boolean(func(o *Options) *bool { return &o.Upstream.NoPoll })},
		{Name: "clear-on-reload", Status: Implemented, Help: "empty the cache when resolv.conf changes", set: boolean(func(o *Options) *bool { return &o.Upstream.ClearOnReload })},
		{Name: "strict-order", Short: 'o', Status: Implemented, Help: "ask servers in the order given, and the next one only if one fails or does not answer", set: boolean(func(o *Options) *bool { return &o.Upstream.StrictOrder })},
		{Name: "all-servers", Status: Implemented, Help: "ask all servers of a domain at the same time, and use the first valid answer", set: boolean(func(o *Options) *bool { return &o.Upstream.AllServers })},
		{Name: "dns-forward-max", Short: '0', Arg: RequiredArgument, Param: "n", Repeat: Once, Status: Implemented, Default: "150", Help: "largest number of questions that wait for the servers of one domain", set: number(0, func(o *Options, n int) { o.Upstream.ForwardMax = n })},
		{Name: "fast-dns-retry", Arg: OptionalArgument, Param: "ms[,ms]", Repeat: Once, Status: Implemented, Help: "time until a question is repeated, and time until dnscache gives up", set: setFastRetry},
		{Name: "query-port", Short: 'Q', Arg: RequiredArgument, Param: "port", Repeat: Once, Status: Implemented, Help: "send all questions from this port; a known port makes it easier to forge answers", set: port(func(o *Options) *uint16 { return &o.Upstream.QueryPort })},
		{Name: "min-port", Arg: RequiredArgument, Param: "port", Repeat: Once, Status: Implemented, Help: "smallest random port to send questions from", set: port(func(o *Options) *uint16 { return &o.Upstream.MinPort })},
		{Name: "max-port", Arg: RequiredArgument, Param: "port", Repeat: Once, Status: Implemented, Help: "largest random port to send questions from", set: port(func(o *Options) *uint16 { return &o.Upstream.MaxPort })},
		{Name: "port-limit", Arg: RequiredArgument, Param: "n", Repeat: Once, Status: Accepted, Help: "every attempt uses a new random port anyway", set: number(1, unused)},
		{Name: "edns-packet-max", Short: 'P', Arg: RequiredArgument, Param: "bytes", Repeat: Once, Status: Implemented, Default: "1232", Help: "largest UDP message to advertise and accept", set: number(0, func(o *Options, n int) { o.Upstream.EDNSPacketMax = uint16(min(max(n, minUDPBytes), 65535)) })},
		{Name: "dns-loop-detect", Status: Implemented, Help: "detect servers that send dnscache's own questions back to it, and do not ask them until they stop", set: boolean(func(o *Options) *bool { return &o.Upstream.LoopDetect })},
		{Name: "proxy-dnssec", Status: Implemented, Help: "relay the AD flag of upstream servers", set: boolean(func(o *Options) *bool { return &o.Upstream.ProxyDNSSEC })},
		{Name: "do-0x20-encode", Status: Implemented, Help: "use random upper and lower case in questions, and accept only answers that repeat it; not for servers that change the case", set: boolean(func(o *Options) *bool { return &o.Upstream.MixCase })},
		{Name: "no-0x20-encode", Status: Accepted, Help: "undo --do-0x20-encode: send names in the client's spelling, which is the default", set: unset(func(o *Options) *bool { return &o.Upstream.MixCase })},
		{Name: "add-mac", Arg: OptionalArgument, Param: "base64|text", Status: Implemented, Help: "send the hardware address of clients on connected networks to upstream servers; the answers are not cached", set: setAddMAC},
		{Name: "strip-mac", Status: Accepted, Help: "EDNS options of clients are never forwarded"},
		{Name: "add-subnet", Arg: OptionalArgument, Param: "[address/]bits[,[address/]bits]", Repeat: Once, Status: Implemented, Help: "send the network of IPv4 and IPv6 clients, or a fixed network, to upstream servers (RFC 7871); answers that depend on the client are not cached", set: setAddSubnet},
		{Name: "strip-subnet", Status: Accepted, Help: "EDNS options of clients are never forwarded"},
		{Name: "add-cpe-id", Arg: RequiredArgument, Param: "text", Repeat: Once, Status: Implemented, Help: "send this text to upstream servers", set: setCPEID},
		{Name: "umbrella", Arg: OptionalArgument, Param: "deviceid:hex,orgid:n,assetid:n", Repeat: Once, Status: Implemented, Help: "send the address of clients and these ids to Cisco Umbrella; the answers are not cached", set: setUmbrella},
	}
}

func cacheOptions() []Spec {
	return []Spec{
		{Name: "cache-size", Short: 'c', Arg: RequiredArgument, Param: "n", Repeat: Once, Status: Implemented, Default: "150", Help: "largest number of cached answers; 0 turns the cache off", set: number(0, func(o *Options, n int) { o.Cache.Size = min(n, MaxCacheSize) })},
		{Name: "no-negcache", Short: 'N', Status: Implemented, Help: "do not cache negative answers", set: boolean(func(o *Options) *bool { return &o.Cache.NoNegative })},
		{Name: "neg-ttl", Arg: RequiredArgument, Param: "seconds", Repeat: Once, Status: Implemented, Help: "how long to cache negative answers without an SOA record; those with one are cached for at most 3 hours", set: seconds(func(o *Options) *duration { return &o.Cache.NegTTL })},
		{Name: "max-ttl", Arg: RequiredArgument, Param: "seconds", Repeat: Once, Status: Implemented, Help: "largest TTL in answers to clients", set: seconds(func(o *Options) *duration { return &o.Cache.MaxTTL })},
		{Name: "max-cache-ttl", Arg: RequiredArgument, Param: "seconds", Repeat: Once, Status: Implemented, Default: "604800 (7 days)", Help: "longest time to cache an answer; a negative one with an SOA record is cached for at most 3 hours in any case", set: seconds(func(o *Options) *duration { return &o.Cache.MaxCacheTTL })},
		{Name: "min-cache-ttl", Arg: RequiredArgument, Param: "seconds", Repeat: Once, Status: Implemented, Help: "shortest time to cache an answer, at most an hour", set: number(0, func(o *Options, n int) { o.Cache.MinCacheTTL = min(time.Duration(n)*time.Second, MinCacheTTLLimit) })},
		{Name: "use-stale-cache", Arg: OptionalArgument, Param: "seconds", Repeat: Once, Status: Implemented, Help: "answer from expired cache entries at once and refresh them afterwards; largest age after expiry (without a value 86400; 0 means no limit)", set: setUseStale},
		{Name: "cache-rr", Arg: RequiredArgument, Param: "type[,type...]", Status: Accepted, Help: "all record types are cached anyway", set: checkTypes},
		{Name: "no-round-robin", Status: Implemented, Help: "do not rotate the addresses in cached answers", set: boolean(func(o *Options) *bool { return &o.Cache.NoRoundRobin })},
		{Name: "no-ident", Status: Implemented, Help: "do not answer version.bind and the statistics names", set: boolean(func(o *Options) *bool { return &o.Cache.NoIdent })},
	}
}

func filterOptions() []Spec {
	return []Spec{
		{Name: "domain-needed", Short: 'D', Status: Implemented, Help: "do not ask upstream servers for the addresses of names without a dot", set: boolean(func(o *Options) *bool { return &o.Filter.DomainNeeded })},
		{Name: "bogus-priv", Short: 'b', Status: Implemented, Help: "do not ask upstream servers for the reverse names of private addresses", set: boolean(func(o *Options) *bool { return &o.Filter.BogusPriv })},
		{Name: "filterwin2k", Short: 'f', Status: Implemented, Help: "do not ask upstream servers for SOA and SRV records", set: boolean(func(o *Options) *bool { return &o.Filter.FilterWin2k })},
		{Name: "filter-A", Status: Implemented, Help: "remove IPv4 addresses from answers", set: boolean(func(o *Options) *bool { return &o.Filter.FilterA })},
		{Name: "filter-AAAA", Status: Implemented, Help: "remove IPv6 addresses from answers", set: boolean(func(o *Options) *bool { return &o.Filter.FilterAAAA })},
		{Name: "filter-rr", Arg: RequiredArgument, Param: "type[,type...]", Status: Implemented, Help: "remove these record types from answers", set: list(func(o *Options) *[]uint16 { return &o.Filter.FilterRR }, typeList)},
		{Name: "stop-dns-rebind", Status: Implemented, Help: "remove the records of answers from upstream servers that contain private addresses", set: boolean(func(o *Options) *bool { return &o.Filter.StopRebind })},
		{Name: "rebind-localhost-ok", Status: Implemented, Help: "exempt loopback addresses from --stop-dns-rebind", set: boolean(func(o *Options) *bool { return &o.Filter.RebindLocalhostOK })},
		{Name: "rebind-domain-ok", Arg: RequiredArgument, Param: "/domain/...", Status: Implemented, Help: "exempt names in these domains from --stop-dns-rebind", set: setRebindDomain},
		{Name: "bogus-nxdomain", Short: 'B', Arg: RequiredArgument, Param: "address[/bits]", Status: Implemented, Help: "turn answers that contain this address into NXDOMAIN", set: list(func(o *Options) *[]netip.Prefix { return &o.Filter.BogusNXDomain }, parsePrefix)},
		{Name: "ignore-address", Arg: RequiredArgument, Param: "address[/bits]", Status: Implemented, Help: "ignore answers that contain this address, and wait for others", set: list(func(o *Options) *[]netip.Prefix { return &o.Filter.IgnoreAddress }, parsePrefix)},
		{Name: "alias", Short: 'V', Arg: RequiredArgument, Param: "old[-old],new[,mask]", Status: Implemented, Help: "rewrite IPv4 addresses in answers", set: setAlias},
	}
}

func localOptions() []Spec {
	return []Spec{
		{Name: "local-ttl", Short: 'T', Arg: RequiredArgument, Param: "seconds", Repeat: Once, Status: Implemented, Default: "0", Help: "TTL of local data", set: seconds(func(o *Options) *duration { return &o.Local.TTL })},
		{Name: "address", Short: 'A', Arg: RequiredArgument, Param: "[/domain/...][address|#]", Status: Implemented, Help: "answer with this address for every name in these domains; # means 0.0.0.0 and ::", set: list(func(o *Options) *[]Address { return &o.Local.Addresses }, parseAddress)},
		{Name: "no-hosts", Short: 'h', Status: Implemented, Help: "do not read /etc/hosts", set: boolean(func(o *Options) *bool { return &o.Local.NoHosts })},
		{Name: "addn-hosts", Short: 'H', Arg: RequiredArgument, Param: "path", Status: Implemented, Help: "also read this hosts file, or every file in this directory", set: paths(func(o *Options) *[]string { return &o.Local.AddnHosts })},
		{Name: "hostsdir", Arg: RequiredArgument, Param: "dir", Status: Implemented, Help: "read the hosts files in this directory, and again when they change", set: paths(func(o *Options) *[]string { return &o.Local.HostsDirs })},
		{Name: "expand-hosts", Short: 'E', Status: Implemented, Help: "add --domain to names without a dot in hosts files", set: boolean(func(o *Options) *bool { return &o.Local.ExpandHosts })},
		{Name: "domain", Short: 's', Arg: RequiredArgument, Param: "domain[,network[,local]|,first,last|,interface]", Status: Implemented, Help: "domain for --expand-hosts and --srv-host, for all hosts or for those with the given addresses; # means the first domain of the search list in resolv.conf", set: setDomain},
		{Name: "domain-suffix", Arg: RequiredArgument, Param: "domain[,...]", Status: Implemented, Help: "the same as --domain", set: setDomain},
	}
}

func recordOptions() []Spec {
	return []Spec{
		{Name: "host-record", Arg: RequiredArgument, Param: "name[,name...][,address...][,ttl]", Status: Implemented, Help: "address records of these names, and the PTR records of the addresses", set: setHostRecord},
		{Name: "cname", Arg: RequiredArgument, Param: "alias[,alias...],target[,ttl]", Status: Implemented, Help: "alias of a name in local data", set: setCNAME},
		{Name: "txt-record", Short: 'Y', Arg: RequiredArgument, Param: "name[,text...]", Status: Implemented, Help: "TXT record", set: setTXT},
		{Name: "srv-host", Short: 'W', Arg: RequiredArgument, Param: "name[,target[,port[,priority[,weight]]]]", Status: Implemented, Help: "SRV record", set: setSRV},
		{Name: "ptr-record", Arg: RequiredArgument, Param: "name[,target]", Status: Implemented, Help: "PTR record", set: setPTR},
		{Name: "mx-host", Short: 'm', Arg: RequiredArgument, Param: "name[,target][,preference]", Status: Implemented, Help: "MX record; the default target is --mx-target or this host", set: setMX},
		{Name: "naptr-record", Arg: RequiredArgument, Param: "name,order,preference,flags,service,regexp[,replacement]", Status: Implemented, Help: "NAPTR record", set: setNAPTR},
		{Name: "caa-record", Arg: RequiredArgument, Param: "name,flags,tag,value", Status: Implemented, Help: "CAA record", set: setCAA},
		{Name: "dns-rr", Arg: RequiredArgument, Param: "name,type[,hex]", Status: Implemented, Help: "record of the type with this number", set: setRR},
		{Name: "synth-domain", Arg: RequiredArgument, Param: "domain,range[,prefix[*]]", Status: Implemented, Help: "computed names for the addresses in a range, and the reverse", set: setSynthDomain},
		{Name: "selfmx", Short: 'e', Status: Implemented, Help: "every name of the hosts files is its own mail server", set: boolean(func(o *Options) *bool { return &o.Local.SelfMX })},
		{Name: "localmx", Short: 'L', Status: Implemented, Help: "the mail server of every name of the hosts files is --mx-target or this host", set: boolean(func(o *Options) *bool { return &o.Local.LocalMX })},
		{Name: "mx-target", Short: 't', Arg: RequiredArgument, Param: "name", Repeat: Once, Status: Implemented, Default: "this host", Help: "mail server for --mx-host, for --localmx, and of this host", set: setMXTarget},
		{Name: "interface-name", Arg: RequiredArgument, Param: "name,interface[/4|/6]", Status: Implemented, Help: "name of the current addresses of an interface", set: setInterfaceName},
		{Name: "dynamic-host", Arg: RequiredArgument, Param: "name,address[,address],interface", Status: Implemented, Help: "name of these host addresses on the current networks of an interface", set: setDynamicHost},
	}
}

func ownOptions() []Spec {
	return []Spec{
		{Name: "serve-stale", Arg: RequiredArgument, Param: "duration", Repeat: Once, Status: Implemented, Own: true, Help: "answer from cache entries that expired at most this long ago if upstream servers fail or are slow (RFC 8767)", set: own(func(o *Options) *duration { return &o.Own.ServeStale })},
		{Name: "nxdomain-cut", Status: Implemented, Own: true, Help: "if a name does not exist, answer the same for all names below it (RFC 8020); if an upstream server is wrong about the name, those names cannot be resolved", set: boolean(func(o *Options) *bool { return &o.Own.NXDomainCut })},
		{Name: "rate-limit", Arg: RequiredArgument, Param: "qps[,burst]", Repeat: Once, Status: Implemented, Own: true, Default: "no limit", Help: "largest number of queries per second to answer for each client (an IPv4 address or IPv6 /64; 127.0.0.1 and ::1 have no limit), and the size of a burst, by default the queries of one second; other queries get TC over UDP, so that clients ask again over TCP, and REFUSED over TCP", set: setRateLimit},
		{Name: "metrics-address", Arg: RequiredArgument, Param: "host:port", Repeat: Once, Status: Implemented, Own: true, Help: "address on which to serve Prometheus metrics, at /metrics, the log level, at /log, and explanations, at /explain, the last two only to loopback clients", set: setMetricsAddress},
		{Name: "metrics-set", Arg: RequiredArgument, Param: "all|essential", Repeat: Once, Status: Implemented, Own: true, Default: "all, or essential with --share-port", Help: "metrics to serve: all, or at most 40 series, without those of single servers, reasons and buckets, for a cache on each of many nodes", set: either("all", "essential", func(o *Options) *string { return &o.Own.MetricsSet })},
		{Name: "log-format", Arg: RequiredArgument, Param: "text|json", Repeat: Once, Status: Implemented, Own: true, Default: "text", Help: "format of the log: dnsmasq's lines, or a JSON object on each line with the keys time, level and msg", set: either("text", "json", func(o *Options) *string { return &o.Own.LogFormat })},
		{Name: "tls-ca-file", Arg: RequiredArgument, Param: "path", Status: Implemented, Own: true, Default: "the system's authorities, or those built in", Help: "trust only the certificate authorities in this PEM file for servers given as tls:; read again when it changes", set: paths(func(o *Options) *[]string { return &o.Own.TLSCA })},
		{Name: "tls-cert-file", Arg: RequiredArgument, Param: "path", Repeat: Once, Status: Implemented, Own: true, Help: "client certificate (PEM) for servers given as tls:; read again when it changes", set: str(func(o *Options) *string { return &o.Own.TLSCert })},
		{Name: "tls-key-file", Arg: RequiredArgument, Param: "path", Repeat: Once, Status: Implemented, Own: true, Help: "private key (PEM) of --tls-cert-file", set: str(func(o *Options) *string { return &o.Own.TLSKey })},
		{Name: "share-port", Status: Implemented, Own: true, Help: "share each address and port with other processes of the same user that do so too, listen on addresses that no interface has yet, and use loopback addresses of resolv.conf as upstream servers; for a cache in the network namespace of a node", set: boolean(func(o *Options) *bool { return &o.Own.SharePort })},
		{Name: "server-replicas", Arg: RequiredArgument, Param: "name[#port]", Repeat: Once, Status: Implemented, Own: true, Help: "ask the addresses of this name, such as that of a headless Service, in place of the --server for its domain; they are looked up there and followed at their TTL, questions are spread among the nearest that answer, and the --server is asked if none does", set: setReplicas},
		{Name: "lameduck", Arg: RequiredArgument, Param: "duration", Repeat: Once, Status: Implemented, Own: true, Default: "0", Help: "how long to continue answering after SIGTERM; with flags of dnsmasq-nanny the default is 5s", set: own(func(o *Options) *duration { return &o.Own.Lameduck })},
	}
}
