package main

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/kube-dns/kube-dns/pkg/logging"
	"github.com/kube-dns/kube-dns/pkg/shell"
)

// check is one --cmd with the --url in the same position.
type check struct {
	url     string
	command string
	program shell.Program
}

// parsePath parses the path of a --url as in a request: %20 is a space.
func parsePath(text string) (string, error) {
	switch {
	case !strings.HasPrefix(text, "/"):
		return "", errors.New("must begin with /")
	case strings.ContainsAny(text, "?#"):
		return "", errors.New("must be a path, without ? and #")
	}
	parsed, err := url.ParseRequestURI(text)
	switch {
	case err != nil:
		return "", errors.New("not a valid path; write % as %25")
	case parsed.Path == metricsURL || parsed.Path == logging.Path:
		return "", errors.New("reserved for a page of this program itself")
	}
	return parsed.Path, nil
}

// pair joins the commands and urls by position and parses the commands.
func pair(commands, urls []string) ([]check, error) {
	var errs []error
	if len(commands) != len(urls) {
		errs = append(errs, fmt.Errorf("%d --cmd and %d --url: each --cmd needs its own --url, in the same order", len(commands), len(urls)))
	}
	seen := make(map[string]bool)
	paths := make([]string, len(urls))
	for i, text := range urls {
		path, err := parsePath(text)
		if err == nil && seen[path] {
			err = errors.New("given twice")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("--url=%q: %w", text, err))
		}
		paths[i], seen[path] = path, true
	}
	var checks []check
	for i, command := range commands {
		program, err := shell.Parse(command)
		if err != nil {
			errs = append(errs, fmt.Errorf("--cmd=%q: %w", command, err))
			continue
		}
		if i < len(paths) {
			checks = append(checks, check{url: paths[i], command: command, program: program})
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return checks, nil
}
