package explain

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"sigs.k8s.io/yaml"

	"github.com/kube-dns/kube-dns/pkg/autopath"
	"github.com/kube-dns/kube-dns/pkg/dnsconfig"
	"github.com/kube-dns/kube-dns/pkg/explain"
)

const validateUsage = `kubedns validate says what a configuration means, and what is wrong with it.

Usage: kubedns validate --config-dir=DIR | --config-map-file=FILE

DIR is a folder with a file for each key, as a ConfigMap is mounted. FILE is a manifest of
the ConfigMap, YAML or JSON.

Exit code: 0 valid, 1 faults, 2 the folder or file cannot be read.
`

// maxManifest bounds the size of a manifest; a ConfigMap has at most 1 MiB.
const maxManifest = 4 << 20

// runValidate runs "kubedns validate".
func runValidate(args []string, env Env) int {
	var dir, file string
	flags := pflag.NewFlagSet("validate", pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&dir, "config-dir", "", "`folder` with the configuration")
	flags.StringVar(&file, "config-map-file", "", "`file` with the ConfigMap")
	flags.Usage = func() { fmt.Fprintf(env.Stdout, "%s\nFlags:\n%s", validateUsage, flags.FlagUsages()) }
	err := flags.Parse(args)
	fail := func(err error) int {
		fmt.Fprintf(env.Stderr, "kubedns validate: %v\n", err)
		return explain.ExitFailure
	}
	switch {
	case errors.Is(err, pflag.ErrHelp):
		return explain.ExitAnswer
	case err != nil:
		return fail(err)
	case flags.NArg() > 0 || (dir == "") == (file == ""):
		return fail(errors.New("want either --config-dir=DIR or --config-map-file=FILE, and nothing else"))
	}
	var data map[string]string
	place := func(key string) string { return filepath.Join(dir, key) + ":1" }
	if dir != "" {
		if _, data, err = dnsconfig.ReadDir(os.DirFS(dir)); err != nil {
			return fail(fmt.Errorf("--config-dir=%s: %w", dir, err))
		}
	} else {
		var text []byte
		if text, data, err = readConfigMap(file); err != nil {
			return fail(fmt.Errorf("--config-map-file=%s: %w", file, err))
		}
		place = func(key string) string { return fmt.Sprintf("%s:%d", file, lineOf(text, key)) }
	}
	return report(data, place, env.Stdout)
}

// readConfigMap reads the data of a manifest with one ConfigMap.
func readConfigMap(path string) (text []byte, data map[string]string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	if text, err = io.ReadAll(io.LimitReader(f, maxManifest+1)); err != nil {
		return nil, nil, err
	}
	if len(text) > maxManifest {
		return nil, nil, errors.New("larger than 4 MiB")
	}
	var object struct {
		Kind string            `json:"kind"`
		Data map[string]string `json:"data"`
	}
	if err := yaml.Unmarshal(text, &object); err != nil {
		return nil, nil, fmt.Errorf("not a ConfigMap: %w", err)
	}
	if object.Kind != "ConfigMap" {
		return nil, nil, fmt.Errorf("kind is %q, want ConfigMap", object.Kind)
	}
	return text, object.Data, nil
}

// lineOf returns the first line of a manifest that begins with a key, 1 if none does.
func lineOf(manifest []byte, key string) int {
	n := 0
	for line := range strings.Lines(string(manifest)) {
		n++
		if strings.HasPrefix(strings.TrimLeft(line, " \t\"'{"), key) {
			return n
		}
	}
	return 1
}

// report prints what data means, and its faults. place says where a key is.
func report(data map[string]string, place func(key string) string, out io.Writer) int {
	code := explain.ExitAnswer
	for _, key := range slices.Sorted(maps.Keys(data)) {
		_, err := dnsconfig.Parse(map[string]string{key: data[key]})
		if err == nil {
			continue
		}
		code = 1
		where := place(key)
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			before := data[key][:min(max(int(syntax.Offset)-1, 0), len(data[key]))]
			where += fmt.Sprintf(" (line %d of the value)", strings.Count(before, "\n")+1)
		}
		fmt.Fprintf(out, "%s: %s\n", where, explain.Line(err.Error()))
	}
	for _, warning := range dnsconfig.UnknownKeys(data) {
		fmt.Fprintf(out, "warning: %s\n", explain.Line(warning))
	}
	config, err := dnsconfig.Parse(data)
	if err != nil {
		fmt.Fprintln(out, "The whole configuration is rejected; a running kubedns keeps the previous one.")
		return 1
	}
	for _, domain := range slices.Sorted(maps.Keys(config.StubDomains)) {
		fmt.Fprintf(out, "%s and names below it -> %s\n", domain, serversText(config.StubDomains[domain], "nobody (an empty list has no effect)"))
	}
	fmt.Fprintf(out, "all other names outside the cluster -> %s\n", serversText(config.UpstreamNameservers, "the servers of --nameservers or /etc/resolv.conf"))
	reportAutopath(&config, out)
	for _, name := range slices.Sorted(maps.Keys(config.Federations)) {
		fmt.Fprintf(out, "federation %s -> %s\n", name, config.Federations[name])
	}
	return code
}

// reportAutopath prints what the keys about the clients' search lists mean.
func reportAutopath(config *dnsconfig.Config, out io.Writer) {
	searches := "those of kubedns's resolv.conf, or --autopath-searches"
	if config.AutopathSearches != nil {
		var texts []string
		for _, name := range config.AutopathSearches {
			texts = append(texts, strings.TrimSuffix(name.String(), "."))
		}
		searches = cmp.Or(strings.Join(texts, ", "), "none")
	}
	switch config.Autopath {
	case autopath.Off:
		fmt.Fprintln(out, "search lists -> not completed, whatever --autopath says")
	case autopath.Cluster:
		fmt.Fprintln(out, "search lists -> names inside the cluster are completed")
	case autopath.All:
		fmt.Fprintf(out, "search lists -> names inside the cluster are completed by kubedns, and names outside by dnscache; search entries after those of the cluster: %s\n", searches)
	}
	if config.AutopathSearches != nil && config.Autopath != autopath.All && config.Autopath != autopath.Unset {
		fmt.Fprintln(out, "warning: autopathSearches has no effect without autopath: all")
	}
}

func serversText(servers []dnsconfig.Server, none string) string {
	if len(servers) == 0 {
		return none
	}
	var list []string
	for _, s := range servers {
		list = append(list, s.String())
	}
	return strings.Join(list, ", ")
}
