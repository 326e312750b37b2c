package monitoring

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/kube-dns/kube-dns/test/addon"
)

// folder returns the folder with the tested files.
func folder() string { return filepath.Join(addon.Root(), "manifests", "monitoring") }

// rule is one alert, or one recording rule.
type rule struct {
	Alert       string            `json:"alert"`
	Record      string            `json:"record"`
	Expr        string            `json:"expr"`
	For         string            `json:"for"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

// groups is a rule file, or the spec of a PrometheusRule.
type groups struct {
	Groups []struct {
		Name  string `json:"name"`
		Rules []rule `json:"rules"`
	} `json:"groups"`
}

// load reads a YAML file of the folder, refusing unknown fields.
func load[T any](t *testing.T, name string) T {
	t.Helper()
	var v T
	text, err := os.ReadFile(filepath.Join(folder(), name))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict(text, &v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return v
}

// rules returns all rules of the plain file.
func rules(t *testing.T) []rule {
	t.Helper()
	var all []rule
	for _, g := range load[groups](t, "rules.yaml").Groups {
		all = append(all, g.Rules...)
	}
	if len(all) == 0 {
		t.Fatal("rules.yaml holds no rules")
	}
	return all
}

// panel is a panel of the dashboard, or a row.
type panel struct {
	ID          int    `json:"id"`
	Type        string `json:"type"`
	Title       string `json:"title"`
	Description string `json:"description"`
	GridPos     struct{ H, W, X, Y int }
	Targets     []struct {
		Expr         string `json:"expr"`
		LegendFormat string `json:"legendFormat"`
	} `json:"targets"`
	FieldConfig struct {
		Defaults struct {
			Unit string `json:"unit"`
		} `json:"defaults"`
	} `json:"fieldConfig"`
}

func panels(t *testing.T) []panel {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder(), "dashboard.json"))
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct{ Panels []panel }
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	if len(dashboard.Panels) == 0 {
		t.Fatal("dashboard.json holds no panels")
	}
	return dashboard.Panels
}

// need returns the path of a program of the Debian package prometheus.
func need(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("%s is missing: ./hack/apt.sh %s=prometheus", program, program)
	}
	return path
}

// The Prometheus operator gets the same rules as a plain Prometheus.
func TestRulesAreEqual(t *testing.T) {
	operator := load[struct {
		APIVersion string         `json:"apiVersion"`
		Kind       string         `json:"kind"`
		Metadata   map[string]any `json:"metadata"`
		Spec       groups         `json:"spec"`
	}](t, "prometheusrule.yaml")
	if diff := cmp.Diff(load[groups](t, "rules.yaml"), operator.Spec); diff != "" {
		t.Errorf("rules.yaml and prometheusrule.yaml differ (-rules +prometheusrule):\n%s", diff)
	}
}

// promtool runs the tests of the rules. In them, each alert fires at least once, and does not
// fire at least once.
func TestRules(t *testing.T) {
	promtool := need(t, "promtool")
	for _, args := range [][]string{{"check", "rules", "rules.yaml"}, {"test", "rules", "rules_test.yaml"}} {
		cmd := exec.CommandContext(t.Context(), promtool, args...)
		cmd.Dir = folder()
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, out)
		}
	}
	fires, quiet := map[string]bool{}, map[string]bool{}
	for _, test := range load[ruleTests](t, "rules_test.yaml").Tests {
		for _, a := range test.Alerts {
			if len(a.Alerts) == 0 {
				quiet[a.Name] = true
			} else {
				fires[a.Name] = true
			}
		}
	}
	for _, r := range rules(t) {
		if r.Alert != "" && (!fires[r.Alert] || !quiet[r.Alert]) {
			t.Errorf("rules_test.yaml does not have %s both firing and quiet", r.Alert)
		}
	}
}

// ruleTests is promtool's format.
type ruleTests struct {
	Files    []string `json:"rule_files"`
	Interval string   `json:"evaluation_interval"`
	Tests    []struct {
		Name     string              `json:"name"`
		Interval string              `json:"interval"`
		Series   []map[string]string `json:"input_series"`
		Alerts   []struct {
			Time   string           `json:"eval_time"`
			Name   string           `json:"alertname"`
			Alerts []map[string]any `json:"exp_alerts"`
		} `json:"alert_rule_test"`
	} `json:"tests"`
}

// Each alert says what it means, how bad it is, and where its runbook is.
func TestAlertsAreExplained(t *testing.T) {
	const runbooks = "https://github.com/kube-dns/kube-dns/blob/main/docs/operations.md#"
	seen := map[string]bool{}
	for _, r := range rules(t) {
		if r.Alert == "" {
			continue
		}
		if seen[r.Alert] {
			t.Errorf("there are two alerts %s", r.Alert)
		}
		seen[r.Alert] = true
		switch r.Labels["severity"] {
		case "critical", "warning", "info":
		default:
			t.Errorf("%s: severity %q", r.Alert, r.Labels["severity"])
		}
		if r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
			t.Errorf("%s has no summary or description", r.Alert)
		}
		if want := runbooks + strings.ToLower(r.Alert); r.Annotations["runbook_url"] != want {
			t.Errorf("%s: runbook_url %q, want %q", r.Alert, r.Annotations["runbook_url"], want)
		}
	}
}

// Panels do not overlap, and each says what it shows.
func TestDashboardIsLaidOut(t *testing.T) {
	taken, ids := map[[2]int]string{}, map[int]bool{}
	for _, p := range panels(t) {
		if ids[p.ID] {
			t.Errorf("two panels have the id %d", p.ID)
		}
		ids[p.ID] = true
		if p.Type != "row" && (p.Description == "" || len(p.Targets) == 0 || p.FieldConfig.Defaults.Unit == "") {
			t.Errorf("%s has no description, query or unit", p.Title)
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other, ok := taken[[2]int{x, y}]; ok || x >= 24 {
					t.Fatalf("%s lies over %q or outside the grid", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
}
