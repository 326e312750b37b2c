package options

import (
	"fmt"
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
		if err := os.WriteFile(document, []byte(markdown()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != markdown() {
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

// markdown returns the content of docs/dnscache-options.md.
func markdown() string {
	var b strings.Builder
	b.WriteString(`# dnscache's options

<!-- Written by go generate ./pkg/dnsmasq/options from the option table. Do not edit. -->

dnscache reads dnsmasq's command line and configuration files. This page lists every option that dnsmasq 2.90 to 2.92 knows:

- **implemented**: does what it does in dnsmasq;
- **accepted**: read and checked, without an effect;
- **refused**: the program ends with exit code 1 and names the option and the reason.

Long names may be abbreviated as long as they are unambiguous. A value follows "=" or is the next argument; an optional value can only follow "=". Options marked *once* may be given once on the command line and once in configuration files, which take precedence. Configuration files have one option on each line, with its long name and without dashes.
`)
	for _, s := range sections() {
		fmt.Fprintf(&b, "\n## %s\n\n| Option | Short | Repeat | Status | Default | Effect |\n|---|---|---|---|---|---|\n", s.title)
		for i := range s.specs {
			b.WriteString(s.specs[i].markdown())
		}
	}
	b.WriteString("\n## Flags of dnsmasq-nanny\n\nIf the command line has the argument `--`, the arguments before it are flags of dnsmasq-nanny and those after it are dnsmasq's options.\n\n| Flag | Status | Effect |\n|---|---|---|\n")
	for _, f := range nannyFlags() {
		fmt.Fprintf(&b, "| `-%s` | %s | %s |\n", f.name, f.status, f.help)
	}
	return b.String()
}

// markdown returns the option's row.
func (s *Spec) markdown() string {
	cell := strings.NewReplacer("|", "\\|", "*", "\\*")
	short, repeat, status := "", "", s.Status.String()
	if s.Short != 0 {
		short = fmt.Sprintf("`-%c`", s.Short)
	}
	if s.Repeat == Once {
		repeat = "once"
	}
	if s.Own {
		status += ", ours"
	}
	// A bar would end the cell, even in code.
	long := strings.ReplaceAll(s.long(), "|", "\\|")
	return fmt.Sprintf("| `%s` | %s | %s | %s | %s | %s |\n",
		long, short, repeat, status, cell.Replace(s.Default), cell.Replace(s.Help))
}

// String returns the status as in the documentation.
func (s Status) String() string {
	switch s {
	case Implemented:
		return "implemented"
	case Accepted:
		return "accepted"
	default:
		return "refused"
	}
}
