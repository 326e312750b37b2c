package options

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

const document = "../../../docs/dnscache-options.md"

// TestDocument holds docs/dnscache-options.md equal to the table; go generate
// rewrites it.
func TestDocument(t *testing.T) {
	if os.Getenv("UPDATE_DOCS") != "" {
		if err := os.WriteFile(document, []byte(Markdown()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != Markdown() {
		t.Errorf("%s does not say what the option table says; run go generate ./pkg/dnsmasq/options", document)
	}
}

func TestTableIsConsistent(t *testing.T) {
	long, short := map[string]bool{}, map[byte]bool{}
	for _, s := range Table() {
		switch {
		case long[s.Name]:
			t.Errorf("--%s is listed twice", s.Name)
		case s.Short != 0 && short[s.Short]:
			t.Errorf("-%c of --%s is taken", s.Short, s.Name)
		case s.Help == "":
			t.Errorf("--%s has no text", s.Name)
		case (s.Arg == NoArgument) != (s.Param == ""):
			t.Errorf("--%s: kind of argument and its name disagree", s.Name)
		case s.Status == Implemented && s.set == nil:
			t.Errorf("--%s is called implemented and sets nothing", s.Name)
		case s.Status == Refused && s.set != nil:
			t.Errorf("--%s is refused, but has code that sets it", s.Name)
		}
		long[s.Name] = true
		short[s.Short] = true
	}
}

func TestUsageListsWhatWorks(t *testing.T) {
	usage := Usage("dnscache")
	for _, s := range Table() {
		listed := regexp.MustCompile(`(?m)--` + s.Name + `([=\[ ]|$)`).MatchString(usage)
		if want := s.Status != Refused; listed != want {
			t.Errorf("--%s listed in the help text: %v, want %v", s.Name, listed, want)
		}
	}
	for _, f := range nannyFlags() {
		if !strings.Contains(usage, "\n    -"+f.name+" ") {
			t.Errorf("-%s is not in the help text", f.name)
		}
	}
}
