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
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	"sigs.k8s.io/yaml"

	"github.com/kube-dns/kube-dns/pkg/autopath"
	"github.com/kube-dns/kube-dns/pkg/dnsconfig"
	"github.com/kube-dns/kube-dns/pkg/explain"
	"github.com/kube-dns/kube-dns/pkg/internal/jsonfault"
)

const validateUsage = `kubedns validate says what a configuration means, and what is wrong with it.

Usage: kubedns validate --config-dir=DIR | --config-map-file=FILE

DIR is a folder with a file for each key, as a ConfigMap is mounted. FILE is a manifest of
the ConfigMap, YAML or JSON; "-" is standard input. If it has several ConfigMaps, the one
with the name kube-dns counts.

Exit code: 0 valid, 1 faults, 2 the folder or file cannot be read.
`

// maxManifest is the largest size of a manifest in octets. A ConfigMap has at most 1 MiB.
const maxManifest = 4 << 20

// runValidate runs "kubedns validate" and returns its exit code.
func runValidate(args []string, env Env) int {
	var dir, file string
	flags := pflag.NewFlagSet("validate", pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&dir, "config-dir", "", "`folder` with the configuration")
	flags.StringVar(&file, "config-map-file", "", "`file` with the ConfigMap")
	flags.Usage = func() { fmt.Fprintf(env.Stdout, "%s\nFlags:\n%s", validateUsage, flags.FlagUsages()) }
	err := flags.Parse(args)
	fail := func(err error) int {
		fmt.Fprintf(env.Stderr, "kubedns validate: %s\n", explain.Lines(err.Error()))
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
	var (
		data  map[string]string
		wrong map[string]any // the values that are not strings
	)
	place := func(key string, line int) string { return fmt.Sprintf("%s:%d", filepath.Join(dir, key), line) }
	if dir != "" {
		if _, data, err = dnsconfig.ReadDir(os.DirFS(dir)); err != nil {
			return fail(fmt.Errorf("--config-dir=%s: %w", dir, err))
		}
	} else {
		var text string
		if text, data, wrong, err = readConfigMap(file, env.Stdin); err != nil {
			return fail(fmt.Errorf("--config-map-file=%s: %w", file, err))
		}
		place = func(key string, line int) string { return file + ":" + lineOf(text, key, line) }
	}
	for _, key := range slices.Sorted(maps.Keys(wrong)) {
		fmt.Fprintf(env.Stdout, "%s: key %s: %s\n", explain.Line(place(key, 1)), explain.Line(key), notString(wrong[key]))
	}
	code := report(data, place, env.Stdout)
	if len(wrong) > 0 {
		fmt.Fprintln(env.Stdout, "The API server rejects a ConfigMap with values that are not strings.")
		return 1
	}
	return code
}

// notString says what is wrong with the value of a key that is not a string.
func notString(value any) string {
	switch value := value.(type) {
	case bool:
		return fmt.Sprintf("the value is %v, not a string: YAML reads on, off, yes and no so; put it in quotes", value)
	case float64:
		return "the value is a number, not a string; put it in quotes"
	case []any:
		return "the value is a list, not a string; put it in quotes, as JSON"
	}
	return "the value is an object, not a string; put it in quotes, as JSON, or begin it with |"
}

// readConfigMap reads the data of the ConfigMap in a manifest; wrong holds the values that are
// not strings. text is the manifest up to the
// end of the ConfigMap, with empty lines in place of earlier documents, so that line numbers
// stay right.
func readConfigMap(path string, stdin io.Reader) (text string, data map[string]string, wrong map[string]any, err error) {
	in := stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return "", nil, nil, err
		}
		defer f.Close()
		in = f
	}
	manifest, err := io.ReadAll(io.LimitReader(in, maxManifest+1))
	switch {
	case err != nil:
		return "", nil, nil, err
	case len(manifest) > maxManifest:
		return "", nil, nil, errors.New("larger than 4 MiB")
	}
	var found, kinds []string
	for _, document := range documents(string(manifest)) {
		var object struct {
			Kind     string                `json:"kind"`
			Metadata struct{ Name string } `json:"metadata"`
			Data     map[string]any        `json:"data"`
		}
		asJSON, err := yaml.YAMLToJSONStrict([]byte(document)) // rejects duplicate keys
		if err == nil {
			err = json.Unmarshal(asJSON, &object)
		}
		switch {
		case err != nil:
			return "", nil, nil, fmt.Errorf("not a ConfigMap: %w", jsonfault.Explain(err))
		case object.Kind == "ConfigMap":
			if len(found) == 0 || object.Metadata.Name == "kube-dns" {
				text = document
				data, wrong = split(object.Data)
			}
			found = append(found, object.Metadata.Name)
		case object.Kind != "" || len(strings.TrimSpace(document)) > 0:
			kinds = append(kinds, strconv.Quote(object.Kind))
		}
	}
	switch {
	case len(found) == 0 && len(kinds) == 0:
		return "", nil, nil, errors.New("empty; want a manifest of the ConfigMap")
	case len(found) == 0:
		return "", nil, nil, fmt.Errorf("kind is %s, want ConfigMap", strings.Join(kinds[:min(len(kinds), 5)], ", "))
	case len(found) > 1 && !slices.Contains(found, "kube-dns"):
		return "", nil, nil, fmt.Errorf("%d ConfigMaps, and none has the name kube-dns", len(found))
	}
	return text, data, wrong, nil
}

// split splits the data of a ConfigMap into strings and other values, which are wrong.
func split(all map[string]any) (data map[string]string, wrong map[string]any) {
	data, wrong = map[string]string{}, map[string]any{}
	for key, value := range all {
		switch value := value.(type) {
		case string:
			data[key] = value
		case nil:
			data[key] = "" // as for the API server
		default:
			wrong[key] = value
		}
	}
	return data, wrong
}

// documents splits a manifest at the lines "---". Before each document stand as many empty
// lines as there are lines before it in the manifest.
func documents(manifest string) []string {
	var list []string
	var b strings.Builder
	n := 0
	for line := range strings.Lines(manifest) {
		if strings.TrimRight(line, " \t\r\n") == "---" {
			list = append(list, b.String())
			b.Reset()
			b.WriteString(strings.Repeat("\n", n))
			line = "\n"
		}
		b.WriteString(line)
		n++
	}
	return append(list, b.String())
}

// lineOf returns the line number in a manifest of a line in the value of a key; line counts
// from 1. If the value is a block, it returns the number of that line itself. Otherwise, it
// returns the number of the line with the key and, unless line is 1, the words "line N of the
// value". If the key is missing, it returns 1.
func lineOf(manifest, key string, line int) string {
	at := regexp.MustCompile(`(^|[\s,{])["']?` + regexp.QuoteMeta(key) + `["']?\s*:`)
	block := regexp.MustCompile(`:\s*[|>][-+0-9]*\s*(#.*)?$`)
	data := regexp.MustCompile(`(^|[\s,{])["']?data["']?\s*:`)
	n, found, inData := 0, 1, false
	for text := range strings.Lines(manifest) {
		n++
		text = strings.TrimRight(text, "\r\n")
		inData = inData || data.MatchString(text)
		if !inData || !at.MatchString(text) {
			continue
		}
		if block.MatchString(text) {
			return strconv.Itoa(n + line)
		}
		found = n
		break
	}
	if line == 1 {
		return strconv.Itoa(found)
	}
	return fmt.Sprintf("%d (line %d of the value)", found, line)
}

// report prints the effect and the faults of a ConfigMap, and returns the exit code. place
// returns the line number in the manifest of a line in the value of a key.
func report(data map[string]string, place func(key string, line int) string, out io.Writer) int {
	code := explain.ExitAnswer
	for _, key := range slices.Sorted(maps.Keys(data)) {
		_, err := dnsconfig.Parse(map[string]string{key: data[key]})
		if err == nil {
			continue
		}
		code = 1
		offset := 0
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			offset = int(syntax.Offset)
		} else if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			offset = int(wrong.Offset)
		}
		line := 1 + strings.Count(data[key][:min(max(offset-1, 0), len(data[key]))], "\n")
		where := explain.Line(place(key, line))
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

// reportAutopath prints the effect of the keys about search lists of clients.
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
