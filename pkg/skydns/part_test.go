package skydns

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

// partPackets are all kinds of packets.
func partPackets(t *testing.T, c *client) [][]byte {
	t.Helper()
	var packets [][]byte
	for _, tt := range hotCases() {
		for _, edns := range []bool{false, true} {
			packet, _ := hotPacket(t, c, tt.query, edns)
			packets = append(packets, packet)
		}
	}
	chaos := new(dns.Msg).SetQuestion("version.bind.", dns.TypeTXT)
	chaos.Question[0].Qclass = dns.ClassCHAOS
	outside := new(dns.Msg).SetQuestion("WWW.Example.com.", dns.TypeA)
	upper := new(dns.Msg).SetQuestion("WEB.default.svc.Cluster.Local.", dns.TypeA)
	for _, m := range []*dns.Msg{chaos, outside, upper} {
		packet, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		packets = append(packets, packet)
	}
	return append(packets, make([]byte, 12), bytes.Repeat([]byte{0xff}, 20), packets[0][:20])
}

// sorted is a reply with its records in one order, whichever it is.
func sorted(t *testing.T, reply []byte) []string {
	t.Helper()
	if len(reply) == 0 {
		return nil
	}
	var m dns.Msg
	if err := m.Unpack(reply); err != nil {
		t.Fatalf("%x: %v", reply, err)
	}
	lines := strings.Split(m.String(), "\n")
	slices.Sort(lines)
	return lines
}

// TestPart: a Part answers as the Server does, whether it has seen a packet
// before or not, and whatever it has seen besides.
func TestPart(t *testing.T) {
	c := newClient(t, Config{Backend: sharedFixture(t), NegativeTTL: 5 * time.Second, Version: "v"})
	packets := partPackets(t, c)
	part := c.server.Split().(*Part)
	rng := rand.New(rand.NewPCG(1, 2))
	pick := func(n int) (list [][]byte) {
		for range n {
			list = append(list, slices.Clone(packets[rng.IntN(len(packets))]))
		}
		return list
	}
	for range 300 {
		seen, batch := pick(rng.IntN(2*maxAhead)), [][]byte(nil)
		for _, packet := range seen { // some get lost, others were not seen
			switch rng.IntN(8) {
			case 0:
			case 1:
				batch = append(batch, pick(1)...)
			default:
				batch = append(batch, packet)
			}
		}
		if len(seen) > 0 {
			part.Preview(seen)
		}
		for _, packet := range batch {
			want := sorted(t, c.server.Handle(slices.Clone(packet), c.replyTo(), c.buffer[:0]))
			got := sorted(t, part.Handle(packet, c.replyTo(), c.buffer[:0]))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%x (-want +got)\n%s", packet, diff)
			}
		}
		part.Flush()
	}
	if part.sum == 0 {
		t.Error("the backend was never told what is coming")
	}
}

// TestPartCrash: a crash costs the one query of a batch.
func TestPartCrash(t *testing.T) {
	c := newClient(t, Config{Backend: crashBackend{newFixture(t)}})
	bad, to := hotPacket(t, c, "a!b.default A", false)
	good, _ := hotPacket(t, c, "web.default A", false)
	part := c.server.Split().(*Part)
	batch := [][]byte{good, bad, slices.Clone(good)}
	part.Preview(batch)
	var got []int
	for _, packet := range batch {
		var reply dns.Msg
		if err := reply.Unpack(part.Handle(packet, to, c.buffer[:0])); err != nil {
			t.Fatal(err)
		}
		got = append(got, reply.Rcode, len(reply.Answer))
	}
	part.Flush()
	if diff := cmp.Diff([]int{dns.RcodeSuccess, 1, dns.RcodeServerFailure, 0, dns.RcodeSuccess, 1}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestPartAllocations: a batch costs no allocation.
func TestPartAllocations(t *testing.T) {
	if raceEnabled {
		t.Log("the race detector allocates; the other checks of this package still ran")
		return
	}
	c := newClient(t, Config{Backend: sharedFixture(t), NegativeTTL: 5 * time.Second})
	packets, to := partPackets(t, c), c.replyTo()
	part := c.server.Split().(*Part)
	got := testing.AllocsPerRun(100, func() {
		part.Preview(packets)
		for _, packet := range packets {
			part.Handle(packet, to, c.buffer[:0])
		}
		part.Flush()
	})
	if got != 0 {
		t.Errorf("%v allocations, want none", got)
	}
}
