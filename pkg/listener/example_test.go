package listener_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"github.com/kube-dns/kube-dns/pkg/listener"
)

// refuser answers every query with REFUSED.
type refuser struct{}

func (refuser) Handle(packet []byte, _ listener.ReplyTo, reply []byte) []byte {
	reply = append(reply, packet...)
	reply[2] |= 0x80
	reply[3] = 5
	return reply
}

func Example() {
	s, err := listener.Listen(listener.Config{
		Addrs:   []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")},
		Handler: refuser{},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()

	c, err := net.Dial("udp", s.Addrs()[0].String())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	query := []byte("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x01")
	answer := make([]byte, 512)
	if _, err := c.Write(query); err == nil {
		n, err := c.Read(answer)
		fmt.Printf("%x %v\n", answer[:n], err)
	}
	cancel()
	fmt.Println(<-ended)
	// Output:
	// 1234810500010000000000000000010001 <nil>
	// <nil>
}
