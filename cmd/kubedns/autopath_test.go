package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

const searchObjects = objects + `---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: prod}
spec:
  clusterIP: 10.96.0.11
  clusterIPs: [10.96.0.11]
  ports: [{name: http, port: 80, protocol: TCP}]
`

const searched = "web.prod.default.svc.cluster.local."

// asked returns what the program says about a name of the search list.
func (p *program) asked() string {
	got, _ := p.ask("udp", searched, dns.TypeA)
	return got
}

func TestAutopathFlag(t *testing.T) {
	file := writeFile(t, "objects.yaml", searchObjects)
	for flag, want := range map[string]string{"": "NXDOMAIN", "--autopath=off": "NXDOMAIN", "--autopath=cluster": "10.96.0.11"} {
		args := []string{"--objects=" + file, "--nameservers=none"}
		if flag != "" {
			args = append(args, flag)
		}
		p := newProgram(t, args...).start()
		p.awaitReady()
		if got := p.asked(); !strings.Contains(got, want) {
			t.Errorf("%q: %q, want %q", flag, got, want)
		}
		_, text := p.get(p.readiness, "/readiness?verbose")
		_, page := p.get(p.prom, "/metrics")
		on := want != "NXDOMAIN"
		if strings.Contains(text, "autopath: cluster\n") != on {
			t.Errorf("%q: %s", flag, text)
		}
		count := "0"
		if on {
			count = "1"
		}
		if line := `kubedns_autopath_completed_total{candidate="svc"} ` + count + "\n"; !strings.Contains(page, line) {
			t.Errorf("%q: no %s in %s", flag, line, page)
		}
	}
}

func TestAutopathRefusesOtherModes(t *testing.T) {
	p := newProgram(t, "--objects="+writeFile(t, "objects.yaml", searchObjects), "--autopath=some").start()
	p.awaitExit(exitUsage)
	if log := p.log.String(); !strings.Contains(log, `--autopath=some: "some" is not a mode; use "off", "cluster" or "all"`) {
		t.Error(log)
	}
}

// The configuration goes before the flag, changes it while the program runs, and does
// nothing if it is wrong.
func TestAutopathConfiguration(t *testing.T) {
	key := writeFile(t, "autopath", "off")
	p := newProgram(t, "--objects="+writeFile(t, "objects.yaml", searchObjects), "--nameservers=none", "--autopath=cluster",
		"--config-dir="+filepath.Dir(key), "--config-period=10ms").start()
	p.awaitReady()
	if got := p.asked(); got != "NXDOMAIN" {
		t.Errorf("the configuration does not go before the flag: %q", got)
	}
	write := func(text string) {
		if err := os.WriteFile(key+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(key+".new", key); err != nil {
			t.Fatal(err)
		}
	}
	write("cluster\n")
	p.await("switched on", func() bool { return strings.Contains(p.asked(), "10.96.0.11") })
	write("some")
	p.await("an error", func() bool { return strings.Contains(p.log.String(), `key autopath: \"some\" is not a mode`) })
	if got := p.asked(); !strings.Contains(got, "10.96.0.11") {
		t.Errorf("a wrong value does not leave the last one: %q", got)
	}
	write("off")
	p.await("switched off", func() bool { return p.asked() == "NXDOMAIN" })
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	p.await("the flag again", func() bool { return strings.Contains(p.asked(), "10.96.0.11") })
}

// The ConfigMap is another form of the configuration.
func TestAutopathConfigMap(t *testing.T) {
	text := strings.Replace(searchObjects, `data: {federations: "other=example.org"}`, `data: {autopath: cluster}`, 1)
	p := newProgram(t, "--objects="+writeFile(t, "objects.yaml", text), "--nameservers=none", "--config-map=kube-dns").start()
	p.awaitReady()
	p.await("completion", func() bool { return strings.Contains(p.asked(), "10.96.0.11") })
}

// explain says that autopath made the answer, and to which name it leads.
func TestAutopathExplained(t *testing.T) {
	const other = "---\napiVersion: v1\nkind: Service\nmetadata: {name: api, namespace: prod}\nspec: {clusterIP: 10.96.0.77}\n"
	file := writeFile(t, "objects.yaml", objects+"\n"+other)
	const want = "the name does not exist, and autopath completes it: api.prod.svc.cluster.local. is"
	for mode, completed := range map[string]bool{"cluster": true, "off": false} {
		code, out := explainCommand(t, "api.prod", "--objects="+file, "--nameservers=none", "--autopath="+mode)
		if code != 0 || strings.Contains(out, want) != completed || strings.Contains(out, "Similar names") {
			t.Errorf("autopath %s: %d %s", mode, code, out)
		}
	}
	if code, out := explainCommand(t, "api.prod", "AAAA", "--objects="+file, "--nameservers=none", "--autopath=cluster"); code != 4 || !strings.Contains(out, want) ||
		strings.Contains(out, "  api.prod.svc.cluster.local.\n\nThe objects") {
		t.Errorf("AAAA: %d %s", code, out)
	}
}
