package hosts

import (
	"errors"
	"hash/maphash"
	"io"
	"os"
)

// maxFile bounds what is read of one file, in octets, so that a device or a
// wrong path does not take all memory.
const maxFile = 64 << 20

// ErrTooLarge means that only the beginning of a file was read.
var ErrTooLarge = errors.New("larger than 64 MiB; the rest is ignored")

// File is one hosts file as it was read last.
type File struct {
	Path string
	Report
	// Err is why the file could not be read, or not to its end.
	Err error
}

// Loader reads hosts files again and again. As long as their content does not
// change it keeps the table, so that reading them again takes no memory. The zero
// value has an empty table. It must not be used from two goroutines at once.
type Loader struct {
	// Table is the content of the files; it does not change, but is replaced.
	Table *Table
	// Files are the files of Table, in order.
	Files []File

	seed    maphash.Seed // of digest
	digest  uint64       // of the paths and the content of Files
	changed bool         // Table is new since Settle
	settled int          // size of the table of the last Settle, in octets
}

// Load reads the files and reports whether the table is a new one. It is so at
// least if the content changed, and in any case if always is set, for an expand
// that gives other domains than before. With a nil expand there are none.
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

// unchanged reports whether the files have the content that Table is made of.
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

// read opens a file for do and adds to digest what do reads, or the error.
func read(path string, digest *maphash.Hash, do func(io.Reader) error) error {
	digest.WriteString(path)
	digest.WriteByte(0)
	err := func() error {
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		limited := &io.LimitedReader{R: file, N: maxFile}
		if err := do(io.TeeReader(limited, digest)); err != nil || limited.N > 0 {
			return err
		}
		if n, _ := file.Read(make([]byte, 1)); n > 0 {
			return ErrTooLarge
		}
		return nil
	}()
	if err != nil {
		digest.WriteString(err.Error())
	}
	digest.WriteByte(0)
	return err
}
