package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/kube-dns/kube-dns/pkg/shell"
)

// check is one --cmd with the --url in the same position.
type check struct {
	url     string
	command string
	program shell.Program
}

// pair joins the commands and urls by position and parses the commands.
func pair(commands, urls []string) ([]check, error) {
	var errs []error
	if len(commands) != len(urls) {
		errs = append(errs, fmt.Errorf("%d --cmd and %d --url: each --cmd needs its own --url, in the same order", len(commands), len(urls)))
	}
	seen := make(map[string]bool)
	for _, url := range urls {
		switch {
		case !strings.HasPrefix(url, "/"):
			errs = append(errs, fmt.Errorf("--url=%q: must begin with /", url))
		case strings.ContainsAny(url, "?#"):
			errs = append(errs, fmt.Errorf("--url=%q: must be a path, without ? and #", url))
		case url == metricsURL:
			errs = append(errs, fmt.Errorf("--url=%q: reserved for this program's metrics", url))
		case seen[url]:
			errs = append(errs, fmt.Errorf("--url=%q: given twice", url))
		}
		seen[url] = true
	}
	var checks []check
	for i, command := range commands {
		program, err := shell.Parse(command)
		if err != nil {
			errs = append(errs, fmt.Errorf("--cmd=%q: %w", command, err))
			continue
		}
		if i < len(urls) {
			checks = append(checks, check{url: urls[i], command: command, program: program})
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return checks, nil
}
