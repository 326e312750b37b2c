package options

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// model splits as dnsmasq's C code does: it overwrites the separator by a
// blank, then cuts the blanks to its left off the item and skips those to its
// right.
func model(value string, separator byte) []string {
	var list []string
	for {
		b := []byte(value)
		i := slices.Index(b, separator)
		if i < 0 {
			return append(list, value)
		}
		b[i] = ' '
		left, right := i, i
		for left > 0 && b[left-1] == ' ' {
			left--
		}
		for right < len(b) && b[right] == ' ' {
			right++
		}
		list = append(list, string(b[:left]))
		value = string(b[right:])
	}
}

func FuzzSplit(f *testing.F) {
	for _, seed := range []string{"", ",", " , ", "a , b,c ,  d ", "/a / b/", "a,,b", " a", "\ta\t,\tb"} {
		f.Add(seed, byte(','))
		f.Add(seed, byte('/'))
	}
	f.Fuzz(func(t *testing.T, value string, separator byte) {
		if separator == ' ' || separator >= 0x80 {
			return
		}
		got, want := split(value, separator), model(value, separator)
		if !slices.Equal(got, want) {
			t.Errorf("split(%q, %q) = %q, want %q", value, separator, got, want)
		}
		if got := splitN(value, separator, 2); len(want) > 0 && got[0] != want[0] || len(got) > 2 {
			t.Errorf("splitN(%q, %q, 2) = %q", value, separator, got)
		}
	})
}

// separated are values of every option that has separators.
var separated = []string{
	"address=/a.ex/b.ex/192.0.2.1", "server=/a.ex/b.ex/192.0.2.1", "server=192.0.2.1#5353", "server=192.0.2.1@192.0.2.2#66",
	"local=/a.ex/b.ex/", "rev-server=192.0.2.0/24,192.0.2.1#53", "listen-address=127.0.0.1,127.0.0.2", "interface=lo,eth0",
	"except-interface=lo,eth0", "host-record=a.ex,b.ex,192.0.2.1,60", "cname=a.ex,b.ex,60", "txt-record=a.ex,one",
	"srv-host=_a._tcp.ex,b.ex,80,1,2", "ptr-record=a.ex,b.ex", "mx-host=a.ex,b.ex,5", "naptr-record=a.ex,1,2,s,SIP+D2U,!x!,b.ex",
	"caa-record=a.ex,0,issue,b.ex", "dns-rr=a.ex,51,01:23", "synth-domain=a.ex,192.0.2.0/24,p-", "synth-domain=a.ex,192.0.2.1,192.0.2.9,p-*",
	"domain=a.ex,192.0.2.0/24,local", "domain=a.ex,192.0.2.1,192.0.2.9", "alias=192.0.2.1,192.0.3.1", "alias=192.0.2.1-192.0.2.9,192.0.3.0,255.255.255.0",
	"bogus-nxdomain=192.0.2.0/24", "ignore-address=192.0.2.0/24", "rebind-domain-ok=/a.ex/b.ex/", "filter-rr=A,TXT", "cache-rr=A,TXT",
	"add-subnet=24,64", "add-subnet=192.0.2.1/24,::1/64", "umbrella=orgid:1,assetid:2", "fast-dns-retry=500,1000",
	"conf-dir=/d,.bak,*.conf", "interface-name=a.ex,lo/4", "dynamic-host=a.ex,0.0.0.8,lo",
}

// Blanks around separators change nothing, in files and on the command line.
func TestBlanksAroundSeparators(t *testing.T) {
	files := NoFiles()
	var selected string
	files.ReadDir = func(path string) ([]string, error) {
		selected += path + ";"
		return []string{"a.conf", "b.bak", "c"}, nil
	}
	files.ReadFile = func(path string) ([]byte, error) {
		selected += path + ";"
		return nil, nil
	}
	parse := func(line string) string {
		selected = ""
		var out []string
		for _, args := range [][]string{{"--conf-file=", "--" + line}, {"--conf-file=/f"}} {
			use := files
			if len(args) == 1 {
				use.ReadFile = func(path string) ([]byte, error) {
					if path == "/f" {
						return []byte(line + "\n"), nil
					}
					return files.ReadFile(path)
				}
			}
			o, err := Parse(args, use)
			out = append(out, fmt.Sprintf("%+v %v %s", *o, err, selected))
		}
		if out[0] == "" {
			return ""
		}
		return strings.Join(out, "\n")
	}
	for _, line := range separated {
		want := parse(line)
		if strings.Contains(want, "bad command line") {
			t.Errorf("%s is refused: %s", line, want)
		}
		name, value, _ := strings.Cut(line, "=")
		for i := range len(value) {
			if i == 0 && value[i] == '/' || !strings.ContainsRune(",/#@-:", rune(value[i])) ||
				strings.HasPrefix(line, "conf-dir") && value[i] == '/' ||
				strings.Contains(value, "::") && value[i] == ':' || value[i] == '-' && !strings.HasPrefix(line, "alias") ||
				strings.HasPrefix(line, "dns-rr") && value[i] == ':' || value[i] == '#' { // " #" begins a comment
				continue
			}
			for _, separator := range []string{" %s", "%s ", "  %s   "} {
				blank := name + "=" + value[:i] + fmt.Sprintf(separator, value[i:i+1]) + value[i+1:]
				if got := parse(blank); got != want {
					t.Errorf("%q is not %q:\n%s\n%s", blank, line, got, want)
				}
			}
		}
	}
}

// Every option that may be repeated takes time in proportion to how often it
// is.
func TestListsAreLinear(t *testing.T) {
	const few, many = 1_000, 16_000
	for _, format := range []string{
		"address=/a{i}.ex/192.0.2.1", "server=/a{i}.ex/192.0.2.1", "local=/a{i}.ex/", "rebind-domain-ok=/a{i}.ex/", "host-record=a{i}.ex,192.0.2.1",
		"cname=a{i}.ex,b.ex", "cname=a{i}.ex,a{j}.ex", "txt-record=a{i}.ex,x", "ptr-record=a{i}.ex,b.ex", "mx-host=a{i}.ex,b.ex", "mx-host=a{i}.ex",
		"interface-name=a{i}.ex,lo", "dynamic-host=a{i}.ex,0.0.0.8,lo", "addn-hosts=/a{i}", "hostsdir=/a{i}", "resolv-file=/a{i}", "interface=a{i}",
		"except-interface=a{i}", "bogus-nxdomain={ip}", "ignore-address={ip}", "listen-address={ip}", "alias={ip},192.0.2.1",
		"synth-domain=a{i}.ex,192.0.2.0/24", "domain=a{i}.ex,192.0.2.0/24", "domain=a{i}.ex,192.0.2.0/24,local", "rev-server={ip},192.0.2.1",
		"caa-record=a{i}.ex,0,issue,x", "dns-rr=a{i}.ex,51,01", "conf-file=/a{i}",
	} {
		took := func(n int) time.Duration {
			var b strings.Builder
			for i := range n {
				ip := fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255)
				b.WriteString(strings.NewReplacer("{i}", fmt.Sprint(i), "{j}", fmt.Sprint(i+1), "{ip}", ip).Replace(format) + "\n")
			}
			text := b.String()
			files := NoFiles()
			files.ReadFile = func(path string) ([]byte, error) {
				if path == "/f" {
					return []byte(text), nil
				}
				return nil, nil
			}
			start := time.Now()
			if _, err := Parse([]string{"--conf-file=/f"}, files); err != nil && !strings.Contains(err.Error(), "resolv") {
				t.Fatalf("%s: %.200s", format, err)
			}
			return time.Since(start)
		}
		short, long := took(few), took(many)
		slow := func() bool { return long > 8*many/few*short+500*time.Millisecond }
		for tries := 0; tries < 3 && slow(); tries++ { // others run beside this test
			short, long = min(short, took(few)), min(long, took(many))
		}
		if slow() {
			t.Errorf("%s: %d lines take %s, %d take %s", format, few, short, many, long)
		}
	}
}
