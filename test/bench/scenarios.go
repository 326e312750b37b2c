package main

// scenario is one kind of query that several servers are asked.
type scenario struct {
	name, title string
	peers       []peer
	pattern     string
	distinct    int // names asked in turn; 0: every question has a new name
	warm        int // questions before the measured ones, of the same kind
	count       int // measured questions per server and round
	tcp         bool
	budgets     []budget
}

// budget is a row of docs/benchmarks.md: ours takes at most factor times theirs.
type budget struct {
	ours, theirs string
	factor       float64
}

// scenarios are the comparisons that ask for names which differ in a number.
func (s *session) scenarios() []scenario {
	const cache = 10000
	p, up, secure := s.programs, s.upstream, s.secure
	return []scenario{
		{
			name: "cached", title: "cached answer, 1000 names",
			peers: []peer{
				p.echoPeer(), p.dnscachePeer("dnscache", up, cache), p.dnsmasqPeer("dnsmasq", up, cache),
				p.unboundPeer(up), p.corednsPeer(up, cache),
			},
			budgets: []budget{
				{"dnscache", "echo", 1.05},
				{"dnscache", "dnsmasq", 0.88},
				{"dnscache", "unbound", 0.98},
				{"dnscache", "CoreDNS", 0.45},
			},
			pattern: "n%d.example.com", distinct: 1000, warm: 2000, count: 60000,
		},
		{
			name: "tcp", title: "cached answer over TCP, pipelined",
			// dnsmasq ends a connection after 100 queries and answers them in
			// processes of their own, so it is not comparable here.
			peers: []peer{p.echoPeer(), p.dnscachePeer("dnscache", up, cache), p.unboundPeer(up), p.corednsPeer(up, cache)}, tcp: true,
			pattern: "n%d.example.com", distinct: 1000, warm: 2000, count: 30000,
		},
		{
			name: "forwarded", title: "forwarded answer, every name new",
			peers: []peer{
				p.dnscachePeer("dnscache", up, cache), p.dnsmasqPeer("dnsmasq-nocache", up, 0), p.dnsmasqPeer("dnsmasq-full", up, cache),
				p.unboundPeer(up), p.corednsPeer(up, cache),
			},
			budgets: []budget{
				{"dnscache", "dnsmasq-nocache", 0.65}, {"dnscache", "unbound", 0.55}, {"dnscache", "CoreDNS", 0.50},
			},
			pattern: "n%d.distinct.example.com", warm: 12000, count: 12000,
		},
		{
			name: "tls", title: "forwarded answer over DNS over TLS, every name new",
			peers: []peer{
				p.dnscachePeer("dnscache-udp", up, cache), p.dnscachePeer("dnscache", up, cache).over(secure),
				p.unboundPeer(up).over(secure), p.corednsPeer(up, cache).over(secure),
			},
			budgets: []budget{{"dnscache", "dnscache-udp", 1.30}, {"dnscache", "CoreDNS", 0.50}},
			pattern: "n%d.distinct.example.com", warm: 12000, count: 12000,
		},
		{
			name: "growth", title: "in-cluster answer, 10 and 50 000 Services",
			peers:   []peer{p.kubednsPeer("kubedns-10", 10), p.kubednsPeer("kubedns-50k", 50000)},
			budgets: []budget{{"kubedns-50k", "kubedns-10", 1.15}},
			pattern: "web%d.default.svc.cluster.local", distinct: 10, warm: 2000, count: 60000,
		},
		{
			name: "growth", title: "cached answer, 10 and 1 000 000 names",
			peers: []peer{
				p.dnscachePeer("dnscache-10", up, cache).asked(10), p.dnscachePeer("dnscache-1M", up, 2000000).asked(1000000),
			},
			budgets: []budget{{"dnscache-1M", "dnscache-10", 1.15}},
			pattern: "n%d.example.com", distinct: 10, warm: 2000, count: 60000,
		},
	}
}
