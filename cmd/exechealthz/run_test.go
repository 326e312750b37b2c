package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/kube-dns/kube-dns/pkg/httpserver"
	"github.com/kube-dns/kube-dns/pkg/prober"
)

func TestParseOptions(t *testing.T) {
	defaults := options{port: 8080, period: 2 * time.Second, latency: 30 * time.Second, timeout: 10 * time.Second, logFormat: "text"}
	with := func(change func(*options)) options {
		o := defaults
		o.checks = []check{{url: "/healthz", command: "echo healthz"}}
		change(&o)
		return o
	}
	tests := []struct {
		args []string
		want options
		errs []string // each must occur
	}{
		{want: with(func(*options) {})},
		{args: []string{"-cmd=false"}, want: with(func(o *options) { o.checks[0].command = "false" })},
		{args: []string{"--cmd", "false", "-port", "1"}, want: with(func(o *options) { o.checks[0].command = "false"; o.port = 1 })},
		{args: []string{"--url=/x"}, want: with(func(o *options) { o.checks[0].url = "/x" })},
		{
			args: []string{"--cmd=a", "--url=/a", "--cmd=b", "--url=/b", "-quiet", "--output"},
			want: with(func(o *options) {
				o.checks = []check{{url: "/a", command: "a"}, {url: "/b", command: "b"}}
				o.quiet, o.output = true, true
			}),
		},
		{
			args: []string{"--url=/b", "--url=/a", "--cmd=x", "--cmd=y"},
			want: with(func(o *options) { o.checks = []check{{url: "/b", command: "x"}, {url: "/a", command: "y"}} }),
		},
		{args: []string{"--latency=5s"}, want: with(func(o *options) { o.latency, o.timeout = 5*time.Second, 5*time.Second })},
		{args: []string{"--timeout=1m", "-period=1s"}, want: with(func(o *options) { o.timeout, o.period = time.Minute, time.Second })},
		{args: []string{"--listen-address=127.0.0.1"}, want: with(func(o *options) { o.listenAddress = "127.0.0.1" })},
		{args: []string{"--version", "--port=99999"}, want: options{port: 99999, period: 2 * time.Second, latency: 30 * time.Second, version: true, logFormat: "text"}},
		{args: []string{"--log-format=json"}, want: with(func(o *options) { o.logFormat = "json" })},
		{args: []string{"--log-format=yaml"}, errs: []string{`--log-format=yaml: "yaml" is not a format`}},
		{args: []string{"--cmd=a", "--cmd=b"}, errs: []string{"2 --cmd and 1 --url"}},
		{args: []string{"--url=/a", "--url=/b"}, errs: []string{"1 --cmd and 2 --url"}},
		{args: []string{"--cmd=a", "--url=/a", "--cmd=b", "--url=/a"}, errs: []string{`--url="/a": given twice`}},
		{args: []string{"--url=healthz"}, errs: []string{`--url="healthz": must begin with /`}},
		{args: []string{"--url="}, errs: []string{`--url="": must begin with /`}},
		{args: []string{"--url=/metrics"}, errs: []string{`--url="/metrics": reserved`}},
		{args: []string{"--url=/%6Cog"}, errs: []string{`--url="/%6Cog": reserved`}},
		{args: []string{"--url=/100%"}, errs: []string{`--url="/100%": not a valid path`}},
		{args: []string{"--url=/a\nb"}, errs: []string{`--url="/a\nb": not a valid path`}},
		{args: []string{"--cmd=a", "--url=/a", "--cmd=b", "--url=/%61"}, errs: []string{`--url="/%61": given twice`}},
		{args: []string{"--url=/a%20b"}, want: with(func(o *options) { o.checks[0].url = "/a b" })},
		{args: []string{"--listen-address=[::1]"}, want: with(func(o *options) { o.listenAddress = "::1" })},
		{args: []string{"--listen-address=localhost"}, errs: []string{`--listen-address=localhost: not an address`}},
		{args: []string{"--url=/a?b"}, errs: []string{`--url="/a?b": must be a path`}},
		{args: []string{"--cmd=a &&"}, errs: []string{`--cmd="a &&": 1:3: `}},
		{args: []string{"--cmd="}, errs: []string{`--cmd="": the command is empty`}},
		{args: []string{"--port=65536"}, errs: []string{"--port=65536: not a port"}},
		{args: []string{"--period=0s", "--latency=-1s", "--timeout=0s"}, errs: []string{"--period=0s: must be positive", "--latency=-1s: must be positive"}},
		{args: []string{"--timeout=0s"}, errs: []string{"--timeout=0s: must be positive"}},
		{args: []string{"-quiet", "true", "-port=1"}, errs: []string{`unexpected argument "true"`}},
		{args: []string{"--nosuch"}, errs: []string{"flag provided but not defined: -nosuch"}},
		{args: []string{"--port=x"}, errs: []string{`invalid value "x" for flag -port`}},
		{args: []string{"--help"}, errs: []string{flag.ErrHelp.Error()}},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			got, err := parseOptions(tt.args, io.Discard)
			if tt.errs == nil {
				if err != nil {
					t.Fatal(err)
				}
				opts := cmp.Options{cmp.AllowUnexported(options{}, check{}), cmpopts.IgnoreFields(check{}, "program")}
				if diff := cmp.Diff(tt.want, got, opts); diff != "" {
					t.Errorf("options (-want +got):\n%s", diff)
				}
				return
			}
			for _, want := range tt.errs {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("error %v, want one with %q", err, want)
				}
			}
		})
	}
}

// TestHandler drives the HTTP side with checks in each state.
func TestHandler(t *testing.T) {
	m := newMetrics()
	probers := make(map[string]*prober.Prober)
	add := func(path string, period time.Duration, c prober.Check) {
		p := prober.New(prober.Config{
			Check: c, Period: period, Timeout: time.Minute,
			Rules:   prober.Rules{Path: path, Latency: time.Minute},
			Observe: func(r prober.CheckResult) { m.observe(path, r) },
		})
		probers[path] = p
		m.addCheck(path, p)
	}
	add("/good", time.Hour, func(context.Context, io.Writer) error { return nil })
	add("/bad", time.Hour, func(_ context.Context, out io.Writer) error {
		_, err := io.WriteString(out, "100%s")
		return errors.Join(err, context.Canceled)
	})
	add("/never", time.Hour, func(ctx context.Context, _ io.Writer) error { <-ctx.Done(); return nil })
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, len(probers))
	for _, p := range probers {
		go func() { ended <- p.Run(ctx) }()
	}
	for end := time.Now().Add(time.Minute); !probers["/good"].Last().Ended() || !probers["/bad"].Last().Ended(); {
		if time.Now().After(end) {
			t.Fatal("the first runs do not end")
		}
		time.Sleep(time.Millisecond)
	}
	var logs bytes.Buffer
	server := httptest.NewServer(handler(probers, map[string]http.Handler{metricsURL: httpserver.Metrics(m.registry)}, slog.New(slog.NewTextHandler(&logs, nil)), true))
	tests := []struct {
		method, path string
		code         int
		body         string // a beginning
	}{
		{"GET", "/good", 200, "ok"},
		{"POST", "/good", 200, "ok"},
		{"GET", "/good?verbose", 200, "ok"},
		{"GET", "/bad", 503, "Healthz probe on /bad error: Result of last exec: 100%s, at "},
		{"GET", "/never", 503, "Healthz probe on /never error: no run has ended yet\n"},
		{"GET", "/", 404, ""},
		{"GET", "/good/", 404, ""},
		{"GET", "/healthz", 404, ""},
		{"GET", "/quit", 404, ""},
		{"GET", "/debug/pprof/", 404, ""},
		{"GET", "/metrics", 200, "# HELP "},
	}
	for _, tt := range tests {
		t.Run(tt.method+tt.path, func(t *testing.T) {
			code, body := fetch(t, tt.method, server.URL+tt.path)
			if code != tt.code || !strings.HasPrefix(body, tt.body) || tt.body == "ok" && body != "ok" {
				t.Errorf("%d %q, want %d %q", code, body, tt.code, tt.body)
			}
		})
	}
	const want = `
# HELP exechealthz_check_failures_total Failed runs of the check, by reason: its exit status or its deadline.
# TYPE exechealthz_check_failures_total counter
exechealthz_check_failures_total{path="/bad",reason="failed"} 1
exechealthz_check_failures_total{path="/bad",reason="timeout"} 0
exechealthz_check_failures_total{path="/good",reason="failed"} 0
exechealthz_check_failures_total{path="/good",reason="timeout"} 0
exechealthz_check_failures_total{path="/never",reason="failed"} 0
exechealthz_check_failures_total{path="/never",reason="timeout"} 0
# HELP exechealthz_check_healthy 1 when the check's URL answers 200, otherwise 0.
# TYPE exechealthz_check_healthy gauge
exechealthz_check_healthy{path="/bad"} 0
exechealthz_check_healthy{path="/good"} 1
exechealthz_check_healthy{path="/never"} 0
# HELP exechealthz_check_runs_total Completed runs of the check.
# TYPE exechealthz_check_runs_total counter
exechealthz_check_runs_total{path="/bad"} 1
exechealthz_check_runs_total{path="/good"} 1
exechealthz_check_runs_total{path="/never"} 0
`
	err := testutil.GatherAndCompare(m.registry, strings.NewReader(want),
		"exechealthz_check_runs_total", "exechealthz_check_failures_total", "exechealthz_check_healthy")
	if err != nil {
		t.Error(err)
	}
	server.Close()
	cancel()
	for range probers {
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	if logs.Len() > 0 {
		t.Errorf("quiet, but it logged %s", logs.String())
	}
}

func fetch(t *testing.T, method, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// TestObserverLogs: quiet logs a change of health once, not quiet every run.
func TestObserverLogs(t *testing.T) {
	at := time.Now()
	good := prober.CheckResult{Start: at, End: at}
	early := prober.CheckResult{Start: at, End: at.Add(time.Second), Err: context.Canceled, Output: "100%s"}
	slow := prober.CheckResult{Start: at, End: at.Add(3 * time.Second), Err: context.Canceled}
	bad := early
	bad.Start, bad.End = at.Add(2*time.Second), at.Add(3*time.Second)
	runs := []prober.CheckResult{good, good, bad, bad, good}
	tests := []struct {
		quiet bool
		runs  []prober.CheckResult
		want  []string
	}{
		{true, runs, []string{"check is healthy", "check failed", "check is healthy"}},
		{false, runs, []string{"check is healthy", "check succeeded", "check failed", "check failed", "check is healthy"}},
		// A failure in the first period is no error, whatever follows.
		{true, []prober.CheckResult{early, bad, bad}, []string{"check has not succeeded yet", "check failed"}},
		{true, []prober.CheckResult{early, good, early}, []string{"check has not succeeded yet", "check is healthy", "check failed"}},
		{true, []prober.CheckResult{slow, bad}, []string{"check failed"}},
	}
	for _, tt := range tests {
		var logs bytes.Buffer
		logger := slog.New(slog.NewTextHandler(&logs, &slog.HandlerOptions{
			ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
				if a.Key == slog.MessageKey {
					return a
				}
				return slog.Attr{}
			},
		}))
		observe := observer(check{url: "/x"}, newMetrics(), logger, options{quiet: tt.quiet, period: 2 * time.Second})
		for _, r := range tt.runs {
			observe(r)
		}
		got := strings.Split(strings.TrimSpace(strings.ReplaceAll(strings.ReplaceAll(logs.String(), "msg=", ""), `"`, "")), "\n")
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("quiet %v (-want +got):\n%s", tt.quiet, diff)
		}
	}
}

// TestServeEnds: serve ends without error when told to, with a command running.
func TestServeEnds(t *testing.T) {
	opts, err := parseOptions([]string{"--cmd=sleep 60", "--cmd=echo hi", "--url=/slow", "--url=/fast"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, opts, ln, http.NotFoundHandler(), slog.New(slog.DiscardHandler)) }()
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if code, _ := fetch(t, "GET", "http://"+ln.Addr().String()+"/fast"); code == 200 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("/fast does not become healthy")
		}
	}
	if code, _ := fetch(t, "GET", "http://"+ln.Addr().String()+"/slow"); code != 503 {
		t.Errorf("/slow before its first run ended: %d, want 503", code)
	}
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("serve: %v", err)
		}
	case <-time.After(time.Minute):
		t.Error("serve does not end")
	}
}

func TestPortInUse(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{"exechealthz", "--listen-address=127.0.0.1", "--port=" + port}, &stdout, &stderr)
	if code != 1 || !strings.Contains(stderr.String(), "--port="+port) || !strings.Contains(stderr.String(), "address already in use") {
		t.Errorf("exit %d, errors %q; want 1 and the port", code, stderr.String())
	}
}
