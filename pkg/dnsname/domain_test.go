package dnsname

import "testing"

func TestDomain(t *testing.T) {
	xy := MustParse("x.y")
	for _, tt := range []struct {
		domain Domain
		text   string
		inside []string
		not    []string
	}{
		{Domain{}, "#", []string{".", "a", "x.y"}, nil},
		{Domain{Match: MatchSuffix, Name: xy}, "x.y", []string{"x.y", "X.Y", "a.x.y"}, []string{".", "y", "ax.y", "x.y.z"}},
		{Domain{Match: MatchSuffix, Name: Root}, "", []string{".", "a", "x.y"}, nil},
		{Domain{Match: MatchBelow, Name: xy}, "*.x.y", []string{"a.x.y", "b.A.x.Y"}, []string{"x.y", "y", "ax.y"}},
		{Domain{Match: MatchText, Text: "ld.com"}, "*ld.com", []string{"ld.com", "wild.com", "a.WILD.com"}, []string{"com", "d.com", "wild.com.x", "."}},
		{Domain{Match: MatchUnqualified}, "", []string{"a", "web"}, []string{".", "x.y"}},
	} {
		if got := tt.domain.String(); got != tt.text {
			t.Errorf("%+v: text %q, want %q", tt.domain, got, tt.text)
		}
		for _, name := range tt.inside {
			if !tt.domain.Contains(wireName(t, name)) {
				t.Errorf("%+v does not contain %s", tt.domain, name)
			}
		}
		for _, name := range tt.not {
			if tt.domain.Contains(wireName(t, name)) {
				t.Errorf("%+v contains %s", tt.domain, name)
			}
		}
	}
}

// wireName is name in wire form, in its own case.
func wireName(t *testing.T, name string) []byte {
	t.Helper()
	wire, err := AppendText(nil, name)
	if err != nil {
		t.Fatal(err)
	}
	return wire
}
