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

// maxSize is the largest size of a file, in octets. The YAML of a cluster with
// 10 000 Services has about 50 MB.
const maxSize = 512 << 20

// file is one file with its content. name is its path, as in messages.
type file struct {
	name    string
	content []byte
}

// names returns the paths of the files to read: path itself, or the files in the
// folder path, sorted.
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
		// A ConfigMap volume holds symbolic links, so look at their targets.
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

// read returns the content of the files that names returns for path.
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
			return nil, fmt.Errorf("%s: the file has %d octets, at most %d are allowed", name, info.Size(), maxSize)
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		files = append(files, file{name, content})
	}
	return files, nil
}

// digest returns a hash of the names and contents of files.
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

// fingerprint describes files without reading them.
type fingerprint struct {
	infos []os.FileInfo
	names []string
}

// look returns the fingerprint of the files that names returns for path.
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

// equal reports whether two fingerprints are of the same files: name, inode, size
// and modification time.
func (f fingerprint) equal(o fingerprint) bool {
	return slices.Equal(f.names, o.names) && slices.EqualFunc(f.infos, o.infos, func(a, b os.FileInfo) bool {
		return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
	})
}

// recent reports whether a file was modified so shortly before now that another
// change could result in the same modification time.
func (f fingerprint) recent(now time.Time) bool {
	return slices.ContainsFunc(f.infos, func(i os.FileInfo) bool { return now.Sub(i.ModTime()) < 100*time.Millisecond })
}
