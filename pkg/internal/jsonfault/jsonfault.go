// Package jsonfault explains errors of encoding/json to people who write the files. Use
// [Explain].
package jsonfault

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// Explain returns err in terms of the document if it is about a value of the wrong type, which
// encoding/json describes by the types of Go. It returns other errors as they are.
func Explain(err error) error {
	wrong, ok := errors.AsType[*json.UnmarshalTypeError](err)
	if !ok {
		return err
	}
	found, number, _ := strings.Cut(wrong.Value, " ")
	switch found {
	case "array":
		found = "a list"
	case "object":
		found = "an object"
	case "bool":
		found = "true or false"
	case "number":
		found = "a number"
		if number != "" {
			found = "the number " + number
		}
	default:
		found = "a " + found
	}
	place := cmp.Or(wrong.Field, "the document")
	return fmt.Errorf("%s is %s; want %s", place, found, wanting(wrong.Type))
}

// wanting describes the values of a type.
func wanting(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string (in quotes if it looks like a number or like true)"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return fmt.Sprintf("a whole number of at most %d bits", t.Bits())
	case reflect.Pointer:
		return wanting(t.Elem())
	}
	return "an object"
}
