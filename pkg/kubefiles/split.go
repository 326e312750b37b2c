package kubefiles

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"sigs.k8s.io/yaml"
)

// document is one document of a file, as JSON.
type document struct {
	number int // position in the file, from 1; empty documents count
	json   []byte
}

// split returns the documents of a file that are not empty, and an error for each
// one that is not valid YAML or JSON.
func split(content []byte, isJSON bool) ([]document, []error) {
	if isJSON {
		return splitJSON(content)
	}
	var docs []document
	var errs []error
	for i, text := range splitYAML(content) {
		converted, err := yaml.YAMLToJSONStrict(text)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("document %d: %w", i+1, err))
		case string(converted) != "null":
			docs = append(docs, document{i + 1, converted})
		}
	}
	return docs, errs
}

// splitJSON splits a sequence of JSON values.
func splitJSON(content []byte) ([]document, []error) {
	var docs []document
	dec := json.NewDecoder(bytes.NewReader(content))
	for n := 1; ; n++ {
		var raw json.RawMessage
		err := dec.Decode(&raw)
		if errors.Is(err, io.EOF) {
			return docs, nil
		}
		if err != nil {
			return docs, []error{fmt.Errorf("document %d: %w", n, err)}
		}
		if string(raw) != "null" {
			docs = append(docs, document{n, raw})
		}
	}
}

// splitYAML cuts content at the lines that start ("---") or end ("...") a document
// (YAML 1.2.2, §9.1). Block scalars cannot contain such a line because they are
// indented. A part without a start line is a document only if it holds more than
// white space, comments and directives.
func splitYAML(content []byte) [][]byte {
	content = bytes.TrimPrefix(content, []byte("\ufeff"))
	var docs [][]byte
	start, started := 0, false // of the current part
	cut := func(end int) {
		if started || !blank(content[start:end]) {
			docs = append(docs, content[start:end])
		}
	}
	for at := 0; at < len(content); {
		end := len(content)
		if i := bytes.IndexByte(content[at:], '\n'); i >= 0 {
			end = at + i + 1
		}
		switch line := content[at:end]; {
		case marker(line, "---"):
			cut(at)
			start, started = at, true
		case marker(line, "..."):
			cut(at)
			start, started = end, false
		}
		at = end
	}
	cut(len(content))
	return docs
}

// marker reports whether line is m followed by white space or nothing.
func marker(line []byte, m string) bool {
	rest, ok := bytes.CutPrefix(line, []byte(m))
	return ok && (len(rest) == 0 || bytes.IndexByte([]byte(" \t\r\n"), rest[0]) >= 0)
}

// blank reports whether text has nothing but white space, comments and
// directives.
func blank(text []byte) bool {
	for line := range bytes.Lines(text) {
		line = bytes.TrimSpace(line)
		if len(line) > 0 && line[0] != '#' && line[0] != '%' {
			return false
		}
	}
	return true
}
