package transport

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/pkg/wire"
)

func TestMixCase(t *testing.T) {
	const none, every = 0, ^uint64(0)
	for _, test := range []struct {
		name, want string
		mix        uint64
	}{
		{"www.example.com.", "www.example.com.", none},
		{"www.example.com.", "WWW.EXAMPLE.COM.", every},
		{"wWw.exAMPle.com.", "WwW.EXampLE.COM.", every},
		{"www.example.com.", "WWw.EXAMPLE.COM.", every &^ 4},
		{"_a-1.x.", "_A-1.x.", 1},
		{".", ".", every},
		{strings.Repeat("a", 63) + ".bc.d.", strings.Repeat("a", 63) + ".Bc.d.", 1 << 63},
		{strings.Repeat("a", 63) + ".bc.d.", "A" + strings.Repeat("a", 62) + ".bC.d.", 1},
	} {
		got := wireName(test.name)
		mixCase(got, test.mix)
		if want := wireName(test.want); !bytes.Equal(got, want) {
			t.Errorf("%s mixed with %x is %q, want %q", test.name, test.mix, got, want)
		}
	}
}

// wireName packs a name without changing its case.
func wireName(text string) []byte {
	b := make([]byte, 300)
	n, err := dns.PackDomainName(text, b, 0, nil, false)
	if err != nil {
		panic(err)
	}
	return b[:n]
}

// TestMixedAs compares with mixing and comparing, for the right name and for
// ones of which an octet differs.
func TestMixedAs(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for range 2000 {
		var name []byte
		for len(name) < 180 && random.IntN(5) > 0 {
			n := 1 + random.IntN(63)
			name = append(name, byte(n))
			for range n {
				name = append(name, byte(random.Uint32()))
			}
		}
		name = append(name, 0)
		mix := random.Uint64()
		want := bytes.Clone(name)
		mixCase(want, mix)
		if !wire.EqualNames(want, name) {
			t.Fatalf("%q mixed is %q, another name", name, want)
		}
		if !mixedAs(want, name, mix) {
			t.Fatalf("%q is not known as %q mixed by %x", want, name, mix)
		}
		want[random.IntN(len(want))] ^= 0x20
		if mixedAs(want, name, mix) {
			t.Fatalf("%q passes for %q mixed by %x", want, name, mix)
		}
	}
}
