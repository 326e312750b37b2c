package dnsname

import "testing"

func TestDomain(t *testing.T) {
	xy := MustParse("x.y")
	for _, tt := range []struct {
		domain Domain
		text   string
	}{
		{Domain{}, "#"},
		{Domain{Match: MatchSuffix, Name: xy}, "x.y"},
		{Domain{Match: MatchSuffix, Name: Root}, ""},
		{Domain{Match: MatchBelow, Name: xy}, "*.x.y"},
		{Domain{Match: MatchText, Text: "ld.com"}, "*ld.com"},
		{Domain{Match: MatchUnqualified}, ""},
	} {
		if got := tt.domain.String(); got != tt.text {
			t.Errorf("%+v: text %q, want %q", tt.domain, got, tt.text)
		}
	}
}
