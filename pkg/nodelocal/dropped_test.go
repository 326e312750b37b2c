package nodelocal

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kube-dns/kube-dns/pkg/internal/netlink"
)

// TestRuleFault: the errors of kernels without nftables (EPROTONOSUPPORT), or without this
// kind of table, flag, hook or expression, are no reason to try again; other errors are.
func TestRuleFault(t *testing.T) {
	for err, never := range map[error]bool{
		unix.EOPNOTSUPP: true, unix.EINVAL: true, unix.ENOENT: true, unix.EPROTONOSUPPORT: true,
		unix.EEXIST: false, unix.ENOBUFS: false, unix.EPERM: false, unix.EAGAIN: false,
	} {
		if got := errors.Is(ruleFault(err), errNoOwner); got != never || !errors.Is(ruleFault(err), err) {
			t.Errorf("%v: %v", err, ruleFault(err))
		}
	}
}

// TestFilterWatch: queries count as dropped only if none of them arrives.
func TestFilterWatch(t *testing.T) {
	for _, row := range []struct {
		name string
		seen []counts
		want bool
	}{
		{"nothing comes", []counts{{}, {}, {}}, false},
		{"all arrive", []counts{{5, 5}, {10, 10}}, false},
		{"none arrives", []counts{{1, 0}, {2, 0}, {3, 0}}, true},
		{"too few to tell", []counts{{1, 0}, {2, 0}}, false},
		{"some are dropped", []counts{{5, 1}, {9, 2}, {20, 3}}, false},
		{"from now on none arrives", []counts{{100, 100}, {103, 100}}, true},
		{"one arrived in between", []counts{{2, 0}, {4, 1}, {6, 1}}, false},
	} {
		var w filterWatch
		got := false
		for _, c := range row.seen {
			got = w.drops(c)
		}
		if got != row.want {
			t.Errorf("%s: %v", row.name, got)
		}
	}
}

// FuzzAttributes parses arbitrary octets as the answer of a kernel.
func FuzzAttributes(f *testing.F) {
	m := newMessage(0, 0, 1, nil)
	match{addr: privateAddr(), protocol: unix.IPPROTO_UDP}.count(&m)
	f.Add([]byte(m[unix.NLMSG_HDRLEN:]))
	f.Add([]byte{0, 0, 0, 0})
	f.Fuzz(func(_ *testing.T, b []byte) {
		netlink.Attributes(b, func(_ uint16, value []byte) { packetsOf(value) })
	})
}
