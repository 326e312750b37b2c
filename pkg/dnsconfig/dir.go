package dnsconfig

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"unicode/utf8"
)

// ReadDir reads every plain file directly in the root of fsys: the name of a
// file is a key, its content the value. Sub-directories and names that begin
// with a dot are left out (a ConfigMap volume keeps its data in "..data" and
// links to it). A file that is not UTF-8 is an error, as is a missing directory.
//
// The version is the SHA-256, in hex, over name, NUL, content, NUL of each file
// in the order of names; it is empty when there is no file.
func ReadDir(fsys fs.FS) (version string, data map[string]string, err error) {
	entries, err := fs.ReadDir(fsys, ".") // sorted by name
	if err != nil {
		// Its path is ".", which tells nobody anything.
		if fault, ok := errors.AsType[*fs.PathError](err); ok {
			err = fault.Err
		}
		return "", nil, fmt.Errorf("reading the directory: %w", err)
	}
	data = map[string]string{}
	sum := sha256.New()
	for _, entry := range entries {
		name := entry.Name()
		if strings.HasPrefix(name, ".") {
			continue
		}
		// Stat, unlike the entry, looks through the links of a volume.
		info, err := fs.Stat(fsys, path.Clean(name))
		if err != nil {
			return "", nil, fmt.Errorf("reading the configuration directory: %w", err)
		}
		if !info.Mode().IsRegular() {
			continue
		}
		content, err := fs.ReadFile(fsys, name)
		if err != nil {
			return "", nil, fmt.Errorf("reading the configuration: %w", err)
		}
		if !utf8.Valid(content) {
			return "", nil, fmt.Errorf("configuration file %q is not UTF-8 text", name)
		}
		data[name] = string(content)
		for _, part := range [][]byte{[]byte(name), {0}, content, {0}} {
			sum.Write(part)
		}
	}
	if len(data) == 0 {
		return "", data, nil
	}
	return hex.EncodeToString(sum.Sum(nil)), data, nil
}

// Tracker follows the versions of a configuration and keeps the last valid one.
// The zero value has seen none, and its configuration is the zero [Config]. It
// is not safe for concurrent use.
type Tracker struct {
	seen     bool
	version  string
	accepted bool
	current  Config
	// warned holds the warnings given so far, fresh those not yet fetched.
	warned map[string]bool
	fresh  []string
}

// Current returns the last configuration that was accepted.
func (t *Tracker) Current() Config { return t.current }

// Fallback says, for a message about a configuration that cannot be used, which
// one stays in force.
func (t *Tracker) Fallback() string {
	if t.accepted {
		return "keeping the last valid one"
	}
	return "using the defaults"
}

// Offer passes in what the source holds now. changed reports that the version is
// new and its data valid; then Current returns it. Invalid data gives an error
// once: the same version is not parsed again.
func (t *Tracker) Offer(version string, data map[string]string) (changed bool, err error) {
	if t.seen && version == t.version {
		return false, nil
	}
	t.seen, t.version = true, version
	for _, warning := range UnknownKeys(data) {
		if !t.warned[warning] {
			if t.warned == nil || len(t.warned) >= maxWarned {
				t.warned = map[string]bool{}
			}
			t.warned[warning] = true
			t.fresh = append(t.fresh, warning)
		}
	}
	config, err := Parse(data)
	if err != nil {
		return false, err
	}
	t.current, t.accepted = config, true
	return true, nil
}

// maxWarned bounds the warnings that are remembered.
const maxWarned = 1000

// NewWarnings returns the warnings about the versions offered since the last
// call, each only once in the Tracker's life.
func (t *Tracker) NewWarnings() []string {
	fresh := t.fresh
	t.fresh = nil
	return fresh
}
