package main

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// search walks the search list with A and AAAA questions sent at once from one socket, and
// stops at the first name that exists. If the two answers disagree about the existence of a
// name, the walk ends with an error: a server must not answer NXDOMAIN for a type that is
// merely missing.
func search(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("search needs a name")
	}
	conf, err := dns.ClientConfigFromFile(resolvConf)
	if err != nil {
		return err
	}
	for _, name := range conf.NameList(args[0]) {
		replies, err := pair(ctx, name, net.JoinHostPort(conf.Servers[0], conf.Port))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		var addrs []string
		for _, m := range replies {
			for _, rr := range m.Answer {
				switch rr := rr.(type) {
				case *dns.A:
					addrs = append(addrs, rr.A.String())
				case *dns.AAAA:
					addrs = append(addrs, rr.AAAA.String())
				}
			}
			if m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
				return fmt.Errorf("%s: %s", name, dns.RcodeToString[m.Rcode])
			}
		}
		if replies[0].Rcode != replies[1].Rcode {
			return fmt.Errorf("%s: A says %s, AAAA says %s", name,
				dns.RcodeToString[replies[0].Rcode], dns.RcodeToString[replies[1].Rcode])
		}
		if len(addrs) > 0 {
			fmt.Println(name, strings.Join(addrs, " "))
			return nil
		}
	}
	return fmt.Errorf("%s: no such name along the search list %v", args[0], conf.Search)
}

// pair sends the A and the AAAA question from one socket and returns both
// replies in that order.
func pair(ctx context.Context, name, server string) ([2]*dns.Msg, error) {
	var replies [2]*dns.Msg
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "udp", server)
	if err != nil {
		return replies, err
	}
	defer conn.Close()
	ids := map[uint16]int{}
	for i, typ := range []uint16{dns.TypeA, dns.TypeAAAA} {
		q := new(dns.Msg)
		q.SetQuestion(name, typ)
		q.Id = uint16(i + 1)
		ids[q.Id] = i
		packed, err := q.Pack()
		if err != nil {
			return replies, err
		}
		if _, err := conn.Write(packed); err != nil {
			return replies, err
		}
	}
	if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return replies, err
	}
	buf := make([]byte, 4096)
	for replies[0] == nil || replies[1] == nil {
		n, err := conn.Read(buf)
		if err != nil {
			return replies, err
		}
		m := new(dns.Msg)
		if err := m.Unpack(buf[:n]); err != nil {
			return replies, err
		}
		if i, ok := ids[m.Id]; ok {
			replies[i] = m
		}
	}
	return replies, nil
}
