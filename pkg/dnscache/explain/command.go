package explain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/kube-dns/kube-dns/pkg/dnscache/servers"
	"github.com/kube-dns/kube-dns/pkg/explain"
)

// Env holds the parts of the system that the subcommand uses.
type Env struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Lookup         servers.Lookup // finds the addresses of servers that are given by name
}

const usage = `dnscache explain says what dnscache answers to a question, and which rule decides: local
data, a filter, a cache entry with its age, TTL and origin, or the servers of a route.

Usage: dnscache explain NAME [TYPE] --server=URL [FLAGS]
       dnscache explain NAME [TYPE] [FLAGS] -- OPTIONS

  dnscache explain corp.example --server=http://127.0.0.1:10054    a running dnscache
  dnscache explain corp.example -- --server=/corp.example/10.0.0.53    with these options

The URL is that of --metrics-address; only requests from the same Pod's loopback interface
are answered, so forward the port first: kubectl port-forward. OPTIONS are those of dnscache,
all of them; nothing is listened on, and the cache is empty. In both forms the question is
really asked of upstream servers if dnscache would ask them.

      --server=URL        of a running dnscache
  -o, --output=FORMAT     text (default) or json
      --timeout=DURATION  how long the answer may take (default 30s)

Exit code: 0 answer, 3 NXDOMAIN, 4 the name exists without records of the type, 2 failure.
`

// command is a parsed command line of "dnscache explain".
type command struct {
	question Question
	server   string        // --server
	output   string        // --output
	timeout  time.Duration // --timeout
	help     bool          // --help
	offline  bool          // the command line contains "--"
	options  []string      // the arguments after "--"
}

// Run runs "dnscache explain" if the first argument is "explain", and returns its exit code.
// Otherwise, ok is false.
func Run(ctx context.Context, args []string, env Env) (code int, ok bool) {
	if len(args) == 0 || args[0] != "explain" {
		return 0, false
	}
	c, err := parse(args[1:])
	if err == nil && c.help {
		fmt.Fprint(env.Stdout, usage)
		return explain.ExitAnswer, true
	}
	var x *Explanation
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, c.timeout)
		defer cancel()
		x, err = c.explain(ctx, env)
	}
	if err == nil {
		err = explain.Write(env.Stdout, x, c.output)
	}
	if err != nil {
		fmt.Fprintf(env.Stderr, "dnscache explain: %s\ndnscache explain --help lists the flags.\n", explain.Lines(err.Error()))
		return explain.ExitFailure, true
	}
	return explain.ExitCode(x.Status), true
}

// explain asks a running program for the explanation, or makes one from the options after "--".
func (c *command) explain(ctx context.Context, env Env) (*Explanation, error) {
	if c.offline {
		return offline(ctx, c.options, c.question, env)
	}
	x := &Explanation{}
	err := explain.Fetch(ctx, c.server, "the metrics of a running dnscache, such as http://127.0.0.1:10054", url.Values{
		"name": {c.question.Name}, "type": {c.question.Type}, "output": {"json"},
	}, x)
	if err == nil && (x.Status == "" || x.Freshness == "") {
		err = errors.New("the answer is not an explanation of dnscache")
	}
	if err != nil {
		return nil, fmt.Errorf("--server=%s: %w", explain.Line(c.server), err)
	}
	return x, nil
}

// parse parses the arguments after "explain".
func parse(args []string) (*command, error) {
	c := &command{output: "text", timeout: 30 * time.Second}
	if i := slices.Index(args, "--"); i >= 0 {
		args, c.options, c.offline = args[:i], args[i+1:], true
	}
	var words []string
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		if !strings.HasPrefix(arg, "-") {
			words = append(words, arg)
			continue
		}
		name, value, has := strings.Cut(arg, "=")
		if name == "--help" || name == "-h" {
			return &command{help: true}, nil
		}
		if strings.HasPrefix(arg, "-o") && len(arg) > 2 && !has {
			name, value, has = "-o", arg[2:], true
		}
		if !has && len(args) > 0 {
			value, args = args[0], args[1:]
		} else if !has && slices.Contains([]string{"--server", "--output", "-o", "--timeout"}, name) {
			return nil, fmt.Errorf("%s: want a value", name)
		}
		if err := c.set(name, value); err != nil {
			return nil, err
		}
	}
	switch {
	case len(words) < 1 || len(words) > 2:
		return nil, errors.New("want NAME and, if it is not A, TYPE")
	case c.offline == (c.server != ""):
		return nil, errors.New("want either --server=URL of a running dnscache, or -- and the options of dnscache")
	}
	c.question.Name = words[0]
	if len(words) == 2 {
		c.question.Type = words[1]
	}
	return c, nil
}

// set sets the value of a flag.
func (c *command) set(name, value string) (err error) {
	switch name {
	case "--server":
		c.server = value
		if value == "" {
			err = errors.New("--server: want a URL")
		}
	case "--output", "-o":
		if c.output = value; value != "text" && value != "json" {
			err = fmt.Errorf("--output=%s: want text or json", value)
		}
	case "--timeout":
		if c.timeout, err = time.ParseDuration(value); err != nil || c.timeout <= 0 {
			err = fmt.Errorf("--timeout=%s: want a duration such as 30s", value)
		}
	default:
		err = fmt.Errorf("unknown flag %s; options of dnscache follow after --", name)
	}
	return err
}
