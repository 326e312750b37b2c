package filter

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
)

func address(n uint32) netip.Addr {
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, n)))
}

// TestMovesAreAList: ranges answer as the list of aliases that they are made of,
// the last that has the address, as in dnsmasq.
func TestMovesAreAList(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	edge := []uint32{0, 1, 1<<32 - 1, 1<<32 - 2}
	some := func() uint32 {
		if r.IntN(8) == 0 {
			return edge[r.IntN(len(edge))]
		}
		return 100 + r.Uint32N(40)
	}
	for range 2000 {
		var list []options.Alias
		for range r.IntN(8) {
			al := options.Alias{First: address(some()), Last: address(some()), To: address(r.Uint32()), Mask: address(r.Uint32())}
			if r.IntN(2) == 0 {
				mask := []uint32{0, 1 << 31, ^uint32(7), ^uint32(0), 0xff000003, 0x55, ^uint32(8)}[r.IntN(7)]
				n := number(al.First)
				al = options.Alias{First: address(n & mask), Last: address(n | ^mask), To: al.To, Mask: address(mask), Masked: true}
			}
			list = append(list, al)
		}
		m := newMoves(list)
		check := func(n uint32) {
			want := n
			for _, al := range slices.Backward(list) {
				a := address(n)
				in := !a.Less(al.First) && !al.Last.Less(a)
				if al.Masked {
					in = n&number(al.Mask) == number(al.First)&number(al.Mask)
				}
				if in {
					want = n&^number(al.Mask) | number(al.To)&number(al.Mask)
					break
				}
			}
			if got := m.move(n); got != want {
				t.Fatalf("%v becomes %v, want %v, of %v", address(n), address(got), address(want), list)
			}
		}
		for n := range uint32(145) {
			check(n)
		}
		for _, n := range edge {
			check(n)
		}
	}
}

// TestManyAliases: building and lookups take little time, however many there are.
func TestManyAliases(t *testing.T) {
	const n = 200_000 // squared, minutes
	var list []options.Alias
	for i := range uint32(n) {
		list = append(list, options.Alias{First: address(i), Last: address(2*n - i), To: address(7), Mask: address(255)})
	}
	begin := time.Now()
	m := newMoves(list)
	for i := range uint32(n) {
		if got := m.move(i); got != i&^255|7 {
			t.Fatalf("%v becomes %v", address(i), address(got))
		}
	}
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
}
