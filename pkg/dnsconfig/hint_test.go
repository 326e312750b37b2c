package dnsconfig

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestUnknownKeys(t *testing.T) {
	got := UnknownKeys(map[string]string{
		"stubDomains": "{}", "stubdomains": "{}", "stub-domains": "{}", "upstreamNameServers": "[]", "federation": "",
		"upstreamNameserver": "[]", "stubDomains.json": "{}", "Corefile": "", "x": "",
	})
	want := []string{
		`unknown key "Corefile" has no effect`,
		`unknown key "federation" has no effect; did you mean "federations"?`,
		`unknown key "stub-domains" has no effect; did you mean "stubDomains"?`,
		`unknown key "stubDomains.json" has no effect; did you mean "stubDomains"?`,
		`unknown key "stubdomains" has no effect; did you mean "stubDomains"?`,
		`unknown key "upstreamNameServers" has no effect; did you mean "upstreamNameservers"?`,
		`unknown key "upstreamNameserver" has no effect; did you mean "upstreamNameservers"?`,
		`unknown key "x" has no effect`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestHints: values that editors and people get wrong are rejected with the
// reason.
func TestHints(t *testing.T) {
	tests := []struct{ key, text, want string }{
		{KeyStubDomains, `{"a.test": ["[fd00::2]"]}`, "write fd00::2 or [fd00::2]:53"},
		{KeyUpstreamNameservers, `["[fd00::2]"]`, "write fd00::2 or [fd00::2]:53"},
		{KeyUpstreamNameservers, "\ufeff[\"10.0.0.1\"]", "byte order mark"},
		{KeyUpstreamNameservers, `[“10.0.0.1”]`, "typographic quotation marks"},
		{KeyStubDomains, `{“a.test”: [“10.0.0.1”]}`, "typographic quotation marks"},
		{KeyUpstreamNameservers, `['10.0.0.1']`, "single quotation marks"},
		{KeyUpstreamNameservers, `["10.0.0.1",]`, "comma before a closing bracket"},
		{KeyStubDomains, "{\"a.test\": [\"10.0.0.1\"],\n}", "comma before a closing bracket"},
		{KeyUpstreamNameservers, `["dns://10.0.0.1"]`, "dns:// is not supported; for a server over TLS write tls://ADDRESS"},
		{KeyStubDomains, `{"a.test": ["https://10.0.0.1/dns-query"]}`, "https:// is not supported; for a server over TLS write tls://ADDRESS"},
		{KeyUpstreamNameservers, `["tls:10.0.0.1#853,name=a.test"]`, "this form is for dnscache's options; write tls://ADDRESS"},
		{KeyUpstreamNameservers, `["10.0.0.1%a.test"]`, `only a server over TLS has the name "a.test" after %; write tls://ADDRESS`},
		{KeyUpstreamNameservers, `["tls://[fe80::1%eth0]:853"]`, "a link-local address needs its interface"},
		{"upstreamNameServers", `["tls://10.0.0.1"]`, `unknown key "upstreamNameServers" has servers over TLS; did you mean "upstreamNameservers"?`},
		{"stub-domains", `{"a.test": ["TLS://10.0.0.1"]}`, `unknown key "stub-domains" has servers over TLS; did you mean "stubDomains"?`},
		{KeyStubDomains, " ", "the value is empty"},
	}
	for _, tt := range tests {
		_, err := Parse(map[string]string{tt.key: tt.text})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %q: error %v, want one with %q", tt.key, tt.text, err, tt.want)
		}
	}
}

// TestWarnings: each warning once, and the fallback named truly.
func TestWarnings(t *testing.T) {
	var tracker Tracker
	if got := tracker.Fallback(); got != "using the defaults" {
		t.Errorf("at first: %s", got)
	}
	for i, version := range []string{"1", "2"} {
		if _, err := tracker.Offer(version, map[string]string{"stubdomains": "{}"}); err != nil {
			t.Fatal(err)
		}
		if got := len(tracker.NewWarnings()); got != 1-i {
			t.Errorf("version %s: %d warnings", version, got)
		}
	}
	if got := tracker.Fallback(); got != "keeping the last valid one" {
		t.Errorf("after one was accepted: %s", got)
	}
}
