package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	// startTimeout is how long the programs may take to become healthy.
	startTimeout = 30 * time.Second
	// clusterTimeout is the same limit for a cluster whose objects must be listed first.
	clusterTimeout = 2 * time.Minute
	pollPeriod     = 100 * time.Millisecond
)

// errInterrupted means that a signal came before the questions were answered.
var errInterrupted = errors.New("interrupted")

// run runs the demo. The exit code is 0 if the answers were right and, without ONCE, a signal
// ended the demo.
func run(ctx context.Context, getenv func(string) string, stdout io.Writer) int {
	out := &lockedWriter{w: stdout}
	cfg, err := readConfig(getenv)
	if err == nil {
		err = cfg.ports.checkPorts(ctx)
	}
	if err != nil {
		fmt.Fprintf(out, "demo: %v\n", err)
		return 1
	}
	children, err := startAll(cfg, out)
	if err == nil {
		err = demonstrate(ctx, cfg, children, out)
	}
	if err != nil && !errors.Is(err, errInterrupted) {
		for _, c := range children {
			c.log.show()
		}
	}
	stopAll(children)
	if err != nil {
		fmt.Fprintf(out, "demo: %v\n", err)
		return 1
	}
	fmt.Fprintln(out, "demo: done")
	return 0
}

func startAll(cfg config, out io.Writer) ([]*child, error) {
	if cfg.kubeconfig != "" {
		fmt.Fprintf(out, "demo: serving the cluster of KUBECONFIG=%s\n", cfg.kubeconfig)
	} else {
		fmt.Fprintf(out, "demo: serving the objects of %s\n", cfg.objects)
	}
	var children []*child
	for _, p := range cfg.programs() {
		fmt.Fprintf(out, "+ %s/%s %s\n", cfg.bin, p.name, quoted(p.args))
		c, err := start(cfg.bin, p, out)
		if err != nil {
			return children, err
		}
		children = append(children, c)
	}
	return children, nil
}

// quoted returns args as one would type them in a shell.
func quoted(args []string) string {
	typed := make([]string, len(args))
	for i, arg := range args {
		if typed[i] = arg; strings.ContainsAny(arg, " >*&|;<()$`\"'\\") {
			typed[i] = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
		}
	}
	return strings.Join(typed, " ")
}

// demonstrate waits until the programs are healthy, asks the questions, and stays up.
func demonstrate(ctx context.Context, cfg config, children []*child, out io.Writer) error {
	timeout, questions := startTimeout, exampleQuestions()
	if cfg.kubeconfig != "" {
		timeout, questions = clusterTimeout, clusterQuestions()
	}
	healthz := "http://" + loopback(cfg.ports.healthz)
	urls := []string{"http://" + loopback(cfg.ports.readiness) + "/readiness", healthz + urlKubedns, healthz + urlDnscache}
	began := time.Now()
	waitCtx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for _, url := range urls {
		if err := waitHealthy(waitCtx, url, children, out); err != nil {
			if ctx.Err() != nil {
				return errInterrupted
			}
			return err
		}
	}
	fmt.Fprintf(out, "demo: healthy after %v\n", time.Since(began).Round(time.Millisecond))
	server := loopback(cfg.ports.dnscache)
	err := askAll(ctx, out, server, questions)
	switch {
	case ctx.Err() != nil:
		return errInterrupted
	case err != nil && cfg.once:
		return fmt.Errorf("wrong answers: %w", err)
	case err != nil:
		fmt.Fprintf(out, "\ndemo: wrong answers: %v\n", err)
	default:
		fmt.Fprintf(out, "\ndemo: all %d answers are right\n", len(questions))
	}
	if cfg.once {
		return nil
	}
	return stay(ctx, cfg, children, out)
}

// waitHealthy polls a URL until its status is 200, and prints the answer whenever that
// changes.
func waitHealthy(ctx context.Context, url string, children []*child, out io.Writer) error {
	client := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	ticker := time.NewTicker(pollPeriod)
	defer ticker.Stop()
	var last string
	for {
		state, healthy := get(ctx, client, url)
		if healthy {
			fmt.Fprintf(out, "demo: %s: ok\n", url)
			return nil
		}
		if err := died(children); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is not healthy in time: %s", url, last)
		case <-ticker.C:
		}
		if state != last {
			fmt.Fprintf(out, "demo: waiting for %s: %s\n", url, state)
			last = state
		}
	}
}

// get returns the answer of a URL as one line, and whether its status is 200.
func get(ctx context.Context, client *http.Client, url string) (string, bool) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err.Error(), false
	}
	resp, err := client.Do(req)
	if err != nil {
		return "no answer yet", false
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	if err != nil {
		return err.Error(), false
	}
	// The time in the text changes with every poll; the text before it does not.
	text, _, _ := strings.Cut(strings.Join(strings.Fields(string(body)), " "), ", at ")
	return fmt.Sprintf("%d %s", resp.StatusCode, text), resp.StatusCode == http.StatusOK
}

// stay shows the programs' logs until a signal or the end of one of them.
func stay(ctx context.Context, cfg config, children []*child, out io.Writer) error {
	host, dnscache, kubedns := "127.0.0.1", cfg.ports.dnscache, cfg.ports.kubedns
	fmt.Fprintf(out, `
Up until Ctrl-C. To try:
  dig @%[1]s -p %[2]d kubernetes.default.svc.cluster.local        through the cache
  dig @%[1]s -p %[3]d _https._tcp.kubernetes.default.svc.cluster.local SRV  from kubedns itself
  dig @%[1]s -p %[2]d version.bind CH TXT
  curl http://%[4]s/cache            what kubedns knows
  curl http://%[5]s%[6]s   what the kubelet would see
  curl http://%[5]s/metrics http://%[7]s/metrics
`, host, dnscache, kubedns, loopback(cfg.ports.debug), loopback(cfg.ports.healthz), urlDnscache, loopback(cfg.ports.dnscacheMetrics))
	if cfg.kubeconfig == "" {
		fmt.Fprintf(out, "  dig @%s -p %d -x 10.96.0.10\nChange a file in %s and ask again.\n", host, dnscache, cfg.objects)
	}
	fmt.Fprintln(out)
	for _, c := range children {
		c.log.show()
	}
	ticker := time.NewTicker(pollPeriod)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			fmt.Fprintln(out, "demo: ending")
			return nil
		case <-ticker.C:
			if err := died(children); err != nil {
				return err
			}
		}
	}
}
