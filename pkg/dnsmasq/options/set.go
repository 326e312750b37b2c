package options

import (
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// duration keeps the rows of the table short.
type duration = time.Duration

func setHelp(p *parser, _ string, _ bool) error    { p.o.Help = p.at.file == ""; return nil }
func setVersion(p *parser, _ string, _ bool) error { p.o.Version = p.at.file == ""; return nil }

// boolean sets a flag.
func boolean(field func(*Options) *bool) setter {
	return func(p *parser, _ string, _ bool) error {
		*field(p.o) = true
		return nil
	}
}

// unset sets a flag to false, for options that undo another one.
func unset(field func(*Options) *bool) setter {
	return func(p *parser, _ string, _ bool) error {
		*field(p.o) = false
		return nil
	}
}

// str sets a string.
func str(field func(*Options) *string) setter {
	return func(p *parser, value string, _ bool) error {
		*field(p.o) = unhide(value)
		return nil
	}
}

// either sets a string that is one of two.
func either(one, other string, field func(*Options) *string) setter {
	return func(p *parser, value string, _ bool) error {
		if value != one && value != other {
			return bad("", "%q is not valid; use %s or %s", value, one, other)
		}
		*field(p.o) = value
		return nil
	}
}

// digits parses a decimal number as dnsmasq does: only digits; an empty text is 0. A number
// that is too large becomes the largest int32.
func digits(value string) (int, error) {
	if strings.Trim(value, "0123456789") != "" {
		return 0, bad("", "%q is not a number", value)
	}
	if value == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(value, 10, 32)
	if err != nil {
		return 1<<31 - 1, nil //nolint:nilerr // out of range: the largest
	}
	return int(n), nil
}

// number applies a number that is not below least.
func number(least int, apply func(o *Options, n int)) setter {
	return func(p *parser, value string, _ bool) error {
		n, err := digits(value)
		switch {
		case err != nil:
			return err
		case n < least:
			return bad("", "%q is below %d", value, least)
		}
		apply(p.o, n)
		return nil
	}
}

// unused is what number applies for an option that has no effect.
func unused(*Options, int) {}

// seconds sets a time that is given in whole seconds.
func seconds(field func(*Options) *duration) setter {
	return number(0, func(o *Options, n int) { *field(o) = time.Duration(n) * time.Second })
}

// port sets a port.
func port(field func(*Options) *uint16) setter {
	return func(p *parser, value string, _ bool) error {
		n, err := digits(value)
		if err == nil && n > 65535 {
			err = bad("", "%q is not a port", value)
		}
		if err == nil {
			*field(p.o) = uint16(n)
		}
		return err
	}
}

// own sets the duration of an option that dnsmasq does not have, given as "90s" or in whole
// seconds.
func own(field func(*Options) *duration) setter {
	return func(p *parser, value string, _ bool) error {
		var d time.Duration
		if n, err := digits(value); err == nil && value != "" {
			d = time.Duration(n) * time.Second
		} else if d, err = time.ParseDuration(value); err != nil || d < 0 {
			return bad("", "%q is not a valid duration; write it as in 90s", value)
		}
		*field(p.o) = d
		return nil
	}
}

func setUseStale(p *parser, value string, given bool) error {
	n, err := digits(value)
	if err != nil {
		return err
	}
	p.o.Cache.UseStale = true
	p.o.Cache.UseStaleMax = time.Duration(n) * time.Second
	if !given {
		p.o.Cache.UseStaleMax = DefaultUseStaleMax
	}
	return nil
}

// list adds the items that parse finds in the value, unless it returns an error.
func list[T comparable](field func(*Options) *[]T, parse func(string) ([]T, error)) setter {
	return func(p *parser, value string, _ bool) error {
		found, err := parse(value)
		if err == nil {
			addNew(p, field(p.o), found...)
		}
		return err
	}
}

// names adds the texts between commas.
func names(field func(*Options) *[]string) setter {
	return list(field, func(value string) ([]string, error) { return words(value), nil })
}

// paths adds a file name.
func paths(field func(*Options) *[]string) setter {
	return list(field, func(value string) ([]string, error) { return []string{unhide(value)}, nil })
}

func setLocalService(p *parser, value string, given bool) error {
	if given && value != "net" && value != "host" {
		return bad("", "%q is not valid; the value must be net or host", value)
	}
	p.o.Listen.LocalService, p.o.Listen.LocalHostOnly = true, value == "host"
	return nil
}

// minUDPBytes is the size of a message that every implementation must accept, in octets (RFC
// 1035 §4.2.1).
const minUDPBytes = 512

// The default times of --fast-dns-retry, and its smallest value.
const (
	fastRetry      = time.Second
	fastRetryTotal = 10 * time.Second
	fastRetryMin   = 50 * time.Millisecond
)

func setFastRetry(p *parser, value string, given bool) error {
	first, total := fastRetry, fastRetryTotal
	if given {
		firstText, totalText, hasTotal := cut(value, ',')
		n, err := digits(firstText)
		if first = time.Duration(n) * time.Millisecond; err != nil || first < fastRetryMin {
			return bad("", "%q is not a number of milliseconds, at least 50", firstText)
		}
		if hasTotal {
			if n, err = digits(totalText); err != nil {
				return bad("", "%q is not a number of milliseconds", totalText)
			}
			total = time.Duration(n) * time.Millisecond
		}
	}
	p.o.Upstream.FastRetry, p.o.Upstream.FastRetryTotal = first, max(total, first)
	return nil
}

func setLogQueries(p *parser, value string, _ bool) error {
	level := QueryLogPlain
	if value == "extra" {
		level = QueryLogExtra
	}
	p.o.Process.LogQueries = max(p.o.Process.LogQueries, level)
	return nil
}

func setLogFacility(p *parser, value string, _ bool) error {
	switch {
	case value == "-":
		p.o.Process.LogFacility = LogTarget{}
	case strings.Contains(value, "/"):
		p.o.Process.LogFacility = LogTarget{File: unhide(value)}
	case isFacility(strings.ToLower(value)):
		p.o.Process.LogFacility = LogTarget{Facility: value}
	default:
		return bad("bad log facility", "%q", value)
	}
	return nil
}

// isFacility reports whether name is a facility in syslog.h.
func isFacility(name string) bool {
	switch name {
	case "auth", "authpriv", "cron", "daemon", "ftp", "kern", "lpr", "mail", "news", "security",
		"syslog", "user", "uucp", "local0", "local1", "local2", "local3", "local4", "local5",
		"local6", "local7":
		return true
	}
	return false
}

func setConfFile(p *parser, value string, _ bool) error {
	p.confGiven = p.confGiven || p.at.file == ""
	p.inTurn(func() { p.readFile(unhide(value)) })
	return nil
}

func setConfDir(p *parser, value string, _ bool) error {
	path, rules, _ := cut(value, ',')
	p.inTurn(func() { p.readDir(unhide(path), words(rules)) })
	return nil
}

func setResolvFile(p *parser, value string, _ bool) error {
	if !p.resolvGiven {
		p.resolvGiven = true
		p.o.Upstream.ResolvFiles = nil
	}
	if path := unhide(value); path != "" {
		addNew(p, &p.o.Upstream.ResolvFiles, path)
	}
	return nil
}

func setListenAddress(p *parser, value string, _ bool) error {
	for _, item := range items(value) {
		addr, err := netip.ParseAddr(unhide(item))
		if err != nil {
			if err := brackets(unhide(item)); err != nil {
				return err
			}
			return bad("", "%q is not an address", item)
		}
		addNew(p, &p.o.Listen.Addresses, addr.Unmap())
	}
	return nil
}

// maxRate is the largest number in --rate-limit.
const maxRate = 1_000_000

func setRateLimit(p *parser, value string, _ bool) error {
	qpsText, burstText, hasBurst := cut(value, ',')
	qps, err := digits(qpsText)
	if err != nil || qps < 1 || qps > maxRate {
		return bad("", "%q is not a number of queries from 1 to %d", qpsText, maxRate)
	}
	burst := qps
	if hasBurst {
		if burst, err = digits(burstText); err != nil || burst < 1 || burst > maxRate {
			return bad("", "%q is not a number of queries from 1 to %d", burstText, maxRate)
		}
	}
	p.o.Own.RateLimit, p.o.Own.RateBurst = qps, burst
	return nil
}

func setMetricsAddress(p *parser, value string, _ bool) error {
	value = unbracketIPv4(unhide(value))
	host, portText, ok := cutPort(value)
	if _, portOK := parsePort(portText); !ok || !portOK {
		return bad("", "%q is not host:port", value)
	}
	if host != "" {
		if _, err := parseAddr(host); err != nil {
			return bad("", "%q is not an address", host)
		}
	}
	p.o.Own.MetricsAddress = value
	return nil
}

// cutPort splits host:port at the last colon.
func cutPort(value string) (host, port string, ok bool) {
	i := strings.LastIndexByte(value, ':')
	if i < 0 {
		return "", "", false
	}
	return value[:i], value[i+1:], true
}
