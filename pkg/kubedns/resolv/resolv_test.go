package resolv

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestParse(t *testing.T) {
	tests := []struct {
		name, text string
		servers    string
		skipped    []string // "line: part of the reason"
	}{
		{"plain", "nameserver 10.0.0.1\nnameserver 10.0.0.2\n", "10.0.0.1 10.0.0.2", nil},
		{
			"one odd line costs only itself", "nameserver ns.example.com\nnameserver $DNS1\nnameserver 10.0.0.2#53\nnameserver 10.0.0.3\n",
			"10.0.0.3",
			[]string{"nameserver ns.example.com: not an IP address", "nameserver $DNS1: not an IP address", "nameserver 10.0.0.2#53: without a port"},
		},
		{
			"ports and brackets", "nameserver 10.0.0.1:53\nnameserver [fd00::1]:53\nnameserver [fd00::1]\nnameserver fd00::2", "fd00::2",
			[]string{"nameserver 10.0.0.1:53: without a port", "nameserver [fd00::1]:53: without a port", "nameserver [fd00::1]: without brackets"},
		},
		{
			"this Pod", "nameserver 127.0.0.53\nnameserver ::1\nnameserver 0.0.0.0\nnameserver ::\nnameserver ::ffff:127.0.0.1\nnameserver ::ffff:10.0.0.1", "10.0.0.1",
			[]string{"nameserver 127.0.0.53: this Pod", "nameserver ::1: this Pod", "nameserver 0.0.0.0: this Pod", "nameserver ::: this Pod", "nameserver ::ffff:127.0.0.1: this Pod"},
		},
		{
			"zones", "nameserver fe80::1%eth0\nnameserver fe80::2%nosuch\nnameserver fe80::3\nnameserver 169.254.169.253", "fe80::1%eth0 169.254.169.253",
			[]string{`nameserver fe80::2%nosuch: no network interface "nosuch"`, "nameserver fe80::3: needs an interface"},
		},
		{
			"no single server", "nameserver 224.0.0.1\nnameserver ff02::1%eth0\nnameserver 255.255.255.255", "",
			[]string{"nameserver 224.0.0.1: one server", "nameserver ff02::1%eth0: one server", "nameserver 255.255.255.255: one server"},
		},
		{"leading zeros", "nameserver 010.0.0.1\nnameserver 10.0.0.1", "10.0.0.1", []string{"nameserver 010.0.0.1: not an IP address"}},
		{"DOS", "\ufeffnameserver 10.0.0.1\r\nnameserver\t10.0.0.2\r\n\r\n", "10.0.0.1 10.0.0.2", nil},
		{"blanks and comments", "# c\n; nameserver 1.1.1.1\n#nameserver 1.1.1.1\n \t nameserver \t 10.0.0.1 # why\nnameserver 10.0.0.2 ; why", "10.0.0.1 10.0.0.2", nil},
		{
			"other keywords", "search a b\noptions ndots:5 edns0\ndomain x\nsortlist 1.2.3.4\nnameservers 1.1.1.1\nNAMESERVER 1.1.1.1\nnameserver 10.0.0.1", "10.0.0.1",
			[]string{"nameservers 1.1.1.1: must begin with", "NAMESERVER 1.1.1.1: must begin with"},
		},
		{
			"typing mistakes", "nameserver=10.0.0.2\nnameserver:10.0.0.3\nnameserver10.0.0.4\nnamserver 10.0.0.5\nnameserver 10.0.0.1", "10.0.0.1",
			[]string{"nameserver=10.0.0.2: must begin with", "nameserver:10.0.0.3: must begin with", "nameserver10.0.0.4: must begin with"},
		},
		{"more than three", "nameserver 10.0.0.1\nnameserver 10.0.0.2\nnameserver 10.0.0.3\nnameserver 10.0.0.4\n", "10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4", nil},
		{"twice", "nameserver 10.0.0.1\nnameserver 10.0.0.2\nnameserver 10.0.0.1\nnameserver ::ffff:10.0.0.2", "10.0.0.1 10.0.0.2", nil},
		{"empty", "", "", nil},
		{"keyword alone", "nameserver\nnameserver 10.0.0.1", "10.0.0.1", []string{"nameserver: no address"}},
		{"no final newline, huge line", strings.Repeat("x", 1<<17) + "\nnameserver 10.0.0.1", "10.0.0.1", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			servers, skipped := parse([]byte(tt.text), func(zone string) bool { return zone == "eth0" })
			var texts []string
			for _, s := range servers {
				texts = append(texts, s.String())
			}
			if got := strings.Join(texts, " "); got != tt.servers {
				t.Errorf("servers %q, want %q", got, tt.servers)
			}
			if len(skipped) != len(tt.skipped) {
				t.Fatalf("skipped %v, want %v", skipped, tt.skipped)
			}
			for i, want := range tt.skipped {
				at := strings.LastIndex(want, ": ")
				if s := skipped[i]; s.Line != want[:at] || !strings.Contains(s.Reason, want[at+2:]) {
					t.Errorf("skipped %q because %q, want %q", s.Line, s.Reason, want)
				}
			}
		})
	}
}

func TestRead(t *testing.T) {
	if _, _, err := Read(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if _, _, err := Read(t.TempDir()); err == nil {
		t.Error("a directory: no error")
	}
	path := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(path, []byte("nameserver fe80::1%lo\nnameserver fe80::1%1\nnameserver fe80::1%no/such\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	servers, skipped, err := Read(path)
	want := []netip.Addr{netip.MustParseAddr("fe80::1%lo"), netip.MustParseAddr("fe80::1%1")}
	if err != nil || !slices.Equal(servers, want) || len(skipped) != 1 {
		t.Errorf("Read: %v, %v, %v", servers, skipped, err)
	}
}

// FuzzParse: whatever a file contains, valid lines that follow are used, every server can be
// asked, and none is returned twice.
func FuzzParse(f *testing.F) {
	f.Add("nameserver 10.0.0.1\n")
	f.Add("\ufeffnameserver\r\nnameserver ::ffff:0.0.0.0%x\n[")
	f.Add("nameserver 10.0.0.2#53 # x\n; y")
	f.Fuzz(func(t *testing.T, text string) {
		last := netip.MustParseAddr("192.0.2.77")
		servers, skipped := parse([]byte(text+"\nnameserver 192.0.2.77\r\n"), func(string) bool { return false })
		if !slices.Contains(servers, last) {
			t.Errorf("%q: the last server is not in %v", text, servers)
		}
		seen := map[netip.Addr]bool{}
		for _, s := range servers {
			if seen[s] || !s.IsValid() || s.IsLoopback() || s.IsUnspecified() || s.Is4In6() || s.Zone() != "" {
				t.Errorf("%q: server %v", text, s)
			}
			seen[s] = true
		}
		for _, s := range skipped {
			if s.Reason == "" || !strings.HasPrefix(strings.ToLower(s.Line), "nameserver") {
				t.Errorf("%q: skipped %+v", text, s)
			}
		}
		if again, _ := parse([]byte("nameserver 192.0.2.77"), nil); cmp.Diff(again, []netip.Addr{last}, cmpopts.EquateComparable(netip.Addr{})) != "" {
			t.Error("one line alone is not understood")
		}
	})
}

func TestParseSearch(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "nameserver 10.0.0.1\n": "", "search\n": "",
		"search a.b c\t d # no comment\n":     "a.b c d # no comment",
		"search a\nsearch b\n":                "b",
		"search a b\ndomain c d\n":            "c",
		"domain c\n  search a b\r\noptions x": "a b",
		"\ufeffsearch a":                      "a",
	} {
		if got := strings.Join(parseSearch([]byte(text)), " "); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
