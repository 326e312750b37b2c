package options

import (
	"slices"
	"strings"
	"testing"
)

// FuzzParse holds that no command line or file makes the parser panic, and
// that a command line that is accepted stays accepted when every long option is
// written out.
func FuzzParse(f *testing.F) {
	for _, seed := range [][2]string{
		{"-k\n-c5\n--server\n/a/1.2.3.4\n--neg=5", "port=53\n"},
		{"--cname=a,b,5\n--txt-record=a,b\n--srv-host=a.b,c,1,2,3", `txt-record=a,"b,c#\"d" # e`},
		{"--host-record=a,1.2.3.4,::1,60\n--naptr-record=a,1,2,s,x,y,z\n--caa-record=a,0,issue,v", "server=/a/b/::1#5@lo\nconf-file=/f\n"},
		{"--dns-rr=a,5,01:02\n--synth-domain=a.b,10.0.0.0/24,p-*\n--alias=1.2.3.1-1.2.3.9,5.6.7.0,255.255.255.0", "conf-dir=/\n\x00\x01"},
		{"-kRNqc5\n-8\n-\n--serve-stale=1h\n--metrics-address=[::1]:1", "alias=1.2.3.0,5.6.7.0,255.255.255.0"},
		{"--rebind-domain-ok=/a/b/\n--filter-rr=ANY,A,TYPE65\n--bogus-nxdomain=::1/64\n--mx-host=a,b,5\n--ptr-record=a", "p\"\\"},
		{"--add-mac=text\n--add-subnet=1.2.3.4/24,::1/64\n--add-cpe-id=a\n--umbrella=deviceid:0123456789abcdef,orgid:1,assetid:2", "add-subnet=24,x\numbrella=orgid:\n"},
		{"--interface-name=a.b,eth0/4\n--dynamic-host=a,::8,0.0.0.8,lo\n-eL\n-t\nmail.ex\n-m\na", "mx-host=a,,5\ninterface-name=a,b/5\n"},
		{"--domain=a,10.0.0.0/9,local\n--domain=b,::1,::9\n--domain=c,eth0\n--bind-dynamic\n-y", "domain=#\ndomain=x,::/0,local\nconf-script=x y\n"},
	} {
		f.Add(seed[0], seed[1])
	}
	x := newIndex()
	f.Fuzz(func(t *testing.T, line, file string) {
		files := mapFiles(map[string]string{"/f": file})
		args := strings.Split(line, "\n")
		Faults(last(Parse(append(slices.Clone(args), "-C/f"), files)))

		want, err := Parse(args, NoFiles())
		if err != nil || want.Help || want.Version {
			return
		}
		var written []string
		x.argv(args, func(u use) bool {
			word := "--" + u.spec.Name
			if u.given {
				word += "=" + u.value
			}
			written = append(written, word)
			return true
		}, func(shown string, err error) { t.Errorf("%s: %v", shown, err) })
		if _, err := Parse(written, NoFiles()); err != nil {
			t.Errorf("%q is accepted, but not as %q: %v", args, written, err)
		}
	})
}

func last[T any](_ T, err error) error { return err }

// FuzzLine holds that a value in quotes comes back as it was.
func FuzzLine(f *testing.F) {
	for _, seed := range []string{"a,b", `\`, `"`, "#", "a b # c", "é"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' }) {
			return
		}
		quotedValue := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`
		got, err := cleanLine("x=" + quotedValue + " # comment")
		if strings.Trim(value, blanks) != value {
			return // blanks at the ends are cut off, in quotes too
		}
		if err != nil || unhide(got) != "x="+value {
			t.Errorf("cleanLine(x=%s) = %q, %v; want %q", quotedValue, unhide(got), err, "x="+value)
		}
	})
}

func FuzzResolvConf(f *testing.F) {
	f.Add([]byte("# x\nbad line\nnameserver 1.2.3.4\nnameserver fe80::1%eth0\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, a := range ParseResolvConf(data) {
			if !a.IsValid() {
				t.Error("server without address")
			}
		}
	})
}
