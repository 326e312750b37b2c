package explain

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/kube-dns/kube-dns/pkg/upstream"
)

// Upstream describes an upstream server that a question is sent to.
type Upstream struct {
	// Address is ADDRESS:PORT. For a server that is asked over TLS, it is the label of the
	// server.
	Address string `json:"address"`
	// Down means that the server does not answer and is only probed.
	Down bool `json:"down"`
	// Looping means that the server sends our questions back to us.
	Looping bool `json:"looping,omitempty"`
	// Sent is the number of packets, and of questions over TCP. Answers is the number of usable
	// replies, and Fails the number of attempts without one.
	Sent    uint64 `json:"queries"`
	Answers uint64 `json:"answers"`  // see Sent
	Fails   uint64 `json:"failures"` // see Sent
	// RTT is the average round-trip time; "" if it is not known.
	RTT string `json:"rtt,omitempty"`
	// LastError is the error of the last failed attempt, "" if none has failed. LastErrorAge is
	// the time since then, in seconds.
	LastError    string  `json:"lastError,omitempty"`
	LastErrorAge float64 `json:"lastErrorAgeSeconds,omitempty"` // see LastError
	// Problem is the reason why a TLS server cannot be asked; "" if it can.
	Problem string `json:"problem,omitempty"`
}

// Servers describes the servers at addrs. known holds the state of all servers; a server that
// is not in it is described by its address alone.
func Servers(addrs []netip.AddrPort, known []upstream.ServerStats) []Upstream {
	list := make([]Upstream, 0, len(addrs))
	for _, addr := range addrs {
		u := Upstream{Address: addr.String()}
		for i := range known {
			if known[i].Addr == addr {
				u = Describe(&known[i])
			}
		}
		list = append(list, u)
	}
	return list
}

// Describe describes a server.
func Describe(s *upstream.ServerStats) Upstream {
	u := Upstream{Address: s.Addr.String(), Down: s.Down, Looping: s.Looping, Sent: s.Sent, Answers: s.Answered, Fails: s.Failed, LastError: Line(s.LastError)}
	if s.SmoothedRTT > 0 {
		u.RTT = s.SmoothedRTT.Round(time.Microsecond).String()
	}
	if s.LastError != "" {
		u.LastErrorAge = max(time.Since(s.LastErrorAt).Round(time.Millisecond), 0).Seconds()
	}
	if s.TLS != nil {
		u.Address, u.Problem = s.Label, Line(s.TLS.Problem)
	}
	return u
}

// Text describes the server in one line.
func (u *Upstream) Text() string {
	state := "up"
	switch {
	case u.Looping:
		state = "LOOPING (it sends our questions back; probed once a minute)"
	case u.Down:
		state = "DOWN (probed once a second)"
	case u.Answers == 0 && u.Fails == 0:
		state = "not asked yet"
	}
	line := fmt.Sprintf("%s  %s, %s, %s", Line(u.Address), state, count(u.Answers, "answer"), count(u.Fails, "failure"))
	if u.RTT != "" {
		line += ", round trip " + u.RTT
	}
	if u.LastError != "" {
		age := time.Duration(u.LastErrorAge * float64(time.Second)).Round(time.Second)
		line += fmt.Sprintf("; last failure %s ago: %s", age, u.LastError)
	}
	if u.Problem != "" && u.Problem != u.LastError {
		line += "; cannot be asked now: " + u.Problem
	}
	return line
}

func count(n uint64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// serverLines describes each server in one indented line.
func serverLines(servers []Upstream) []string {
	var lines []string
	for i := range servers {
		lines = append(lines, "  "+servers[i].Text())
	}
	return lines
}

// Troubles describes, one line each, the servers that are down, that send our questions back,
// or that failed in the last minute.
func Troubles(known []upstream.ServerStats) []string {
	var lines []string
	for i := range known {
		s := &known[i]
		if s.Down || s.Looping || !s.LastErrorAt.IsZero() && time.Since(s.LastErrorAt) < time.Minute {
			u := Describe(s)
			lines = append(lines, "upstream server "+u.Text())
		}
	}
	return lines
}
