package main

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"syscall"

	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
)

// maxConfigBytes bounds what is read of one file, so that a device or a wrong
// path does not take all memory.
const maxConfigBytes = 64 << 20

// systemFiles gives the option parser the file system and standard input.
func systemFiles(ctx context.Context, e env) options.Files {
	return options.Files{
		ReadFile: func(path string) ([]byte, error) {
			if path == "-" {
				return io.ReadAll(io.LimitReader(e.stdin, maxConfigBytes))
			}
			return readFile(path)
		},
		ReadDir: regularFiles,
		Run: func(command string) ([]byte, error) {
			return runScript(ctx, command, e.stderr, scriptTimeout)
		},
	}
}

// readFile reads a file of bounded size.
func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, maxConfigBytes))
}

// regularFiles lists the files of a directory; links count as what they lead
// to.
func regularFiles(dir string) ([]string, error) {
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

// systemText is the system's text for an error with a capital letter, as the C
// library writes it.
func systemText(err error) string {
	errno, ok := errors.AsType[syscall.Errno](err)
	if !ok {
		return err.Error()
	}
	text := errno.Error()
	return strings.ToUpper(text[:1]) + text[1:]
}
