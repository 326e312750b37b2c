package hosts

import (
	"hash/maphash"
	"io"

	"github.com/kube-dns/kube-dns/pkg/internal/readfile"
)

// maxFile is how much of one file is read, in octets.
const maxFile = 64 << 20

// File is a hosts file and the outcome of reading it.
type File struct {
	Path string
	Report
	// Err is the reason if the file could not be read, or only in part.
	Err error
}

// Loader reads hosts files, as often as needed. As long as their content is the same, it keeps
// its table, so reading them again takes no memory. The zero value has an empty table. A Loader
// is not safe for concurrent use.
type Loader struct {
	// Table is the content of the files. A table never changes; it is replaced by a new one.
	Table *Table
	// Files are the files of Table, in order.
	Files []File

	seed    maphash.Seed // of digest
	digest  uint64       // of the paths and the content of Files
	changed bool         // Table is new since Settle
	settled int          // size of the table of the last Settle, in octets
}

// Load reads the files and reports whether Table is a new one: if their content has changed, or
// if always is set, which is needed when expand returns other domains than before. A nil expand
// adds no domains.
func (l *Loader) Load(paths []string, expand Expand, always bool) (changed bool) {
	if l.Table != nil && !always && l.unchanged(paths) {
		return false
	}
	l.seed = maphash.MakeSeed()
	var b TableBuilder
	var digest maphash.Hash
	digest.SetSeed(l.seed)
	l.Files = make([]File, 0, len(paths))
	for _, path := range paths {
		f := File{Path: path}
		f.Err = read(path, &digest, func(r io.Reader) (err error) {
			f.Report, err = b.Read(path, r, expand)
			return err
		})
		l.Files = append(l.Files, f)
	}
	l.Table, l.digest, l.changed = b.Table(), digest.Sum64(), true
	return true
}

// unchanged reports whether the files still have the content from which Table was made.
func (l *Loader) unchanged(paths []string) bool {
	var digest maphash.Hash
	digest.SetSeed(l.seed)
	for _, path := range paths {
		// An error is part of the digest.
		_ = read(path, &digest, func(r io.Reader) error {
			_, err := io.Copy(io.Discard, r)
			return err
		})
	}
	return digest.Sum64() == l.digest
}

// read opens a file for do, and adds to digest what do reads, or the error.
func read(path string, digest *maphash.Hash, do func(io.Reader) error) error {
	digest.WriteString(path)
	digest.WriteByte(0)
	file, err := readfile.Open(path, maxFile)
	if err == nil {
		defer file.Close()
		err = do(io.TeeReader(file, digest))
	}
	if err != nil {
		digest.WriteString(err.Error())
	}
	digest.WriteByte(0)
	return err
}
