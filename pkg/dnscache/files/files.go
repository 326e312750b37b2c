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
	"slices"
	"syscall"

	"github.com/kube-dns/kube-dns/pkg/dnscache/script"
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/internal/readfile"
)

// maxBytes is the size of the largest configuration file, in octets.
const maxBytes = 64 << 20

// Options returns the access to files, standard input and scripts that the option parser needs.
func Options(ctx context.Context, stdin io.Reader, stderr io.Writer) options.Files {
	return options.Files{
		ReadFile: func(path string) ([]byte, error) {
			if path == "-" {
				return io.ReadAll(io.LimitReader(stdin, maxBytes))
			}
			return readfile.All(path, maxBytes)
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

// Regular returns the names of the regular files in a directory, sorted. Symbolic links are
// followed.
func Regular(dir string) ([]string, error) {
	// O_DIRECTORY: a named pipe in its place must not wait for a writer.
	file, err := os.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	entries, err := file.ReadDir(-1)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if info, err := os.Stat(dir + "/" + e.Name()); err == nil && info.Mode().IsRegular() {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}
