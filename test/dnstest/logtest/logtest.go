// Package logtest gives tests a log of dnscache's.
package logtest

import (
	"log/slog"
	"regexp"
	"testing"

	"github.com/kube-dns/kube-dns/pkg/dnscache/linelog"
	"github.com/kube-dns/kube-dns/test/testkit"
)

var prefix = regexp.MustCompile(`(?m)^dnscache\[\d+\]: `)

// Open returns a log, and a function that returns what was written to it, without the prefix.
func Open(tb testing.TB) (*linelog.Log, func() string) {
	tb.Helper()
	var out testkit.Buffer
	log, err := linelog.Open("", &out)
	if err != nil {
		tb.Fatal(err)
	}
	return log, func() string {
		log.Flush()
		return prefix.ReplaceAllString(out.String(), "")
	}
}

// Logger returns a logger for records of level INFO and above, and a function that returns
// what was written.
func Logger(tb testing.TB) (*slog.Logger, func() string) {
	tb.Helper()
	log, text := Open(tb)
	return slog.New(linelog.NewHandler(log, slog.LevelInfo)), text
}
