package dnsname

import "strings"

// maxSubdomain is the length of the longest RFC 1123 subdomain in presentation form without a
// trailing dot: 255 octets of wire form less the first length octet and the root.
const maxSubdomain = MaxName - 2

// IsLabel1123 reports whether s is a label by the Kubernetes rule called RFC
// 1123: 1 to 63 lower-case letters, digits and dashes, no dash at either end.
// Namespaces, Services and pod hostnames are such labels.
func IsLabel1123(s string) bool {
	if s == "" || len(s) > MaxLabel || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c-'a' >= 26 && !isDigit(c) && c != '-' {
			return false
		}
	}
	return true
}

// IsLabel1035 reports whether s is a label by the Kubernetes rule called RFC
// 1035: an RFC 1123 label that starts with a letter.
func IsLabel1035(s string) bool {
	return IsLabel1123(s) && !isDigit(s[0])
}

// IsSubdomain1123 reports whether s consists of RFC 1123 labels joined by dots, with at most 253
// characters and without a trailing dot. Unlike the check of Kubernetes, it limits each label to 63
// characters, because the text must become a DNS name.
func IsSubdomain1123(s string) bool {
	if len(s) > maxSubdomain {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if !IsLabel1123(label) {
			return false
		}
	}
	return true
}
