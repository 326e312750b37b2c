package local

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/answercache"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/hosts"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/forwarder"
	"github.com/kube-dns/kube-dns/pkg/upstream"
	"github.com/kube-dns/kube-dns/test/dnstest"
	"github.com/kube-dns/kube-dns/test/dnstest/resolver"
)

// TestFilesAreHosts: a line of a hosts file is answered from the compact table as
// it would be as one of Hosts, whatever else is configured: records, aliases,
// interfaces and computed names of the same names and addresses.
func TestFilesAreHosts(t *testing.T) {
	for round := range 60 {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(uint64(round), 7))
			cfg, text := randomConfig(r)
			want, got := *cfg, *cfg
			var b hosts.TableBuilder
			if _, err := b.Read("file", strings.NewReader(text), nil); err != nil {
				t.Fatal(err)
			}
			got.Files = b.Table()
			want.Hosts = append(slices.Clip(want.Hosts), hostLines(text)...)
			wantClient, gotClient := answers(t, &want), answers(t, &got)
			for name := range randomNames() {
				for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeMX, dns.TypePTR, dns.TypeTXT, dns.TypeSRV, dns.TypeCNAME, dns.TypeANY} {
					q := dnstest.Question(name, qtype)
					if w, g := dnstest.Summary(wantClient.Ask(q)), dnstest.Summary(gotClient.Ask(q.Copy())); g != w {
						t.Fatalf("%s %s: got %q, want %q\nfile:\n%s\nrest: %+v", name, dns.TypeToString[qtype], g, w, text, cfg)
					}
				}
			}
		})
	}
}

// answers runs the data alone: what it does not know is NXDOMAIN, or NODATA
// where it knows the name.
func answers(t *testing.T, cfg *Config) *dnstest.Client {
	t.Helper()
	data, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return dnstest.NewClient(t, resolver.Run(t, forwarder.Config{
		Upstream: upstream.Config{Routes: []upstream.Route{{Local: true}}},
		Cache:    answercache.Config{Entries: 100, RoundRobin: true},
		Stages:   []forwarder.Stage{data.Stage()},
	}), 2, true)
}

func hostLines(text string) (list []HostEntry) {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		h := HostEntry{Addrs: dnstest.Addrs(fields[0]), Source: "file"}
		for _, name := range fields[1:] {
			h.Names = append(h.Names, dnsname.MustParse(name))
		}
		list = append(list, h)
	}
	return list
}

var modelNames = []string{"a.lan.", "b.lan.", "c.b.lan.", "deep.x.y.lan.", "lan.", "W.wild.lan.", "wild.lan.", "a.", "ip-10-0-0-3.syn."}

func randomNames() map[string]bool {
	names := map[string]bool{"nothing.lan.": true, "x.y.lan.": true, "y.lan.": true, "other.wild.lan.": true, "syn.": true}
	for _, name := range modelNames {
		names[name] = true
	}
	for i := range 6 {
		for _, addr := range []string{fmt.Sprintf("10.0.0.%d", i), fmt.Sprintf("2001:db8::%d", i)} {
			names[dnsname.ReverseName(netip.MustParseAddr(addr)).String()] = true
		}
	}
	return names
}

// randomConfig returns a configuration without hosts files, and a hosts file.
func randomConfig(r *rand.Rand) (*Config, string) {
	name := func() string { return modelNames[r.IntN(len(modelNames))] }
	addr := func() string {
		if r.IntN(3) == 0 {
			return fmt.Sprintf("2001:db8::%d", r.IntN(6))
		}
		return fmt.Sprintf("10.0.0.%d", r.IntN(6))
	}
	cfg := &Config{TTL: 7, SelfMX: r.IntN(3) == 0}
	if r.IntN(3) == 0 {
		cfg.MailTarget = dnsname.MustParse("mail.lan")
	}
	if r.IntN(3) == 0 {
		cfg.Networks = []netip.Prefix{netip.MustParsePrefix("127.0.0.2/8"), netip.MustParsePrefix("10.0.0.1/30")}
	}
	for range r.IntN(2) {
		cfg.Hosts = append(cfg.Hosts, HostEntry{Names: []dnsname.Name{dnsname.MustParse(name())}, Addrs: dnstest.Addrs(addr()), Source: "config", Interface: true})
	}
	for range r.IntN(3) {
		cfg.Hosts = append(cfg.Hosts, HostEntry{
			Names: []dnsname.Name{dnsname.MustParse(name()), dnsname.MustParse(name())},
			Addrs: dnstest.Addrs(addr(), addr()), Source: "config", TTL: 9, HasTTL: r.IntN(2) == 0,
		})
	}
	for range r.IntN(4) {
		target := dnsname.MustParse(name())
		record := []options.RecordOption{
			{Type: dns.TypeTXT, Data: []byte("\x02hi")},
			{Type: dns.TypeMX, Data: append([]byte{0, 5}, target...)},
			{Type: dns.TypeSRV, Data: append([]byte{0, 1, 0, 2, 0, 80}, target...)},
			{Type: dns.TypeA, Data: binary.BigEndian.AppendUint32(nil, r.Uint32())},
		}[r.IntN(4)]
		record.Name = dnsname.MustParse(name())
		cfg.Records = append(cfg.Records, record)
	}
	if r.IntN(2) == 0 {
		cfg.CNAMEs = append(cfg.CNAMEs, options.CNAME{Alias: dnsname.Domain{Match: dnsname.MatchBelow, Name: dnsname.MustParse("wild.lan")}, Target: dnsname.MustParse("a.lan")})
	}
	if r.IntN(2) == 0 {
		cfg.CNAMEs = append(cfg.CNAMEs, options.CNAME{Alias: dnstest.Suffix("lan"), Target: dnsname.MustParse("deep.x.y.lan")})
	}
	if r.IntN(2) == 0 {
		cfg.Synth = []options.SynthDomain{{Domain: dnsname.MustParse("syn"), First: netip.MustParseAddr("10.0.0.0"), Last: netip.MustParseAddr("10.0.0.9"), Prefix: "ip-"}}
	}
	var text strings.Builder
	for range 1 + r.IntN(15) {
		text.WriteString(addr())
		for range 1 + r.IntN(3) {
			text.WriteString(" " + name())
		}
		text.WriteString("\n")
	}
	return cfg, text.String()
}

// BenchmarkStage is what looking up a name costs every query, from the table and
// from Hosts.
func BenchmarkStage(b *testing.B) {
	var text strings.Builder
	for i := range 300_000 {
		fmt.Fprintf(&text, "10.%d.%d.%d host-%06d.lan.example\n", i>>16, i>>8&255, i&255, i)
	}
	var builder hosts.TableBuilder
	if _, err := builder.Read("file", strings.NewReader(text.String()), nil); err != nil {
		b.Fatal(err)
	}
	lines := hostLines(text.String())
	for what, cfg := range map[string]*Config{"table": {Files: builder.Table()}, "map": {Hosts: lines}} {
		data, err := New(cfg)
		if err != nil {
			b.Fatal(err)
		}
		for of, name := range map[string]dnsname.Name{"hit": "\x0bhost-000077\x03lan\x07example\x00", "miss": "\x03www\x07example\x00"} {
			b.Run(of+"/"+what, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					o, known := data.find([]byte(name))
					if known != (of == "hit") || data.aliasOf([]byte(name), &o, known) != nil {
						b.Fatal("wrong")
					}
				}
			})
		}
	}
}
