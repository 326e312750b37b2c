package process

import (
	"strings"
	"testing"

	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/privilege"
)

func TestSourcePortsOfRoot(t *testing.T) {
	for _, tt := range []struct {
		args, want string
	}{
		{"--server=127.0.0.1@127.0.0.1#1024 --query-port=5353", ""},
		{"--query-port=53", "source port 53 of --query-port needs --user=root"},
		{"--server=127.0.0.1@127.0.0.1#53", "source port 53 of --server=127.0.0.1#53@127.0.0.1#53 needs --user=root"},
	} {
		o, err := options.Parse(strings.Fields(tt.args), options.NoFiles())
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if err := CheckPorts(privilege.Identity{UID: 65534, Change: true}, &o.Upstream); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.args, got, tt.want)
		}
		if err := CheckPorts(privilege.Identity{}, &o.Upstream); err != nil {
			t.Errorf("%s as root: %v", tt.args, err)
		}
	}
}
