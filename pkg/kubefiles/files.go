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

	"github.com/kube-dns/kube-dns/pkg/internal/readfile"
)

// maxSize is the largest size of a file, in octets. The YAML of a cluster with
// 10 000 Services has about 50 MB.
const maxSize = 512 << 20

// patience is how long a pipe may take to give all its data. kubectl may be writing to it.
const patience = 30 * time.Second

// file is one file with its content. name is its path, as in messages.
type file struct {
	name    string
	content []byte
}

// fingerprint describes files without reading them.
type fingerprint struct {
	infos []os.FileInfo
	names []string // their paths
}

// look returns the fingerprint of the files to read: path itself, or the files in the folder
// path, sorted.
func look(path string) (f fingerprint, err error) {
	folder, err := f.addFile(path)
	if err != nil || !folder {
		return f, err
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return f, err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") || !slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(e.Name())) {
			continue
		}
		if _, err := f.addFile(filepath.Join(path, e.Name())); err != nil {
			return f, err
		}
	}
	if len(f.names) == 0 {
		return f, fmt.Errorf("%s: no file named *.yaml, *.yml or *.json in this folder", path)
	}
	return f, nil
}

// addFile adds a file or a pipe, unless it is a folder. Anything else is an error, because a
// device may have no end.
func (f *fingerprint) addFile(name string) (folder bool, err error) {
	info, err := os.Stat(name) // of its target, because a ConfigMap volume holds symbolic links
	if err != nil {
		return false, err
	}
	switch mode := info.Mode(); {
	case mode.IsDir():
		return true, nil
	case !mode.IsRegular() && mode&os.ModeNamedPipe == 0:
		return false, fmt.Errorf("%s: neither a file nor a folder nor a pipe", name)
	case info.Size() > maxSize:
		return false, fmt.Errorf("%s: the file has %d octets, at most %d are allowed", name, info.Size(), maxSize)
	}
	f.infos, f.names = append(f.infos, info), append(f.names, name)
	return false, nil
}

// read returns the content of the files that look finds at path.
func read(path string) ([]file, error) {
	found, err := look(path)
	if err != nil {
		return nil, err
	}
	files := make([]file, 0, len(found.names))
	for _, name := range found.names {
		content, err := readfile.AllWithin(name, maxSize, patience)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
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
