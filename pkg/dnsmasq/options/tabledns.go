package options

// The options that dnscache has a use for, by subject. Each function is one
// part of [Table].

func processOptions() []Spec {
	return []Spec{
		{Name: "help", Short: 'w', Status: Implemented, Help: "print this list and exit", set: setHelp},
		{Name: "version", Short: 'v', Status: Implemented, Help: "print the version and exit", set: setVersion},
		{Name: "test", Status: Implemented, Help: "check the configuration, then exit", set: boolean(func(o *Options) *bool { return &o.Test })},
		{Name: "keep-in-foreground", Short: 'k', Status: Accepted, Help: "dnscache never goes to the background"},
		{Name: "no-daemon", Short: 'd', Status: Implemented, Help: "keep the user that started the program and write no pid file", set: boolean(func(o *Options) *bool { return &o.Process.NoDaemon })},
		{Name: "log-facility", Short: '8', Arg: RequiredArgument, Param: "-|path|facility", Repeat: Once, Status: Implemented, Default: "-", Help: "log to standard error (-) or to a file; a syslog facility means standard error", set: setLogFacility},
		{Name: "log-queries", Short: 'q', Arg: OptionalArgument, Param: "extra", ShortBare: true, Status: Implemented, Help: "log every query; extra adds a serial number and the client", set: setLogQueries},
		{Name: "log-async", Arg: OptionalArgument, Param: "lines", Repeat: Once, Status: Accepted, Help: "log lines never hold up answers here", set: checkNumber},
		{Name: "log-debug", Status: Implemented, Help: "log debugging messages", set: boolean(func(o *Options) *bool { return &o.Process.LogDebug })},
		{Name: "pid-file", Short: 'x', Arg: OptionalArgument, Param: "path", Repeat: Once, Status: Implemented, Help: "write the process id to this file; a device, named pipe or socket is left alone with a warning", set: setPath(func(o *Options) *string { return &o.Process.PidFile })},
		{Name: "user", Short: 'u', Arg: OptionalArgument, Param: "name|uid", Repeat: Once, Status: Implemented, Default: "65534", Help: "run as this user when started as root", set: str(func(o *Options) *string { return &o.Process.User })},
		{Name: "group", Short: 'g', Arg: OptionalArgument, Param: "name|gid", Repeat: Once, Status: Implemented, Default: "the user's", Help: "run as this group when started as root", set: str(func(o *Options) *string { return &o.Process.Group })},
		{Name: "conf-file", Short: 'C', Arg: RequiredArgument, Param: "path|-", Status: Implemented, Default: DefaultConfFile, Help: "read options from a file, - is standard input; replaces the default file", set: setConfFile},
		{Name: "conf-dir", Short: '7', Arg: RequiredArgument, Param: "dir[,suffix...]", Status: Implemented, Help: "read options from the files of a directory", set: setConfDir},
		{Name: "conf-script", Arg: RequiredArgument, Param: "program[ argument...]", Status: Implemented, Help: "read options from what a program prints; it has 60 seconds", set: setConfScript},
		{Name: "servers-file", Arg: RequiredArgument, Param: "path", Repeat: Once, Status: Implemented, Help: "read server and rev-server lines from a file, again at SIGHUP", set: setPath(func(o *Options) *string { return &o.Process.ServersFile })},
	}
}

func listenOptions() []Spec {
	return []Spec{
		{Name: "port", Short: 'p', Arg: RequiredArgument, Param: "port", Repeat: Once, Status: Implemented, Default: "53", Help: "take queries on this port", set: port(func(o *Options) *uint16 { return &o.Listen.Port })},
		{Name: "listen-address", Short: 'a', Arg: RequiredArgument, Param: "address[,address...]", Status: Implemented, Default: "all", Help: "take queries on these addresses only, also when they appear later", set: setListenAddress},
		{Name: "interface", Short: 'i', Arg: RequiredArgument, Param: "name[,name...]", Status: Implemented, Default: "all", Help: "take queries on the addresses of these interfaces and of lo, also when they appear later; name* is a prefix", set: setInterface},
		{Name: "except-interface", Short: 'I', Arg: RequiredArgument, Param: "name[,name...]", Status: Implemented, Help: "take no queries on the addresses of these interfaces", set: setExceptInterface},
		{Name: "bind-interfaces", Short: 'z', Status: Implemented, Help: "bind the addresses that are there at the start, each by itself; one that is missing is an error", set: boolean(func(o *Options) *bool { return &o.Listen.BindInterfaces })},
		{Name: "bind-dynamic", Status: Implemented, Help: "bind each address, also those that appear later", set: boolean(func(o *Options) *bool { return &o.Listen.BindDynamic })},
		{Name: "max-tcp-connections", Arg: RequiredArgument, Param: "n", Repeat: Once, Status: Implemented, Default: "1024", Help: "serve this many TCP connections at a time, at most half of them and 256 of one client", set: setTCPConnections},
		{Name: "local-service", Arg: OptionalArgument, Param: "net|host", Status: Implemented, Help: "answer only clients on networks that this host is connected to, or only this host; without effect beside the options for addresses and interfaces", set: setLocalService},
		{Name: "localise-queries", Short: 'y', Status: Implemented, Help: "of the IPv4 addresses of a local name give those on the network of the address that was asked, if there are any", set: boolean(func(o *Options) *bool { return &o.Listen.LocaliseQueries })},
	}
}

func upstreamOptions() []Spec {
	return []Spec{
		{Name: "server", Short: 'S', Arg: RequiredArgument, Param: "[/domain/...][address[#port][@interface][@source[#port]]]", Status: Implemented, Help: "ask this server, for these domains or for all; tls:address[#port][,name=NAME][,pin=HEX64...] asks it over TLS only", set: setServer},
		{Name: "local", Arg: RequiredArgument, Param: "/domain/[...]", Status: Implemented, Help: "never ask anybody for names of these domains", set: setServer},
		{Name: "rev-server", Arg: RequiredArgument, Param: "network[/bits],address[#port]...", Status: Implemented, Help: "ask this server for the names of addresses of a network", set: setRevServer},
		{Name: "resolv-file", Short: 'r', Arg: OptionalArgument, Param: "path", Status: Implemented, Default: DefaultResolvFile, Help: "read servers from this file; of several, the newest counts", set: setResolvFile},
		{Name: "no-resolv", Short: 'R', Status: Implemented, Help: "read no resolv.conf", set: boolean(func(o *Options) *bool { return &o.Upstream.NoResolv })},
		{Name: "no-poll", Short: 'n', Status: Implemented, Help: "read resolv.conf again at SIGHUP only", set: boolean(func(o *Options) *bool { return &o.Upstream.NoPoll })},
		{Name: "clear-on-reload", Status: Implemented, Help: "empty the cache when resolv.conf changes", set: boolean(func(o *Options) *bool { return &o.Upstream.ClearOnReload })},
		{Name: "strict-order", Short: 'o', Status: Implemented, Help: "ask servers in the order given, the next one only when one fails or is silent", set: boolean(func(o *Options) *bool { return &o.Upstream.StrictOrder })},
		{Name: "all-servers", Status: Implemented, Help: "ask every server of a domain, the first good answer counts", set: boolean(func(o *Options) *bool { return &o.Upstream.AllServers })},
		{Name: "dns-forward-max", Short: '0', Arg: RequiredArgument, Param: "n", Repeat: Once, Status: Implemented, Default: "150", Help: "wait for this many answers of a domain's servers at a time", set: count(func(o *Options) *int { return &o.Upstream.ForwardMax })},
		{Name: "fast-dns-retry", Arg: OptionalArgument, Param: "ms[,ms]", Repeat: Once, Status: Implemented, Help: "time to the first repeat, and until giving up", set: setFastRetry},
		{Name: "query-port", Short: 'Q', Arg: RequiredArgument, Param: "port", Repeat: Once, Status: Implemented, Help: "ask from this one port; a known port makes answers easier to forge", set: port(func(o *Options) *uint16 { return &o.Upstream.QueryPort })},
		{Name: "min-port", Arg: RequiredArgument, Param: "port", Repeat: Once, Status: Implemented, Help: "lowest random port to ask from", set: port(func(o *Options) *uint16 { return &o.Upstream.MinPort })},
		{Name: "max-port", Arg: RequiredArgument, Param: "port", Repeat: Once, Status: Implemented, Help: "highest random port to ask from", set: port(func(o *Options) *uint16 { return &o.Upstream.MaxPort })},
		{Name: "port-limit", Arg: RequiredArgument, Param: "n", Repeat: Once, Status: Accepted, Help: "every attempt has a fresh random port anyway", set: setPortLimit},
		{Name: "edns-packet-max", Short: 'P', Arg: RequiredArgument, Param: "bytes", Repeat: Once, Status: Implemented, Default: "1232", Help: "largest UDP message that is announced and accepted", set: setEDNSPacketMax},
		{Name: "dns-loop-detect", Status: Implemented, Help: "find servers that send our queries back to us, and ask them again only when they no longer do", set: boolean(func(o *Options) *bool { return &o.Upstream.LoopDetect })},
		{Name: "proxy-dnssec", Status: Implemented, Help: "pass upstream's AD flag on", set: boolean(func(o *Options) *bool { return &o.Upstream.ProxyDNSSEC })},
		{Name: "do-0x20-encode", Status: Implemented, Help: "draw the case of letters in questions at random, and take only answers that repeat it; a server that changes the case is asked without", set: boolean(func(o *Options) *bool { return &o.Upstream.MixCase })},
		{Name: "no-0x20-encode", Status: Accepted, Help: "undo --do-0x20-encode: names are sent as asked", set: unset(func(o *Options) *bool { return &o.Upstream.MixCase })},
		{Name: "add-mac", Arg: OptionalArgument, Param: "base64|text", Status: Implemented, Help: "tell upstream the hardware address of clients on a connected network; their answers are not kept", set: setAddMAC},
		{Name: "strip-mac", Status: Accepted, Help: "options of a client's query are never passed on"},
		{Name: "add-subnet", Arg: OptionalArgument, Param: "[address/]bits[,[address/]bits]", Repeat: Once, Status: Implemented, Help: "tell upstream the network of clients, of IPv4 and IPv6, or a fixed one (RFC 7871); answers that depend on the client are not kept", set: setAddSubnet},
		{Name: "strip-subnet", Status: Accepted, Help: "options of a client's query are never passed on"},
		{Name: "add-cpe-id", Arg: RequiredArgument, Param: "text", Repeat: Once, Status: Implemented, Help: "tell upstream this text", set: setCPEID},
		{Name: "umbrella", Arg: OptionalArgument, Param: "deviceid:hex,orgid:n,assetid:n", Repeat: Once, Status: Implemented, Help: "tell Cisco Umbrella the address of clients, and these ids; answers are not kept", set: setUmbrella},
	}
}

func cacheOptions() []Spec {
	return []Spec{
		{Name: "cache-size", Short: 'c', Arg: RequiredArgument, Param: "n", Repeat: Once, Status: Implemented, Default: "150", Help: "keep this many answers, 0 keeps none", set: setCacheSize},
		{Name: "no-negcache", Short: 'N', Status: Implemented, Help: "do not keep negative answers", set: boolean(func(o *Options) *bool { return &o.Cache.NoNegative })},
		{Name: "neg-ttl", Arg: RequiredArgument, Param: "seconds", Repeat: Once, Status: Implemented, Help: "keep negative answers that have no SOA this long", set: seconds(func(o *Options) *duration { return &o.Cache.NegTTL })},
		{Name: "max-ttl", Arg: RequiredArgument, Param: "seconds", Repeat: Once, Status: Implemented, Help: "largest TTL that clients see", set: seconds(func(o *Options) *duration { return &o.Cache.MaxTTL })},
		{Name: "max-cache-ttl", Arg: RequiredArgument, Param: "seconds", Repeat: Once, Status: Implemented, Help: "keep no answer longer than this", set: seconds(func(o *Options) *duration { return &o.Cache.MaxCacheTTL })},
		{Name: "min-cache-ttl", Arg: RequiredArgument, Param: "seconds", Repeat: Once, Status: Implemented, Help: "keep answers at least this long, at most an hour", set: setMinCacheTTL},
		{Name: "use-stale-cache", Arg: OptionalArgument, Param: "seconds", Repeat: Once, Status: Implemented, Help: "answer with expired data at once while asking again; 86400 without a value, 0 is any age", set: setUseStale},
		{Name: "cache-rr", Arg: RequiredArgument, Param: "type[,type...]", Status: Accepted, Help: "every record type is kept anyway", set: setCacheRR},
		{Name: "no-round-robin", Status: Implemented, Help: "keep the order of cached records", set: boolean(func(o *Options) *bool { return &o.Cache.NoRoundRobin })},
		{Name: "no-ident", Status: Implemented, Help: "do not answer version.bind and the statistics names", set: boolean(func(o *Options) *bool { return &o.Cache.NoIdent })},
	}
}

func filterOptions() []Spec {
	return []Spec{
		{Name: "domain-needed", Short: 'D', Status: Implemented, Help: "do not ask upstream for addresses of names without a dot", set: boolean(func(o *Options) *bool { return &o.Filter.DomainNeeded })},
		{Name: "bogus-priv", Short: 'b', Status: Implemented, Help: "do not ask upstream for names of private addresses", set: boolean(func(o *Options) *bool { return &o.Filter.BogusPriv })},
		{Name: "filterwin2k", Short: 'f', Status: Implemented, Help: "do not ask upstream for SOA and SRV", set: boolean(func(o *Options) *bool { return &o.Filter.FilterWin2k })},
		{Name: "filter-A", Status: Implemented, Help: "remove IPv4 addresses from answers", set: boolean(func(o *Options) *bool { return &o.Filter.FilterA })},
		{Name: "filter-AAAA", Status: Implemented, Help: "remove IPv6 addresses from answers", set: boolean(func(o *Options) *bool { return &o.Filter.FilterAAAA })},
		{Name: "filter-rr", Arg: RequiredArgument, Param: "type[,type...]", Status: Implemented, Help: "remove these record types from answers", set: setFilterRR},
		{Name: "stop-dns-rebind", Status: Implemented, Help: "empty answers from upstream that hold private addresses", set: boolean(func(o *Options) *bool { return &o.Filter.StopRebind })},
		{Name: "rebind-localhost-ok", Status: Implemented, Help: "let loopback addresses pass --stop-dns-rebind", set: boolean(func(o *Options) *bool { return &o.Filter.RebindLocalhostOK })},
		{Name: "rebind-domain-ok", Arg: RequiredArgument, Param: "/domain/...", Status: Implemented, Help: "let names of these domains pass --stop-dns-rebind", set: setRebindDomain},
		{Name: "bogus-nxdomain", Short: 'B', Arg: RequiredArgument, Param: "address[/bits]", Status: Implemented, Help: "turn answers that hold this address into NXDOMAIN", set: setBogusNXDomain},
		{Name: "ignore-address", Arg: RequiredArgument, Param: "address[/bits]", Status: Implemented, Help: "ignore answers that hold this address, and wait for others", set: setIgnoreAddress},
		{Name: "alias", Short: 'V', Arg: RequiredArgument, Param: "old[-old],new[,mask]", Status: Implemented, Help: "rewrite IPv4 addresses in answers", set: setAlias},
	}
}

func localOptions() []Spec {
	return []Spec{
		{Name: "local-ttl", Short: 'T', Arg: RequiredArgument, Param: "seconds", Repeat: Once, Status: Implemented, Default: "0", Help: "TTL of local data", set: seconds(func(o *Options) *duration { return &o.Local.TTL })},
		{Name: "address", Short: 'A', Arg: RequiredArgument, Param: "[/domain/...][address|#]", Status: Implemented, Help: "answer with this address for every name of these domains, # is 0.0.0.0 and ::", set: setAddress},
		{Name: "no-hosts", Short: 'h', Status: Implemented, Help: "do not read /etc/hosts", set: boolean(func(o *Options) *bool { return &o.Local.NoHosts })},
		{Name: "addn-hosts", Short: 'H', Arg: RequiredArgument, Param: "path", Status: Implemented, Help: "read one more hosts file, or every file of a directory", set: setAddnHosts},
		{Name: "hostsdir", Arg: RequiredArgument, Param: "dir", Status: Implemented, Help: "read the hosts files of a directory, again when they change", set: setHostsDir},
		{Name: "expand-hosts", Short: 'E', Status: Implemented, Help: "add --domain to names without a dot in hosts files", set: boolean(func(o *Options) *bool { return &o.Local.ExpandHosts })},
		{Name: "domain", Short: 's', Arg: RequiredArgument, Param: "domain[,network[,local]|,first,last|,interface]", Status: Implemented, Help: "domain for --expand-hosts and --srv-host, or for the hosts of some addresses; # takes it from the search list of resolv.conf", set: setDomain},
		{Name: "domain-suffix", Arg: RequiredArgument, Param: "domain[,...]", Status: Implemented, Help: "the same as --domain", set: setDomain},
	}
}

func recordOptions() []Spec {
	return []Spec{
		{Name: "host-record", Arg: RequiredArgument, Param: "name[,name...][,address...][,ttl]", Status: Implemented, Help: "addresses of a name, and the name of the addresses", set: setHostRecord},
		{Name: "cname", Arg: RequiredArgument, Param: "alias[,alias...],target[,ttl]", Status: Implemented, Help: "alias of a name that is known here", set: setCNAME},
		{Name: "txt-record", Short: 'Y', Arg: RequiredArgument, Param: "name[,text...]", Status: Implemented, Help: "TXT record", set: setTXT},
		{Name: "srv-host", Short: 'W', Arg: RequiredArgument, Param: "name[,target[,port[,priority[,weight]]]]", Status: Implemented, Help: "SRV record", set: setSRV},
		{Name: "ptr-record", Arg: RequiredArgument, Param: "name[,target]", Status: Implemented, Help: "PTR record", set: setPTR},
		{Name: "mx-host", Short: 'm', Arg: RequiredArgument, Param: "name[,target][,preference]", Status: Implemented, Help: "MX record; without a target that is --mx-target or this host", set: setMX},
		{Name: "naptr-record", Arg: RequiredArgument, Param: "name,order,preference,flags,service,regexp[,replacement]", Status: Implemented, Help: "NAPTR record", set: setNAPTR},
		{Name: "caa-record", Arg: RequiredArgument, Param: "name,flags,tag,value", Status: Implemented, Help: "CAA record", set: setCAA},
		{Name: "dns-rr", Arg: RequiredArgument, Param: "name,type[,hex]", Status: Implemented, Help: "record of any type, by number", set: setRR},
		{Name: "synth-domain", Arg: RequiredArgument, Param: "domain,range[,prefix[*]]", Status: Implemented, Help: "names made of addresses, and addresses made of names", set: setSynthDomain},
		{Name: "selfmx", Short: 'e', Status: Implemented, Help: "every name of the hosts files is its own mail server", set: boolean(func(o *Options) *bool { return &o.Local.SelfMX })},
		{Name: "localmx", Short: 'L', Status: Implemented, Help: "the mail server of every name of the hosts files is --mx-target or this host", set: boolean(func(o *Options) *bool { return &o.Local.LocalMX })},
		{Name: "mx-target", Short: 't', Arg: RequiredArgument, Param: "name", Repeat: Once, Status: Implemented, Default: "this host", Help: "mail server for --mx-host and --localmx, and of this host", set: setMXTarget},
		{Name: "interface-name", Arg: RequiredArgument, Param: "name,interface[/4|/6]", Status: Implemented, Help: "name of the addresses that an interface has now", set: setInterfaceName},
		{Name: "dynamic-host", Arg: RequiredArgument, Param: "name,address[,address],interface", Status: Implemented, Help: "name of these hosts on the networks that an interface has now", set: setDynamicHost},
	}
}

func ownOptions() []Spec {
	return []Spec{
		{Name: "serve-stale", Arg: RequiredArgument, Param: "duration", Repeat: Once, Status: Implemented, Own: true, Help: "answer with data that ended at most this long ago when upstream fails or is slow (RFC 8767)", set: own("serve-stale", func(o *Options) *duration { return &o.Own.ServeStale })},
		{Name: "nxdomain-cut", Status: Implemented, Own: true, Help: "when a name does not exist, the names below it do not either (RFC 8020); a server that says so wrongly then hides them", set: boolean(func(o *Options) *bool { return &o.Own.NXDomainCut })},
		{Name: "rate-limit", Arg: RequiredArgument, Param: "qps[,burst]", Repeat: Once, Status: Implemented, Own: true, Default: "no limit", Help: "answer so many queries a second of each client (IPv4 address or IPv6 /64, not 127.0.0.1 and ::1), and bursts of this many, at first those of a second; above, clients get TC over UDP, so that they ask over TCP, and REFUSED over TCP", set: setRateLimit},
		{Name: "metrics-address", Arg: RequiredArgument, Param: "host:port", Repeat: Once, Status: Implemented, Own: true, Help: "serve Prometheus metrics at /metrics, and the switch of the log at /log, for loopback clients only", set: setMetricsAddress},
		{Name: "log-format", Arg: RequiredArgument, Param: "text|json", Repeat: Once, Status: Implemented, Own: true, Default: "text", Help: "format of the log: dnsmasq's lines, or a JSON object on each line with the keys time, level and msg", set: setLogFormat},
		{Name: "tls-ca-file", Arg: RequiredArgument, Param: "path", Status: Implemented, Own: true, Default: "the system's roots, else those built in", Help: "trust the authorities of this PEM file, and no others, for servers given as tls:; read again when it changes", set: setTLSCA},
		{Name: "tls-cert-file", Arg: RequiredArgument, Param: "path", Repeat: Once, Status: Implemented, Own: true, Help: "show this client certificate (PEM) to servers given as tls:; read again when it changes", set: setPath(func(o *Options) *string { return &o.Own.TLSCert })},
		{Name: "tls-key-file", Arg: RequiredArgument, Param: "path", Repeat: Once, Status: Implemented, Own: true, Help: "key of --tls-cert-file", set: setPath(func(o *Options) *string { return &o.Own.TLSKey })},
		{Name: "lameduck", Arg: RequiredArgument, Param: "duration", Repeat: Once, Status: Implemented, Own: true, Default: "0", Help: "keep answering this long after SIGTERM; the default is 5s after flags of dnsmasq-nanny", set: own("lameduck", func(o *Options) *duration { return &o.Own.Lameduck })},
	}
}
