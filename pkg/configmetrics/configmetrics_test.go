package configmetrics

import (
	"errors"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// A rejected content shows until one is accepted.
func TestMetrics(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	m := New(registry, "x_")
	check := func(accepted, rejected, valid string) {
		t.Helper()
		want := `# HELP x_config_loads_total New versions of the ConfigMap or the configuration directory, by result.
# TYPE x_config_loads_total counter
x_config_loads_total{result="accepted"} ` + accepted + `
x_config_loads_total{result="rejected"} ` + rejected + `
# HELP x_config_valid 0 while the newest configuration is rejected and the previous one is kept, otherwise 1.
# TYPE x_config_valid gauge
x_config_valid ` + valid + "\n"
		if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "x_config_loads_total", "x_config_valid"); err != nil {
			t.Error(err)
		}
	}
	check("0", "0", "1")
	m.Result(errors.New("bad"))
	check("0", "1", "0")
	m.Result(nil)
	check("1", "1", "1")
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}
