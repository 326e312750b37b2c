package answerlog

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// What the parameters of a request may be.
const (
	defaultRate = 100
	maxRate     = 100_000
	defaultFor  = 10 * time.Minute
	maxFor      = 24 * time.Hour
)

// Parameters are the names that Change reads.
func (l *Log) Parameters() []string { return []string{"queries", "name", "client", "rate"} }

// Change does what the parameters of a request say: "queries" is on or off, "name" is the
// end of the names and "client" an address or network, "rate" is the most lines in a
// second. d is for how long; 0 is 10 minutes. Nothing changes if there is an error, which
// names all wrong values.
func (l *Log) Change(q url.Values, d time.Duration) error {
	var s Settings
	var errs []error
	s.Rate, s.For = defaultRate, defaultFor
	if d > maxFor {
		errs = append(errs, fmt.Errorf("for=%v: at most %v", d, maxFor))
	} else if d > 0 {
		s.For = d
	}
	if q.Has("name") {
		name, err := dnsname.Parse(q.Get("name"))
		if err != nil {
			errs = append(errs, fmt.Errorf("name=%q: %w", q.Get("name"), err))
		}
		if s.Suffix = name; name == dnsname.Root {
			s.Suffix = ""
		}
	}
	if q.Has("client") {
		prefix, err := parseClient(q.Get("client"))
		if err != nil {
			errs = append(errs, fmt.Errorf("client=%q: want an address or a network such as 10.1.2.0/24", q.Get("client")))
		}
		s.Client = prefix
	}
	if q.Has("rate") {
		rate, err := strconv.Atoi(q.Get("rate"))
		if err != nil || rate < 1 || rate > maxRate {
			errs = append(errs, fmt.Errorf("rate=%q: want a number of lines in a second, 1 to %d", q.Get("rate"), maxRate))
		}
		s.Rate = rate
	}
	on := q.Get("queries")
	switch on {
	case "on":
	case "off":
		if q.Has("name") || q.Has("client") || q.Has("rate") {
			errs = append(errs, errors.New("queries=off: name, client and rate have no meaning then"))
		}
	case "":
		errs = append(errs, errors.New("name, client and rate need queries=on"))
	default:
		errs = append(errs, fmt.Errorf("queries=%q: want on or off", on))
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	if on == "off" {
		l.Stop()
	} else {
		l.Start(s)
	}
	return nil
}

func parseClient(text string) (netip.Prefix, error) {
	if strings.Contains(text, "/") {
		p, err := netip.ParsePrefix(text)
		return p.Masked(), err
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, err
	}
	addr = addr.Unmap()
	return netip.PrefixFrom(addr, addr.BitLen()), nil
}

// String says what is chosen, in the words of the parameters.
func (s *Settings) String() string {
	text := "queries=on"
	if s.Suffix != "" {
		text += " name=" + s.Suffix.String()
	}
	if s.Client.IsValid() {
		text += " client=" + s.Client.String()
	}
	if s.Rate > 0 {
		text += " rate=" + strconv.Itoa(s.Rate)
	}
	if s.For > 0 {
		text += " for=" + s.For.String()
	}
	return text
}

// String says what is logged now and for how much longer.
func (l *Log) String() string {
	s := l.active.Load()
	if s == nil {
		return "queries=off"
	}
	now := s.Settings
	if !s.ends.IsZero() {
		now.For = max(time.Until(s.ends).Round(time.Second), time.Second)
	}
	return now.String()
}
