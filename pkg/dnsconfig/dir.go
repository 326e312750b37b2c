package dnsconfig

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"unicode/utf8"
)

// currentData is the link to the current directory of a ConfigMap volume. The kubelet writes
// each version of the data to a new directory and then changes the link, before it changes the
// links in the root.
const currentData = "..data"

// maxVolumeReads is how often a volume is read because it changes meanwhile.
const maxVolumeReads = 4

// ReadDir reads every regular file in the root of fsys: the name of a file is a key,
// its content the value. Subdirectories and names that begin with a dot are ignored. If fsys
// is a ConfigMap volume, which has a link "..data", the files are those in the directory that
// the link names, so that all of them are of one version. A missing directory, a file that
// cannot be read or is not UTF-8, and a volume that changes each time it is read are errors;
// data then is what could be read, including what is not UTF-8.
//
// The version is the SHA-256, in hex, over name, NUL, content, NUL of each file in
// order of names. It is empty if there are no files.
func ReadDir(fsys fs.FS) (version string, data map[string]string, err error) {
	dir := volumeData(fsys)
	for range maxVolumeReads {
		version, data, err = readDir(fsys, dir)
		now := volumeData(fsys)
		if now == dir {
			return version, data, err
		}
		dir = now // the kubelet removes the previous directory, whose files may be missing in data
	}
	return "", data, errChanges
}

// errChanges means that a volume changed each time it was read.
var errChanges = errors.New("the configuration changed while it was read")

// volumeData returns the directory of fsys that has the files: the current one of a ConfigMap
// volume, and the root of any other.
func volumeData(fsys fs.FS) string {
	target, err := fs.ReadLink(fsys, currentData)
	if err != nil || !fs.ValidPath(target) {
		return "."
	}
	return target
}

// readDir reads the files in dir.
func readDir(fsys fs.FS, dir string) (version string, data map[string]string, err error) {
	entries, err := fs.ReadDir(fsys, dir) // sorted by name
	if err != nil {
		// The path in the error is ".", which would not help anyone.
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
		content, regular, fault := readFile(fsys, path.Join(dir, name))
		if fault != nil && err == nil {
			err = fault
		}
		if !regular {
			continue
		}
		data[name] = content
		_, _ = io.WriteString(sum, name+"\x00"+content+"\x00") // never fails
	}
	if err != nil {
		return "", data, err
	}
	if len(data) == 0 {
		return "", data, nil
	}
	return hex.EncodeToString(sum.Sum(nil)), data, nil
}

// maxFile is the largest size of a file in octets. A ConfigMap has at most 1 MiB.
const maxFile = 4 << 20

// readFile reads a file, if it is a regular one. The content of a file that is not UTF-8 comes with
// an error.
func readFile(fsys fs.FS, name string) (content string, regular bool, err error) {
	// Unlike the entry's own information, Stat follows the links of a volume.
	info, err := fs.Stat(fsys, name)
	switch {
	case err != nil:
		return "", false, fmt.Errorf("reading the configuration directory: %w", err)
	case !info.Mode().IsRegular():
		return "", false, nil
	case info.Size() > maxFile:
		return "", false, fmt.Errorf("configuration file %q has %d octets, at most %d are allowed", path.Base(name), info.Size(), maxFile)
	}
	octets, err := fs.ReadFile(fsys, name)
	if err != nil {
		return "", false, fmt.Errorf("reading the configuration: %w", err)
	}
	if content = string(octets); !utf8.ValidString(content) {
		err = fmt.Errorf("configuration file %q is not UTF-8 text", path.Base(name))
	}
	return content, true, err
}

// Tracker follows the versions of a configuration and keeps the last valid one. The
// zero value is ready to use; its configuration is the zero [Config]. It is not safe
// for concurrent use.
type Tracker struct {
	seen     bool   // Offer has been called
	version  string // the last version offered, valid or not
	accepted bool   // current has been offered
	current  Config
	// warned holds the warnings given so far; fresh those that NewWarnings has not
	// returned yet.
	warned map[string]bool
	fresh  []string
}

// Current returns the last configuration that was accepted. Until there is one, that is
// the zero Config, with Withheld if one that was rejected asks for servers over TLS.
func (t *Tracker) Current() Config { return t.current }

// Fallback says which configuration remains in effect, for the message about one
// that cannot be used.
func (t *Tracker) Fallback() string {
	switch {
	case t.accepted:
		return "keeping the last valid one"
	case t.current.Withheld:
		return "asking no upstream servers until it is valid, because it has servers over TLS"
	}
	return "using the defaults"
}

// Offer passes in the current content of the source. changed is true if the version
// is new and data is valid; Current then returns it. Invalid data results in an error
// once: the same version is not parsed again. The Tracker does not keep data.
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
		t.Reject(data)
		return false, err
	}
	t.current, t.accepted = config, true
	return true, nil
}

// Reject notes that data, maybe all that could be read, is not valid.
func (t *Tracker) Reject(data map[string]string) {
	t.current.Withheld = t.current.Withheld || !t.accepted && mentionsTLS(data)
}

// mentionsTLS reports whether a configuration, valid or not, has servers over TLS.
func mentionsTLS(data map[string]string) bool {
	for key, text := range data {
		if hasTLS(key, text) {
			return true
		}
	}
	return false
}

// maxWarned is how many warnings are remembered.
const maxWarned = 1000

// NewWarnings returns the warnings about the versions offered since the last call.
// The same warning is normally not returned twice.
func (t *Tracker) NewWarnings() []string {
	fresh := t.fresh
	t.fresh = nil
	return fresh
}
