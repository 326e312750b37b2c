package options

import (
	"io/fs"
	"net/netip"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// mapFiles serves files from a map.
func mapFiles(files map[string]string) Files {
	missing := func(name string) error {
		return &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return Files{
		ReadFile: func(name string) ([]byte, error) {
			if text, ok := files[name]; ok {
				return []byte(text), nil
			}
			return nil, missing(name)
		},
		ReadDir: func(dir string) ([]string, error) {
			var names []string
			for name := range files {
				if path.Dir(name) == strings.TrimSuffix(dir, "/") {
					names = append(names, path.Base(name))
				}
			}
			if names == nil {
				return nil, missing(dir)
			}
			return names, nil
		},
		Run: func(command string) ([]byte, error) {
			text, ok := files["!"+command]
			switch {
			case !ok:
				return nil, missing(command)
			case strings.HasPrefix(command, "fail"):
				return []byte(text), &ScriptError{Code: 7}
			}
			return []byte(text), nil
		},
	}
}

// parse is Parse of words separated by blanks, without files.
func parse(t *testing.T, line string) *Options {
	t.Helper()
	o, err := Parse(strings.Fields(line), NoFiles())
	if err != nil {
		t.Fatalf("Parse(%s): %v", line, err)
	}
	return o
}

var compare = cmp.Options{cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmpopts.EquateComparable(netip.Prefix{})}

func TestKubernetesCommandLines(t *testing.T) {
	server := func(domain, addr string, port uint16) Server {
		s := Server{Addr: netip.MustParseAddr(addr), Port: port}
		if domain != "" {
			s.Domain = dnsname.Domain{Match: dnsname.MatchSuffix, Name: dnsname.MustParse(domain)}
		}
		return s
	}
	for _, tt := range []struct {
		name, args string
		change     func(o *Options)
	}{
		{"kube-dns 1.3", "--cache-size=1000 --no-resolv --server=127.0.0.1#10053 --log-facility=- --keep-in-foreground", func(o *Options) {
			o.Cache.Size = 1000
			o.Upstream.NoResolv = true
			o.Upstream.Servers = []Server{server("", "127.0.0.1", 10053)}
		}},
		{"kube-dns 1.12", "-k --cache-size=1000 --no-negcache --dns-loop-detect --log-facility=- --server=/cluster.local/127.0.0.1#10053 --server=/in-addr.arpa/127.0.0.1#10053 --server=/in6.arpa/127.0.0.1#10053", func(o *Options) {
			o.Cache.Size, o.Cache.NoNegative = 1000, true
			o.Upstream.LoopDetect = true
			o.Upstream.Servers = []Server{
				server("cluster.local", "127.0.0.1", 10053),
				server("in-addr.arpa", "127.0.0.1", 10053),
				server("in6.arpa", "127.0.0.1", 10053),
			}
		}},
		{"nanny's words", "-k --dns-forward-max=1500 --server /acme.local/1.1.1.1 --server 2.2.2.2#10053 --no-resolv --neg-ttl=5", func(o *Options) {
			o.Upstream.ForwardMax = 1500
			o.Upstream.NoResolv = true
			o.Upstream.Servers = []Server{server("acme.local", "1.1.1.1", 53), server("", "2.2.2.2", 10053)}
			o.Cache.NegTTL = 5 * time.Second
		}},
		{"users", "--log-queries=extra --port=5353 -c10000 --address=/x/1.2.3.4", func(o *Options) {
			o.Process.LogQueries = QueryLogExtra
			o.Listen.Port = 5353
			o.Cache.Size = 10000
			o.Local.Addresses = []Address{{Domain: dnsname.Domain{Match: dnsname.MatchSuffix, Name: dnsname.MustParse("x")}, Addr: netip.MustParseAddr("1.2.3.4")}}
		}},
		{"rate limit", "--rate-limit=50", func(o *Options) { o.Own.RateLimit, o.Own.RateBurst = 50, 50 }},
		{"rate limit with bursts", "--rate-limit=50,200", func(o *Options) { o.Own.RateLimit, o.Own.RateBurst = 50, 200 }},
		{"our manifest", "-k --cache-size=10000 --serve-stale=24h --lameduck=15s --metrics-address=:10054", func(o *Options) {
			o.Cache.Size = 10000
			o.Own = Own{ServeStale: 24 * time.Hour, Lameduck: 15 * time.Second, MetricsAddress: ":10054"}
		}},
		{"metrics, in brackets", "--metrics-address=[10.0.0.1]:10056", func(o *Options) { o.Own.MetricsAddress = "10.0.0.1:10056" }},
		{"metrics at an IPv6 address", "--metrics-address=[fd00::5]:10056", func(o *Options) { o.Own.MetricsAddress = "[fd00::5]:10056" }},
		{"once again without a change", "--server=1.2.3.4 --server=1.2.3.4 --server=1.2.3.4#53", func(o *Options) {
			o.Upstream.Servers = []Server{server("", "1.2.3.4", 53)}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := Defaults()
			tt.change(want)
			if diff := cmp.Diff(want, parse(t, tt.args), compare); diff != "" {
				t.Errorf("Parse(%s) (-want +got):\n%s", tt.args, diff)
			}
		})
	}
}

func TestGetoptRules(t *testing.T) {
	for _, tt := range []struct {
		name, args string
		got        func(o *Options) any
		want       any
	}{
		{"abbreviation", "--cache-s=5", func(o *Options) any { return o.Cache.Size }, 5},
		{"abbreviation with the value apart", "--neg 7", func(o *Options) any { return o.Cache.NegTTL }, 7 * time.Second},
		{"exact match wins over a longer name", "--user=x", func(o *Options) any { return o.Process.User }, "x"},
		{"synonyms are not ambiguous", "--domain-s=a.b", func(o *Options) any { return o.Local.Domain }, dnsname.MustParse("a.b")},
		{"value apart that looks like an option", "--servers-file --port", func(o *Options) any { return o.Process.ServersFile }, "--port"},
		{"short with value", "-c5", func(o *Options) any { return o.Cache.Size }, 5},
		{"short with value apart", "-c 5", func(o *Options) any { return o.Cache.Size }, 5},
		{"bundled flags", "-kRNc5", func(o *Options) any { return [3]any{o.Upstream.NoResolv, o.Cache.NoNegative, o.Cache.Size} }, [3]any{true, true, 5}},
		{"short q takes no value", "-qR", func(o *Options) any { return [2]any{o.Process.LogQueries, o.Upstream.NoResolv} }, [2]any{QueryLogPlain, true}},
		{"optional value left out", "--use-stale-cache", func(o *Options) any { return o.Cache.UseStaleMax }, 24 * time.Hour},
		{"optional value empty", "--use-stale-cache=", func(o *Options) any { return o.Cache.UseStaleMax }, time.Duration(0)},
		{"empty number is 0", "--cache-size=", func(o *Options) any { return o.Cache.Size }, 0},
		{"number beyond the limit", "--cache-size=9999999999", func(o *Options) any { return o.Cache.Size }, MaxCacheSize},
		{"leading zero", "--port=053", func(o *Options) any { return o.Listen.Port }, uint16(53)},
		{"floor has its own limit", "--min-cache-ttl=7200", func(o *Options) any { return o.Cache.MinCacheTTL }, time.Hour},
		{"unknown word of log-queries is plain", "--log-queries=foo", func(o *Options) any { return o.Process.LogQueries }, QueryLogPlain},
		{"retry times", "--fast-dns-retry=200,3000", func(o *Options) any { return [2]any{o.Upstream.FastRetry, o.Upstream.FastRetryTotal} }, [2]any{200 * time.Millisecond, 3 * time.Second}},
		{"first resolv-file replaces the default", "--resolv-file=/a -r /b", func(o *Options) any { return strings.Join(o.Upstream.ResolvFiles, " ") }, "/a /b"},
		{"log to a file", "-8 a/b", func(o *Options) any { return o.Process.LogFacility }, LogTarget{File: "a/b"}},
		{"log to syslog", "-8 local3", func(o *Options) any { return o.Process.LogFacility }, LogTarget{Facility: "local3"}},
		{"own duration in seconds", "--lameduck=15", func(o *Options) any { return o.Own.Lameduck }, 15 * time.Second},
		{"own option shortened", "--lame=1m", func(o *Options) any { return o.Own.Lameduck }, time.Minute},
		{"end of options", "-k --", func(o *Options) any { return o.Listen.Port }, uint16(53)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.got(parse(t, tt.args)); got != tt.want {
				t.Errorf("Parse(%s) gives %v, want %v", tt.args, got, tt.want)
			}
		})
	}
	if _, err := Parse([]string{"", "-k", ""}, NoFiles()); err != nil {
		t.Errorf("empty words: %v", err)
	}
}

// TestOwnOptionsKeepAbbreviations holds every beginning of a dnsmasq option to
// the meaning it has without our own options.
func TestOwnOptionsKeepAbbreviations(t *testing.T) {
	full := newIndex()
	theirs := &index{long: map[string]*Spec{}}
	for _, s := range full.specs {
		if !s.Own {
			theirs.specs = append(theirs.specs, s)
		}
	}
	for i := range theirs.specs {
		theirs.long[theirs.specs[i].Name] = &theirs.specs[i]
	}
	for _, s := range theirs.specs {
		for n := 1; n <= len(s.Name); n++ {
			want, _ := theirs.abbreviation(s.Name[:n])
			got, _ := full.abbreviation(s.Name[:n])
			if (want == nil) != (got == nil) || want != nil && want.Name != got.Name {
				t.Errorf("--%s means %v, without our options %v", s.Name[:n], got, want)
			}
		}
	}
}

func TestHelpAndVersionEndAtOnce(t *testing.T) {
	o, err := Parse([]string{"-k", "--help", "--nonsense"}, NoFiles())
	if err != nil || !o.Help {
		t.Errorf("--help before a fault: Help %v, error %v", o.Help, err)
	}
	if _, err = Parse([]string{"--nonsense", "--version"}, NoFiles()); err == nil {
		t.Error("--version after a fault hides the fault")
	}
	o, err = Parse(nil, mapFiles(map[string]string{DefaultConfFile: "help\nversion\ntest\n"}))
	if err != nil || o.Help || o.Version || !o.Test {
		t.Errorf("help, version and test in a file: %+v, %v", o, err)
	}
}

func TestConfigFiles(t *testing.T) {
	files := mapFiles(map[string]string{
		DefaultConfFile: "# defaults\ncache-size=7\nno-resolv #x\n  port = 88  # c\n",
		"/c/include":    "conf-file=/c/other\nneg-ttl=3\n",
		"/c/other":      "conf-file=/c/include\nmax-ttl=9\n",
		"/d/b.conf":     "neg-ttl=2\n",
		"/d/a.conf":     "max-ttl=1\n",
		"/d/c.conf~":    "nonsense\n",
		"/d/.hidden":    "nonsense\n",
		"/d/#x#":        "nonsense\n",
		"/d/z.bak":      "nonsense\n",
		"/q":            `txt-record=a.b,"x,y#z\t\"",plain` + "\nuser=\"root\"\r\n",
	})
	for _, tt := range []struct {
		name, args string
		got        func(o *Options) any
		want       any
	}{
		{"default file", "", func(o *Options) any { return [3]any{o.Cache.Size, o.Upstream.NoResolv, o.Listen.Port} }, [3]any{7, true, uint16(88)}},
		{"a file wins over the command line", "-c 9", func(o *Options) any { return o.Cache.Size }, 7},
		{"another file replaces the default", "-C /c/include", func(o *Options) any { return [3]any{o.Cache.Size, o.Cache.NegTTL, o.Cache.MaxTTL} }, [3]any{150, 3 * time.Second, 9 * time.Second}},
		{"no file", "--conf-file=", func(o *Options) any { return o.Cache.Size }, 150},
		{"directory with suffix", "-7 /d,*.conf", func(o *Options) any { return [3]any{o.Cache.Size, o.Cache.NegTTL, o.Cache.MaxTTL} }, [3]any{7, 2 * time.Second, time.Second}},
		{"directory without suffix", "-7 /d/,.bak", func(o *Options) any { return o.Cache.NegTTL }, 2 * time.Second},
		{"quotes", "-C /q", func(o *Options) any { return string(o.Local.Records[0].Data) + o.Process.User }, "\x07x,y#z\t\"\x05plainroot"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o, err := Parse(strings.Fields(tt.args), files)
			if err != nil {
				t.Fatal(err)
			}
			if got := tt.got(o); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestServersFile(t *testing.T) {
	servers, faults := ParseServersFile("/s", []byte("server=/a.b/1.2.3.4\nno-resolv\nlocal=/x/\nserver=nonsense:5\nrev-server=10.0.0.0/8,1.2.3.4\n"))
	var got []string
	for _, s := range servers {
		got = append(got, s.String())
	}
	if want := []string{"/a.b/1.2.3.4#53", "/10.in-addr.arpa/1.2.3.4#53"}; !slices.Equal(got, want) {
		t.Errorf("servers %q, want %q", got, want)
	}
	got = nil
	for _, f := range faults {
		got = append(got, f.Text)
	}
	want := []string{"illegal option at line 2 of /s", "illegal option at line 3 of /s", "Name or service not known at line 4 of /s"}
	if !slices.Equal(got, want) {
		t.Errorf("faults %q, want %q", got, want)
	}
}
