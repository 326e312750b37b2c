package kubefiles

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// maxSize bounds a file, in octets. A cluster of 10 000 Services prints about
// 50 MB of YAML.
const maxSize = 512 << 20

// file is one file with its content; name is as a user would find it.
type file struct {
	name    string
	content []byte
}

// names returns the files that path stands for, sorted.
func names(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		name := filepath.Join(path, e.Name())
		if strings.HasPrefix(e.Name(), ".") || !slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(name)) {
			continue
		}
		// A ConfigMap volume holds symbolic links; what they lead to counts.
		info, err := os.Stat(name)
		if err != nil {
			return nil, err
		}
		if info.Mode().IsRegular() {
			out = append(out, name)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s: no file named *.yaml, *.yml or *.json in this folder", path)
	}
	return out, nil
}

// read returns the files that path stands for.
func read(path string) ([]file, error) {
	list, err := names(path)
	if err != nil {
		return nil, err
	}
	files := make([]file, 0, len(list))
	for _, name := range list {
		info, err := os.Stat(name)
		if err != nil {
			return nil, err
		}
		if info.Size() > maxSize {
			return nil, fmt.Errorf("%s: %d octets, more than %d", name, info.Size(), maxSize)
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		files = append(files, file{name, content})
	}
	return files, nil
}

// digest returns a sum over names and contents.
func digest(files []file) (sum [sha256.Size]byte) {
	h := sha256.New()
	for _, f := range files {
		for _, part := range [][]byte{[]byte(f.name), f.content} {
			_ = binary.Write(h, binary.BigEndian, uint64(len(part)))
			h.Write(part)
		}
	}
	h.Sum(sum[:0])
	return sum
}

// fingerprint is what the files look like from outside.
type fingerprint struct {
	infos []os.FileInfo
	names []string
}

// look returns the fingerprint of the files that path stands for.
func look(path string) (fingerprint, error) {
	list, err := names(path)
	if err != nil {
		return fingerprint{}, err
	}
	f := fingerprint{names: list}
	for _, name := range list {
		info, err := os.Stat(name)
		if err != nil {
			return fingerprint{}, err
		}
		f.infos = append(f.infos, info)
	}
	return f, nil
}

// equal reports whether two looks saw the same files: name, inode, size and
// modification time.
func (f fingerprint) equal(o fingerprint) bool {
	return slices.Equal(f.names, o.names) && slices.EqualFunc(f.infos, o.infos, func(a, b os.FileInfo) bool {
		return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
	})
}

// recent reports whether a file was modified so shortly before now that a
// second change could have left the same modification time.
func (f fingerprint) recent(now time.Time) bool {
	return slices.ContainsFunc(f.infos, func(i os.FileInfo) bool { return now.Sub(i.ModTime()) < 100*time.Millisecond })
}
