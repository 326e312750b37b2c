package explain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/explain"
	"github.com/kube-dns/kube-dns/pkg/kubedns/options"
	"github.com/kube-dns/kube-dns/pkg/records"
	"github.com/kube-dns/kube-dns/pkg/treecache"
)

// ExitDiffers is the exit code of "kubedns diff" if any record differs.
const ExitDiffers = 1

// liveCluster is the argument of "kubedns diff" that means the API server.
const liveCluster = "cluster"

const diffUsage = `kubedns diff compares what two states of a cluster answer, name by name.

Usage: kubedns diff A B [flags]

A and B are files or folders of objects, as for --objects, or the word "cluster" for the
API server of --kubecfg-file, --kube-master-url or the Pod's service account. Records that
only A has begin with "-", records that only B has with "+". The names of Services, of
their named ports and of the hosts of headless Services are compared and, with
--clusterset-domain, those of ServiceImports. ExternalNames are not followed, and no
upstream server is asked. Rights to list these objects and EndpointSlices are enough.
--timeout (default 1m) bounds how long loading the objects may take.

Exit code: 0 no difference, 1 differences, 2 failure.
`

// runDiff runs "kubedns diff" and returns its exit code.
func runDiff(ctx context.Context, args []string, env Env) int {
	wait := time.Minute
	o, arguments, err := options.ParseCommand(args, env.Getenv, io.Discard, func(f *pflag.FlagSet) {
		f.DurationVar(&wait, "timeout", wait, "how long loading the objects of both may take")
		f.Usage = func() { fmt.Fprint(env.Stdout, diffUsage) }
	})
	fail := func(err error) int {
		fmt.Fprintf(env.Stderr, "kubedns diff: %s\nkubedns diff --help says more.\n", explain.Lines(err.Error()))
		return explain.ExitFailure
	}
	switch {
	case errors.Is(err, options.ErrHelp):
		return explain.ExitAnswer
	case err != nil:
		return fail(err)
	case len(arguments) != 2:
		return fail(errors.New("want two files or folders of objects, or \"cluster\" for one of them"))
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	var states [2]map[string]bool
	for i, what := range arguments {
		if states[i], err = allRecords(ctx, what, *o, env); err != nil {
			return fail(fmt.Errorf("%s: %w", what, err))
		}
	}
	code := explain.ExitAnswer
	for _, record := range slices.Sorted(maps.Keys(union(states[0], states[1]))) {
		switch {
		case states[0][record] && states[1][record]:
			continue
		case states[0][record]:
			fmt.Fprintln(env.Stdout, "- "+explain.Line(record))
		default:
			fmt.Fprintln(env.Stdout, "+ "+explain.Line(record))
		}
		code = ExitDiffers
	}
	return code
}

func union(a, b map[string]bool) map[string]bool {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// allRecords returns all records with which kubedns would answer, in the form of dig, for the
// objects in what: a file, a folder or liveCluster.
func allRecords(ctx context.Context, what string, o options.Options, env Env) (map[string]bool, error) {
	if what != liveCluster {
		o.ObjectsPath, o.Kubeconfig, o.MasterURL = what, "", ""
	}
	o.NoNameserver, o.Nameservers = true, nil
	all := map[string]bool{}
	var missing error
	err := withServer(ctx, &o, env, func(e *Explainer) {
		if e.ClusterSet != nil && !e.ClusterSet.HasSynced() {
			missing = fmt.Errorf("the ServiceImports are not loaded: %s", explain.Line(e.Watcher.Status().ClusterSet.Resource.LastError))
			return
		}
		for _, z := range e.zones() {
			e.addRecords(ctx, all, z)
		}
	})
	return all, errors.Join(err, missing, ctx.Err())
}

// addRecords adds the records of a zone to all.
func (e *Explainer) addRecords(ctx context.Context, all map[string]bool, z zone) {
	var namespaces []string
	z.names.Labels("", func(label string) bool { namespaces = append(namespaces, label); return true })
	for _, namespace := range namespaces {
		z.names.Labels(namespace, func(name string) bool {
			if svc, list := z.object(namespace, name); svc != nil {
				e.objectRecords(all, z, svc, list)
			}
			return ctx.Err() == nil
		})
	}
}

// objectRecords adds the records of a Service or ServiceImport to all. It takes them from the
// zone, because an answer may be too short for those of a large Service.
func (e *Explainer) objectRecords(all map[string]bool, z zone, svc *records.Service, list []*records.Slice) {
	add := func(below string, addrs, services bool) {
		name, err := dnsname.Parse(below + svc.Name + "." + svc.Namespace + ".svc." + z.domain.String())
		if err != nil || !e.Server.Where([]byte(name)).Own {
			return
		}
		a := z.records([]byte(name))
		record := func(ttl uint32, typ string, data any) {
			all[fmt.Sprintf("%s %d IN %s %v", name, ttl, typ, data)] = true
		}
		if a.Aliases() > 0 {
			alias := a.Alias(0)
			record(alias.TTL, "CNAME", dnsname.Name(alias.AppendTarget(nil)))
		}
		for v6, typ := range map[bool]string{false: "A", true: "AAAA"} {
			walk := a.Addrs(v6)
			for addr, ok := walk.Next(); addrs && ok; addr, ok = walk.Next() {
				record(a.TTL(), typ, addr)
			}
		}
		var r treecache.Record
		for walk := a.Services(0); services && walk.Next(&r); {
			record(r.TTL, "SRV", fmt.Sprintf("%d %d %d %v", r.Priority, r.Weight, r.Port, dnsname.Name(r.AppendTarget(nil))))
		}
	}
	// In a clusterset zone, the SRV records of the own name are records of their own.
	add("", true, svc.Kind == records.ClusterSetIP || svc.Kind == records.ClusterSetHeadless)
	ports := slices.Clone(svc.Ports)
	hosts := map[string]bool{}
	for _, s := range list {
		ports = append(ports, s.Ports...)
		for i := range s.Len() {
			if host := endpointName(svc, s, i); host != "" {
				hosts[host] = true
			}
		}
	}
	names := map[string]bool{}
	for _, p := range ports {
		if p.Name != "" {
			names["_"+strings.ToLower(p.Name)+"._"+p.Protocol.String()] = true
		}
	}
	for name := range names {
		add(name+".", false, true)
	}
	for host := range hosts {
		add(host+".", true, false)
	}
}
