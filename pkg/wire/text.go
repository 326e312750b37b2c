package wire

import (
	"slices"
	"strconv"
	"strings"
)

// typeNames holds the names of record types in IANA's registry of DNS parameters, without the
// two highest.
//
//nolint:gochecknoglobals // a constant table
var typeNames = [...]string{
	1: "A", 2: "NS", 3: "MD", 4: "MF", 5: "CNAME", 6: "SOA", 7: "MB", 8: "MG", 9: "MR", 10: "NULL", 11: "WKS", 12: "PTR", 13: "HINFO",
	14: "MINFO", 15: "MX", 16: "TXT", 17: "RP", 18: "AFSDB", 19: "X25", 20: "ISDN", 21: "RT", 22: "NSAP", 23: "NSAP-PTR", 24: "SIG",
	25: "KEY", 26: "PX", 27: "GPOS", 28: "AAAA", 29: "LOC", 30: "NXT", 31: "EID", 32: "NIMLOC", 33: "SRV", 34: "ATMA",
	35: "NAPTR", 36: "KX", 37: "CERT", 38: "A6", 39: "DNAME", 40: "SINK", 41: "OPT", 42: "APL", 43: "DS", 44: "SSHFP", 45: "IPSECKEY", 46: "RRSIG",
	47: "NSEC", 48: "DNSKEY", 49: "DHCID", 50: "NSEC3", 51: "NSEC3PARAM", 52: "TLSA", 53: "SMIMEA", 55: "HIP", 56: "NINFO",
	57: "RKEY", 58: "TALINK", 59: "CDS", 60: "CDNSKEY", 61: "OPENPGPKEY", 62: "CSYNC", 63: "ZONEMD", 64: "SVCB", 65: "HTTPS",
	99: "SPF", 100: "UINFO", 101: "UID", 102: "GID", 103: "UNSPEC", 104: "NID", 105: "L32", 106: "L64", 107: "LP",
	108: "EUI48", 109: "EUI64", 128: "NXNAME", 249: "TKEY", 250: "TSIG", 251: "IXFR", 252: "AXFR", 253: "MAILB", 254: "MAILA",
	255: "ANY", 256: "URI", 257: "CAA", 258: "AVC", 259: "DOA", 260: "AMTRELAY", 261: "RESINFO",
}

// The types above those of typeNames that have a name.
const typeTA, typeDLV = 32768, 32769

// TypeText returns the name of a record type, "TYPE1234" for an unknown one (RFC 3597
// §5).
func TypeText(t uint16) string {
	switch {
	case int(t) < len(typeNames) && typeNames[t] != "":
		return typeNames[t]
	case t == typeTA:
		return "TA"
	case t == typeDLV:
		return "DLV"
	}
	return "TYPE" + strconv.Itoa(int(t))
}

// ParseType parses the name of a record type in upper or lower case, its number, or "TYPE1234".
func ParseType(text string) (uint16, bool) {
	text = strings.ReplaceAll(strings.ToUpper(text), "_", "-") // dnsmasq writes NSAP_PTR
	if n, err := strconv.ParseUint(strings.TrimPrefix(text, "TYPE"), 10, 16); err == nil {
		return uint16(n), true
	}
	switch text {
	case "":
		return 0, false
	case "TA":
		return typeTA, true
	case "DLV":
		return typeDLV, true
	}
	i := slices.Index(typeNames[:], text)
	return uint16(i), i >= 0
}

// ClassText returns the name of a class, "CLASS1234" for an unknown one (RFC 3597 §5).
func ClassText(class uint16) string {
	switch class {
	case ClassIN:
		return "IN"
	case ClassCH:
		return "CH"
	case 4:
		return "HS"
	case 254:
		return "NONE"
	case 255:
		return "ANY"
	}
	return "CLASS" + strconv.Itoa(int(class))
}

// RcodeText returns the name of a response code, "RCODE1234" for an unknown one.
func RcodeText(rcode int) string {
	names := [...]string{
		"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH", "NOTZONE",
		RcodeBadVers: "BADVERS", RcodeBadCookie: "BADCOOKIE",
	}
	if rcode >= 0 && rcode < len(names) && names[rcode] != "" {
		return names[rcode]
	}
	return "RCODE" + strconv.Itoa(rcode)
}

// ExtendedErrorText returns the name of an extended error (RFC 8914 §4 and IANA's registry), or ""
// if it is not known.
func ExtendedErrorText(code uint16) string {
	names := [...]string{
		"other", "unsupported DNSKEY algorithm", "unsupported DS digest type", "stale answer", "forged answer",
		"DNSSEC indeterminate", "DNSSEC bogus", "signature expired", "signature not yet valid", "DNSKEY missing",
		"RRSIGs missing", "no zone key bit set", "NSEC missing", "cached error", "not ready",
		"blocked", "censored", "filtered", "prohibited", "stale NXDOMAIN answer",
		"not authoritative", "not supported", "no reachable authority", "network error", "invalid data",
		"signature expired before valid", "too early", "unsupported NSEC3 iterations value", "unable to conform to policy",
		"synthesized", "invalid query type",
	}
	if int(code) >= len(names) {
		return ""
	}
	return names[code]
}

// RcodeSlots is the number of rcodes that metrics count separately (NOERROR, FORMERR, SERVFAIL,
// NXDOMAIN, NOTIMP, REFUSED), plus one, the last, for all others.
const RcodeSlots = RcodeRefused + 2

// RcodeSlot returns the slot of the rcode in the flags of a header.
func RcodeSlot(flags uint16) int { return min(Rcode(flags), RcodeSlots-1) }

// RcodeSlotName returns the name of a slot's rcode in metrics.
func RcodeSlotName(slot int) string {
	if slot == RcodeSlots-1 {
		return "OTHER"
	}
	return RcodeText(slot)
}
