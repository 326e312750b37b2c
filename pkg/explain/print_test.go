package explain

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestLine(t *testing.T) {
	for in, want := range map[string]string{
		"web.default.svc.cluster.local.": "web.default.svc.cluster.local.",
		"größer 日本 €":                    "größer 日本 €",
		"a\x1b[31mb":                     `a\x1b[31mb`,
		"a\nb\tc\r":                      `a\nb\tc\r`,
		"\u009b2J":                       `\u009b2J`,
		"\x9b2J\xff":                     `\x9b2J\xff`,
		"\u202etxt.exe":                  `\u202etxt.exe`, // right to left
		"a\u2028b\u200bc\ufeff":          `a\u2028b\u200bc\ufeff`,
		"\x00\x7f":                       `\x00\x7f`,
		"\\x1b":                          `\x1b`,
		"":                               "",
		"�":                              "�",
	} {
		if got := Line(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got := Lines("a\tb\nc\x1b\r"); got != "a\tb\nc\\x1b\\r" {
		t.Errorf("%q", got)
	}
}

func FuzzLine(f *testing.F) {
	f.Add("a\x1b\xff\u202e")
	f.Fuzz(func(t *testing.T, text string) {
		out := Line(text)
		if !utf8.ValidString(out) || strings.ContainsFunc(out, func(r rune) bool { return !unicode.IsPrint(r) }) || len(out) > 10*len(text) {
			t.Errorf("%q: %q", text, out)
		}
		if Line(out) != out {
			t.Errorf("%q: not stable", text)
		}
	})
}

func TestExitCode(t *testing.T) {
	for status, want := range map[string]int{"NOERROR": 0, "NXDOMAIN": 3, "NODATA": 4, "SERVFAIL": 2, "REFUSED": 2, "NOREPLY": 2, "": 2} {
		if got := ExitCode(status); got != want {
			t.Errorf("%s: %d", status, got)
		}
	}
}
