package dnsname

import (
	"strings"
	"testing"
)

func TestLabelRules(t *testing.T) {
	label63, label64 := strings.Repeat("a", 63), strings.Repeat("a", 64)
	for _, tt := range []struct {
		text                    string
		l1123, l1035, subdomain bool
	}{
		{"web", true, true, true},
		{"w", true, true, true},
		{"a-b-c", true, true, true},
		{"9svc", true, false, true},
		{"0", true, false, true},
		{label63, true, true, true},
		{label64, false, false, false},
		{"", false, false, false},
		{"-a", false, false, false},
		{"a-", false, false, false},
		{"Web", false, false, false},
		{"a_b", false, false, false},
		{"*", false, false, false},
		{"é", false, false, false},
		{"a.b", false, false, true},
		{"a.b.", false, false, false},
		{".a", false, false, false},
		{"a..b", false, false, false},
		{label63 + "." + label63 + "." + label63 + "." + strings.Repeat("a", 61), false, false, true},
		{label63 + "." + label63 + "." + label63 + "." + strings.Repeat("a", 62), false, false, false},
	} {
		if got := IsLabel1123(tt.text); got != tt.l1123 {
			t.Errorf("IsLabel1123(%q) = %v", tt.text, got)
		}
		if got := IsLabel1035(tt.text); got != tt.l1035 {
			t.Errorf("IsLabel1035(%q) = %v", tt.text, got)
		}
		if got := IsSubdomain1123(tt.text); got != tt.subdomain {
			t.Errorf("IsSubdomain1123(%q) = %v", tt.text, got)
		}
	}
}
