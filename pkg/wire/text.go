package wire

import "strconv"

// TypeText returns the name of a record type, "TYPE1234" for an unknown one (RFC 3597
// §5).
func TypeText(t uint16) string {
	// The names of the types that clients ask for, as in IANA's registry of DNS parameters.
	names := [...]string{
		1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 12: "PTR", 13: "HINFO", 15: "MX", 16: "TXT", 17: "RP", 18: "AFSDB", 24: "SIG", 25: "KEY",
		28: "AAAA", 29: "LOC", 33: "SRV", 35: "NAPTR", 36: "KX", 37: "CERT", 39: "DNAME", 41: "OPT", 42: "APL", 43: "DS", 44: "SSHFP",
		46: "RRSIG", 47: "NSEC", 48: "DNSKEY", 49: "DHCID", 50: "NSEC3", 51: "NSEC3PARAM", 52: "TLSA", 53: "SMIMEA", 59: "CDS",
		60: "CDNSKEY", 61: "OPENPGPKEY", 62: "CSYNC", 63: "ZONEMD", 64: "SVCB", 65: "HTTPS", 99: "SPF", 249: "TKEY", 250: "TSIG",
		251: "IXFR", 252: "AXFR", 255: "ANY", 256: "URI", 257: "CAA",
	}
	if int(t) < len(names) && names[t] != "" {
		return names[t]
	}
	return "TYPE" + strconv.Itoa(int(t))
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
