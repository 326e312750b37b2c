// Package files reads the files that dnscache's options name: configuration files, hosts files
// and resolv.conf files.
//
// Use [ParseArgs] to parse the command line, [Hosts] to follow hosts files, and [FollowResolv] to
// follow resolv.conf files.
package files

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/kube-dns/kube-dns/pkg/dnscache/script"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
)

// maxBytes is the largest number of octets read from one file, so that a device or a wrong path
// does not fill the memory.
const maxBytes = 64 << 20

// Options returns the access to files, standard input and scripts that the option parser needs.
func Options(ctx context.Context, stdin io.Reader, stderr io.Writer) options.Files {
	return options.Files{
		ReadFile: func(path string) ([]byte, error) {
			if path == "-" {
				return io.ReadAll(io.LimitReader(stdin, maxBytes))
			}
			return Read(path)
		},
		ReadDir: Regular,
		Run: func(command string) ([]byte, error) {
			return script.Run(ctx, command, stderr, script.Timeout)
		},
	}
}

// ParseArgs parses the command line, including flags of dnsmasq-nanny before a "--", and the
// configuration files that it names. The Nanny is nil if there are no such flags. Use
// [options.Report] to get the text and the exit code for an error.
func ParseArgs(ctx context.Context, args []string, stdin io.Reader, stderr io.Writer) (*options.Options, *options.Nanny, error) {
	before, rest, isNanny := options.SplitNanny(args)
	if err := options.MisplacedNannyFlag(rest, isNanny); err != nil {
		return nil, nil, err
	}
	system := Options(ctx, stdin, stderr)
	if !isNanny {
		o, err := options.Parse(rest, system)
		return o, nil, err
	}
	o, err := options.ParseAfterNanny(rest, system)
	nanny, nannyErr := options.ParseNanny(before)
	return o, &nanny, errors.Join(nannyErr, err)
}

// Read returns the content of a file, but at most its first 64 MiB.
func Read(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, maxBytes))
}

// Regular returns the names of the regular files in a directory, sorted. Symbolic links are
// followed.
func Regular(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if info, err := os.Stat(dir + "/" + e.Name()); err == nil && info.Mode().IsRegular() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}
