package explain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/kube-dns/kube-dns/pkg/explain"
	"github.com/kube-dns/kube-dns/pkg/kubedns/options"
)

// Env holds the parts of the program that the subcommands use.
type Env struct {
	Getenv         func(string) string
	Stdin          io.Reader // nil means the standard input of the process
	Stdout, Stderr io.Writer
	// Open makes a kubedns from its flags; it opens no listening sockets. run loads the objects
	// and follows them until its context ends.
	Open func(o *options.Options) (e *Explainer, run func(context.Context) error, err error)
}

const usage = `kubedns explain says why a name resolves in the cluster as it does, or why it does not.

Usage: kubedns explain NAME [TYPE] [flags]

  kubedns explain web.default --objects=dump.yaml              from files, offline
  kubedns explain web --namespace=shop --kubecfg-file=config   from an API server
  kubedns explain web --server=http://127.0.0.1:6060           from a running kubedns (--debug-address)

Without --server, all flags of kubedns apply, --domain, --config-dir and --nameservers too;
names outside the cluster are asked of the servers that kubedns with these flags would ask.
A NAME that ends in a dot is not completed by the Pod's search list.

Exit code: 0 answer, 3 NXDOMAIN, 4 the name exists without records of the type, 2 failure.

Flags of this command (those of kubedns: kubedns --help):
`

// Run runs the subcommand if args begin with the name of one, and returns its exit code.
// Otherwise, ok is false.
func Run(ctx context.Context, args []string, env Env) (code int, ok bool) {
	if len(args) == 0 {
		return 0, false
	}
	switch args[0] {
	case "explain":
		return Command(ctx, args[1:], env), true
	case "diff":
		return runDiff(ctx, args[1:], env), true
	case "validate":
		if env.Stdin == nil {
			env.Stdin = os.Stdin
		}
		return runValidate(args[1:], env), true
	}
	return 0, false
}

// Command runs "kubedns explain" with the arguments that follow these words, and returns the
// exit code.
func Command(ctx context.Context, args []string, env Env) int {
	var (
		q      Question
		server string
		output string
		wait   time.Duration
	)
	own := func(f *pflag.FlagSet) {
		f.StringVar(&server, "server", "", "`URL` of the debug address of a running kubedns")
		f.StringVar(&q.Namespace, "namespace", "default", "`namespace` of the Pod whose search list is used")
		f.IntVar(&q.NDots, "ndots", defaultDot, "names with fewer dots are first looked up with the search list")
		f.StringVarP(&output, "output", "o", "text", "`format` of the output: text or json")
		f.DurationVar(&wait, "timeout", 30*time.Second, "how long loading the objects, and the answer, may take")
	}
	o, arguments, err := options.ParseCommand(args, env.Getenv, io.Discard, func(f *pflag.FlagSet) {
		own(f)
		f.Usage = func() {
			mine := pflag.NewFlagSet("explain", pflag.ContinueOnError)
			own(mine)
			fmt.Fprintf(env.Stdout, "%s%s", usage, mine.FlagUsages())
		}
	})
	fail := func(err error) int {
		fmt.Fprintf(env.Stderr, "kubedns explain: %s\nkubedns explain --help lists the flags.\n", explain.Lines(err.Error()))
		return explain.ExitFailure
	}
	switch {
	case errors.Is(err, options.ErrHelp):
		return explain.ExitAnswer
	case err != nil:
		return fail(err)
	case len(arguments) < 1 || len(arguments) > 2:
		return fail(errors.New("want NAME and, if it is not A, TYPE"))
	case output != "text" && output != "json":
		return fail(fmt.Errorf("--output=%s: want text or json", output))
	case server != "" && (o.ObjectsPath != "" || o.Kubeconfig != "" || o.MasterURL != ""):
		return fail(errors.New("--server asks a running kubedns, so give it without --objects, --kubecfg-file and --kube-master-url"))
	case q.NDots < 0 || q.NDots > 15:
		return fail(fmt.Errorf("--ndots=%d: want a number from 0 to 15", q.NDots))
	}
	q.Name = arguments[0]
	if len(arguments) == 2 {
		q.Type = arguments[1]
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	x, err := explainOnce(ctx, server, o, q, env)
	if err != nil {
		return fail(err)
	}
	if err := explain.Write(env.Stdout, x, output); err != nil {
		return fail(err)
	}
	return explain.ExitCode(x.Status)
}

// explainOnce gets the explanation from the running kubedns at the URL server or, if that is
// empty, makes one from the options.
func explainOnce(ctx context.Context, server string, o *options.Options, q Question, env Env) (*Explanation, error) {
	if server != "" {
		x, err := fetch(ctx, server, q)
		if err != nil {
			return nil, fmt.Errorf("--server=%s: %w", server, err)
		}
		return x, nil
	}
	var x *Explanation
	var fault error
	err := withServer(ctx, o, env, func(e *Explainer) { x, fault = e.Explain(ctx, q) })
	return x, errors.Join(err, fault)
}

// withServer makes a kubedns from the options, waits until its objects are loaded, and calls
// use with its Explainer. It ends that kubedns before it returns.
func withServer(ctx context.Context, o *options.Options, env Env, use func(*Explainer)) error {
	e, run, err := env.Open(o)
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	var failure error // may be read once ended is closed
	go func() {
		defer close(ended)
		failure = run(running)
	}()
	defer func() {
		stop()
		<-ended
	}()
	for ticker := time.NewTicker(5 * time.Millisecond); !e.loaded(); {
		select {
		case <-ctx.Done():
			ticker.Stop()
			return fmt.Errorf("the objects are not loaded in time (--timeout): %s", e.unsynced())
		case <-ended:
			ticker.Stop()
			return fmt.Errorf("loading the objects: %w", errors.Join(errors.New("ended before they were complete"), failure, ctx.Err()))
		case <-ticker.C:
		}
		if err := e.refused(); err != nil {
			ticker.Stop()
			return err
		}
	}
	use(e)
	return nil
}

// loaded reports whether all objects are loaded and the live configuration is in effect. As
// in a running kubedns, names of the cluster do not depend on ServiceImports: if the first
// attempt to list them has failed, they are not waited for.
func (e *Explainer) loaded() bool {
	if !e.Watcher.HasSynced() || e.Ready != nil && !e.Ready() {
		return false
	}
	return e.ClusterSet == nil || e.ClusterSet.HasSynced() || e.Watcher.Status().ClusterSet.Resource.LastError != ""
}

// refused returns an error if the API server refuses to list a resource, because waiting would
// not help.
func (e *Explainer) refused() error {
	status := e.Watcher.Status()
	for _, r := range status.Resources {
		slices := strings.HasPrefix(r.Resource, "endpointslices") // kubewatch then lists Endpoints instead
		if !r.Refused || r.Lists > 0 || slices {
			continue
		}
		resource := r.Resource
		if resource == "endpoints" {
			resource = "endpointslices.discovery.k8s.io, and endpoints in their place"
		}
		return fmt.Errorf("the API server refuses to list %s: %s; the user of the kubeconfig needs the verb list for services and endpointslices.discovery.k8s.io in all namespaces",
			resource, explain.Line(r.LastError))
	}
	return nil
}

// unsynced tells what has not been loaded yet.
func (e *Explainer) unsynced() string {
	for _, r := range e.Watcher.Status().Resources {
		if r.Lists == 0 {
			return "waiting for " + r.Resource + ": " + explain.Line(r.LastError)
		}
	}
	return "the configuration of --config-dir or --config-map is not loaded"
}
