package dnsconfig

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// formError is the error for a value that is not JSON of the right form.
type formError struct {
	form string // the right form
	text string // the value
	err  error  // from encoding/json
}

// Unwrap returns the error of encoding/json.
func (e *formError) Unwrap() error { return e.err }

// maxShown is the length of the part of a value that an error shows, in octets.
const maxShown = 30

// Error describes the fault without the types of Go, which encoding/json names.
func (e *formError) Error() string {
	wrong, ok := errors.AsType[*json.UnmarshalTypeError](e.err)
	if !ok {
		return fmt.Sprintf("not a JSON %s%s: %v", e.form, jsonHint(e.text), e.err)
	}
	found, _, _ := strings.Cut(wrong.Value, " ")
	// Offset is just after the wrong value, or after its first character if it has several parts.
	end := min(max(int(wrong.Offset), 0), len(e.text))
	part, dots := e.text[:end], ""
	if len(part) > maxShown {
		part, dots = part[len(part)-maxShown:], "..."
	}
	return fmt.Sprintf("not a JSON %s%s: wrong type (%s) at %s%q", e.form, jsonHint(e.text), found, dots, part)
}
