package dnsmasq

import (
	"fmt"
	"net"
	"strings"
	"time"
)

// streamPatience bounds what happens on one connection.
const streamPatience = 4 * time.Second

// pipeline asks for all names at once on one TCP connection, and returns the order in which
// the answers come.
func (s *side) pipeline(names []string) string {
	conn, err := net.Dial("tcp", s.self.String())
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(streamPatience))
	for i, name := range names {
		q := query{name: name, typ: "A"}
		_, _ = conn.Write(framed(q.message(uint16(i))))
	}
	var order []string
	for range names {
		msg, err := readStream(conn)
		if err != nil || int(msg[1]) >= len(names) {
			order = append(order, "closed")
			break
		}
		order = append(order, names[msg[1]])
	}
	return "answers " + strings.Join(order, " ")
}

// stream asks count times on one TCP connection, each time waiting for the
// answer.
func (s *side) stream(count int, name string) (string, error) {
	conn, err := net.Dial("tcp", s.self.String())
	if err != nil {
		return "", err
	}
	defer conn.Close()
	q := query{name: name, typ: "A"}
	for n := range count {
		_ = conn.SetDeadline(time.Now().Add(streamPatience))
		_, _ = conn.Write(framed(q.message(uint16(n))))
		if _, err := readStream(conn); err != nil {
			return fmt.Sprintf("%d answers, then closed", n), nil
		}
	}
	return fmt.Sprintf("%d answers", count), nil
}

// idle opens count connections, and then asks one question on each.
func (s *side) idle(count int) string {
	served := 0
	var conns []net.Conn
	for range count {
		conn, err := net.Dial("tcp", s.self.String())
		if err == nil {
			defer conn.Close()
			conns = append(conns, conn)
		}
	}
	time.Sleep(300 * time.Millisecond) // all of them are accepted that will be
	q := query{name: "version.bind", typ: "TXT", words: map[string]string{"class": "CH"}}
	end := time.Now().Add(streamPatience)
	for _, conn := range conns {
		_ = conn.SetDeadline(end)
		_, _ = conn.Write(framed(q.message(7)))
	}
	for _, conn := range conns {
		if _, err := readStream(conn); err == nil {
			served++
		}
	}
	return fmt.Sprintf("%d of %d served", served, count)
}
