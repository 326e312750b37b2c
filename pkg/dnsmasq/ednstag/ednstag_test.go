package ednstag

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/forwarder"
	"github.com/kube-dns/kube-dns/pkg/wire"
	"github.com/kube-dns/kube-dns/test/dnstest"
	"github.com/kube-dns/kube-dns/test/dnstest/resolver"
	"github.com/kube-dns/kube-dns/test/testkit"
)

// to asks s about everything, patiently, and tells it what cfg says.
func to(t *testing.T, s *dnstest.Server, cfg Config) forwarder.Config {
	t.Helper()
	stage, tells := New(&cfg)
	if !tells {
		t.Fatal("nothing is told")
	}
	return resolver.Ask(s, stage)
}

// oneMAC knows the hardware address of the clients in 10.1.2.0/24 and fd00::/8.
func oneMAC(addr netip.Addr) []byte {
	if addr.IsPrivate() {
		return []byte{2, 0, 0, 0, 0, 0x99}
	}
	return nil
}

// TestClientOptions holds the options as dnsmasq 2.90 was seen to send them.
func TestClientOptions(t *testing.T) {
	umbrella := options.Umbrella{On: true, Org: 1, Asset: 2, Device: [8]byte{1, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef}, HasDevice: true}
	fixed := netip.MustParseAddr("1.2.3.4")
	for _, tt := range []struct {
		name    string
		cfg     Config
		client  string
		want    string
		private bool
	}{
		{"MAC", Config{ClientInfo: options.ClientInfo{MAC: true}, Hardware: oneMAC}, "10.1.2.99", "fde90006020000000099", true},
		{"MAC of nobody", Config{ClientInfo: options.ClientInfo{MAC: true}, Hardware: oneMAC}, "127.0.0.1", "", false},
		{"MAC in base64", Config{ClientInfo: options.ClientInfo{MACBase64: true}, Hardware: oneMAC}, "fd00:1::99", "fe310008416741414141435a", true},
		{"MAC as text", Config{ClientInfo: options.ClientInfo{MACText: true, MACBase64: true}, Hardware: oneMAC}, "10.1.2.99", "fe31001130323a30303a30303a30303a30303a3939", true},
		{"no subnet", Config{ClientInfo: options.ClientInfo{AddSubnet: true}}, "10.1.2.99", "0008000400010000", false},
		{"no subnet, IPv6", Config{ClientInfo: options.ClientInfo{AddSubnet: true}}, "fd00:1::99", "0008000400020000", false},
		{"subnet", Config{ClientInfo: options.ClientInfo{AddSubnet: true, Subnet4: options.ClientSubnet{Bits: 24}}}, "10.1.2.99", "00080007000118000a0102", true},
		{"bits within an octet", Config{ClientInfo: options.ClientInfo{AddSubnet: true, Subnet4: options.ClientSubnet{Bits: 20}}}, "10.1.255.99", "00080007000114000a01f0", true},
		{"subnet, IPv6", Config{ClientInfo: options.ClientInfo{AddSubnet: true, Subnet6: options.ClientSubnet{Bits: 60}}}, "fd00:1::99", "0008000c00023c00fd00000100000000", true},
		{"subnet of a mapped address", Config{ClientInfo: options.ClientInfo{AddSubnet: true, Subnet4: options.ClientSubnet{Bits: 24}}}, "::ffff:10.1.2.99", "00080007000118000a0102", true},
		{"fixed subnet", Config{ClientInfo: options.ClientInfo{AddSubnet: true, Subnet4: options.ClientSubnet{Bits: 24, Addr: fixed}}}, "10.1.2.99", "0008000700011800010203", false},
		{"fixed subnet of the other family", Config{ClientInfo: options.ClientInfo{AddSubnet: true, Subnet6: options.ClientSubnet{Bits: 24, Addr: fixed}}}, "fd00:1::99", "0008000700011800010203", false},
		{"a text", Config{ClientInfo: options.ClientInfo{CPEID: "abc"}}, "10.1.2.99", "fe320003616263", false},
		{"a text for oneself", Config{ClientInfo: options.ClientInfo{CPEID: "abc", AddSubnet: true}}, "", "fe320003616263", false},
		{"umbrella", Config{ClientInfo: options.ClientInfo{Umbrella: options.Umbrella{On: true}}}, "127.0.0.1", "4f44000c4f444e53010000107f000001", true},
		{
			"umbrella with ids",
			Config{ClientInfo: options.ClientInfo{Umbrella: umbrella}},
			"fd00:1::99",
			"4f44002e4f444e5301000008000000010020fd00000100000000000000000000009900400123456789abcdef000400000002", true,
		},
		{
			"all",
			Config{ClientInfo: options.ClientInfo{MAC: true, MACText: true, AddSubnet: true, Subnet4: options.ClientSubnet{Bits: 24}, CPEID: "xyz", Umbrella: options.Umbrella{On: true}}, Hardware: oneMAC},
			"10.1.2.99",
			"fde90006020000000099" + "fe31001130323a30303a30303a30303a30303a3939" + "fe32000378797a" + "4f44000c4f444e53010000100a010263" + "00080007000118000a0102", true,
		},
	} {
		tg := newTagger(&tt.cfg)
		var client netip.Addr
		if tt.client != "" {
			client = netip.MustParseAddr(tt.client)
		}
		got, private := tg.of(client)
		if hex.EncodeToString([]byte(got)) != tt.want || private != tt.private {
			t.Errorf("%s: %x, %v; want %s, %v", tt.name, got, private, tt.want, tt.private)
		}
	}
	if _, tells := New(&Config{ClientInfo: options.ClientInfo{MAC: true}}); tells {
		t.Error("options although nothing is told")
	}
}

// told returns the options of the last question that a server saw.
func told(t *testing.T, s *dnstest.Server) string {
	t.Helper()
	opt := s.Last().IsEdns0()
	if opt == nil {
		t.Fatal("a question without EDNS")
	}
	var texts []string
	for _, o := range opt.Option {
		texts = append(texts, o.String())
	}
	return strings.Join(texts, " ")
}

// Answers that may depend on the client are its own: they are neither kept nor
// shared with others.
func TestClientAnswersAreNotShared(t *testing.T) {
	s := dnstest.NewServer(t, dnstest.Zone(0, "www.example. 300 A 127.1.0.1"))
	cfg := to(t, s, Config{ClientInfo: options.ClientInfo{AddSubnet: true, Subnet4: options.ClientSubnet{Bits: 32}}})
	f := resolver.Run(t, cfg)
	for i, host := range []byte{2, 3, 2} {
		c := dnstest.NewClient(t, f, host, false)
		c.Ask(dnstest.Question("www.example.", dns.TypeA))
		if got, want := told(t, s), netip.AddrFrom4([4]byte{127, 0, 0, host}).String()+"/32/0"; got != want {
			t.Errorf("told %q, want %q", got, want)
		}
		if n := s.Seen(); n != i+1 {
			t.Errorf("%d questions after %d queries", n, i+1)
		}
	}
}

// Clients about whom different things are told never wait for one question.
func TestClientQuestionsAreNotShared(t *testing.T) {
	release := make(chan struct{})
	s := dnstest.NewServer(t, func(q *dns.Msg, _ bool) [][]byte {
		<-release
		return [][]byte{dnstest.Pack(dnstest.Reply(q, 0, "www.example. 300 A 127.1.0.1"))}
	})
	cfg := to(t, s, Config{ClientInfo: options.ClientInfo{AddSubnet: true, Subnet4: options.ClientSubnet{Bits: 32}}})
	f := resolver.Run(t, cfg)
	first, second := dnstest.NewClient(t, f, 2, false), dnstest.NewClient(t, f, 3, false)
	q, again, r := dnstest.Question("www.example.", dns.TypeA), dnstest.Question("www.example.", dns.TypeA), dnstest.Question("www.example.", dns.TypeA)
	first.Start(q)
	first.Start(again)
	second.Start(r)
	testkit.Eventually(t, "the condition holds", func() bool { st := f.Stats(); return st.Forwarded == 2 && st.Coalesced == 1 })
	close(release)
	for c, id := range map[*dnstest.Client]uint16{first: q.Id, second: r.Id} {
		if got := dnstest.Summary(c.Wait(id)); !strings.Contains(got, "127.1.0.1") {
			t.Errorf("answer %s", got)
		}
	}
	first.Wait(again.Id)
}

// What is the same for all clients may be kept, and costs a hit nothing.
func TestConstantOptionsAreCached(t *testing.T) {
	s := dnstest.NewServer(t, dnstest.Zone(0, "www.example. 300 A 127.1.0.1"))
	cfg := to(t, s, Config{ClientInfo: options.ClientInfo{MAC: true, CPEID: "house-7", AddSubnet: true, Subnet4: options.ClientSubnet{Bits: 24, Addr: netip.MustParseAddr("192.0.2.1")}}, Hardware: oneMAC})
	f := resolver.Run(t, cfg)
	c := dnstest.NewClient(t, f, 2, false)
	for range 2 {
		c.Ask(dnstest.Question("www.example.", dns.TypeA))
	}
	if n, got := s.Seen(), told(t, s); n != 1 || got != "65074:0x686f7573652d37 192.0.2.0/24/0" {
		t.Errorf("%d questions, told %q", n, got)
	}
	packet, out := dnstest.Pack(dnstest.Question("www.example.", dns.TypeA)), make([]byte, 0, wire.MaxMessage)
	if n := testing.AllocsPerRun(1000, func() { f.Handle(packet, c.To, out) }); n != 0 && !dnstest.RaceEnabled {
		t.Errorf("a hit allocates %v times, want 0", n)
	}
}

// A reply with another subnet than was sent is not believed (RFC 7871 §7.3).
func TestOtherSubnetIsIgnored(t *testing.T) {
	echo := func(q *dns.Msg, address, subnet string) []byte {
		m := dnstest.Reply(q, 0, "www.example. 300 A "+address)
		if m.IsEdns0() == nil {
			m.SetEdns0(1232, false)
		}
		prefix := netip.MustParsePrefix(subnet)
		m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_SUBNET{
			Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: uint8(prefix.Bits()), SourceScope: 16, Address: prefix.Addr().AsSlice(),
		}}
		return dnstest.Pack(m)
	}
	s := dnstest.NewServer(t, func(q *dns.Msg, _ bool) [][]byte {
		return [][]byte{echo(q, "127.6.6.6", "127.9.0.0/24"), echo(q, "127.6.6.6", "127.0.0.0/16"), echo(q, "127.1.0.1", "127.0.0.0/24")}
	})
	cfg := to(t, s, Config{ClientInfo: options.ClientInfo{AddSubnet: true, Subnet4: options.ClientSubnet{Bits: 24}}})
	c := dnstest.NewClient(t, resolver.Run(t, cfg), 2, false)
	if got := dnstest.Summary(c.Ask(dnstest.Question("www.example.", dns.TypeA))); !strings.Contains(got, "127.1.0.1") {
		t.Errorf("answer %s", got)
	}
}

// FuzzClientOptions holds that whatever is told is a valid list of options in
// which every option is readable.
func FuzzClientOptions(f *testing.F) {
	f.Add([]byte{10, 1, 2, 3}, uint8(20), "id", []byte{1, 2, 3, 4, 5, 6})
	f.Add([]byte("0123456789abcdef"), uint8(61), "", []byte{1})
	f.Fuzz(func(t *testing.T, client []byte, bits uint8, id string, mac []byte) {
		addr, ok := netip.AddrFromSlice(client)
		if !ok || len(id) > 64 || len(mac) > 16 {
			return
		}
		tg := newTagger(&Config{ClientInfo: options.ClientInfo{MAC: true, MACText: true, CPEID: id, AddSubnet: true, Subnet4: options.ClientSubnet{Bits: int(bits)}, Subnet6: options.ClientSubnet{Bits: int(bits)}, Umbrella: options.Umbrella{On: true}}, Hardware: func(netip.Addr) []byte { return mac }})
		options, _ := tg.of(addr)
		query := wire.AppendQuery(nil, 1, 0, wire.Subject{Name: []byte("\x01a\x00"), Type: wire.TypeA, Class: wire.ClassIN}, &wire.OPT{Raw: []byte(options)})
		m := new(dns.Msg)
		if err := m.Unpack(query); err != nil || m.IsEdns0() == nil {
			t.Fatalf("%x: %v", options, err)
		}
		for _, o := range m.IsEdns0().Option {
			if s, ok := o.(*dns.EDNS0_SUBNET); ok {
				want, _ := addr.Unmap().Prefix(min(int(bits), addr.Unmap().BitLen()))
				if got, _ := netip.AddrFromSlice(s.Address); got.Unmap() != want.Addr().WithZone("") || int(s.SourceNetmask) != want.Bits() {
					t.Errorf("subnet %v, want %v", s, want)
				}
			}
		}
	})
}
