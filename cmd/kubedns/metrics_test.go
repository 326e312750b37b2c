package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

// families returns what a page of metrics has, as "type name{labels}", the
// families of the Go runtime, the process and the page itself left out.
func families(page string) []string {
	types := map[string]string{}
	var out []string
	for line := range strings.Lines(page) {
		if rest, ok := strings.CutPrefix(line, "# TYPE "); ok {
			name, typ, _ := strings.Cut(strings.TrimSpace(rest), " ")
			types[name] = typ
			continue
		}
		if strings.HasPrefix(line, "#") {
			continue
		}
		name, rest, labelled := strings.Cut(strings.TrimSpace(line), "{")
		if !labelled {
			name, _, _ = strings.Cut(name, " ")
		}
		labels, _, _ := strings.Cut(rest, "} ")
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			if base, ok := strings.CutSuffix(name, suffix); ok && types[base] == "histogram" {
				name = base
			}
		}
		var keys []string
		for pair := range strings.SplitSeq(labels, ",") {
			if key, _, ok := strings.Cut(pair, "="); ok && key != "le" {
				keys = append(keys, key)
			}
		}
		out = append(out, types[name]+" "+name+"{"+strings.Join(keys, ",")+"}")
	}
	slices.Sort(out)
	return slices.DeleteFunc(slices.Compact(out), func(s string) bool {
		_, name, _ := strings.Cut(s, " ")
		return strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_") || strings.HasPrefix(name, "promhttp_")
	})
}

// The names and labels are an interface: dashboards and alerts use them.
func TestMetricFamilies(t *testing.T) {
	p := newProgram(t, "--objects="+writeFile(t, "objects.yaml", objects), "--nameservers=127.0.0.1:1").start()
	p.awaitReady()
	_, page := p.get(p.prom, "/metrics")
	want := []string{
		"counter kubedns_answers_total{rcode,source}",
		"counter kubedns_autopath_completed_total{candidate}",
		"counter kubedns_autopath_not_completed_total{reason}",
		"counter kubedns_config_loads_total{result}",
		"counter kubedns_forward_queries_total{result}",
		"counter kubedns_forward_server_failures_total{server}",
		"counter kubedns_forward_server_nxdomain_total{server}",
		"counter kubedns_forward_server_queries_total{server}",
		"counter kubedns_forward_server_retries_total{server}",
		"counter kubedns_forward_wrong_replies_total{}",
		"counter kubedns_kubernetes_lists_total{resource}",
		"counter kubedns_kubernetes_rebuilds_total{}",
		"counter kubedns_kubernetes_request_failures_total{resource}",
		"counter kubedns_socket_dropped_total{reason}",
		"counter kubedns_socket_queries_total{protocol}",
		"counter kubedns_socket_replies_total{protocol}",
		"counter skydns_skydns_dns_cachemiss_count_total{cache}",
		"counter skydns_skydns_dns_error_count_total{cause,system}",
		"counter skydns_skydns_dns_panic_count_total{}",
		"counter skydns_skydns_dns_request_count_total{system}",
		"gauge kubedns_build_info{goversion,version}",
		"gauge kubedns_config_last_accepted_timestamp_seconds{}",
		"gauge kubedns_config_valid{}",
		"gauge kubedns_forward_in_flight{}",
		"gauge kubedns_forward_server_down{server}",
		"gauge kubedns_kubernetes_connected{resource}",
		"gauge kubedns_kubernetes_last_heard_timestamp_seconds{resource}",
		"gauge kubedns_kubernetes_objects{kind}",
		"gauge kubedns_kubernetes_skipped_pieces{}",
		"gauge kubedns_kubernetes_synced{}",
		"gauge kubedns_records{kind}",
		"gauge kubedns_services_with_records{}",
		"gauge kubedns_socket_tcp_connections{}",
		"histogram kubedns_forward_server_latency_seconds{server}",
		"histogram kubedns_kubernetes_change_seconds{}",
		"histogram kubedns_kubernetes_dns_programming_duration_seconds{service_kind}",
		"histogram skydns_skydns_dns_request_duration_seconds{system}",
		"histogram skydns_skydns_dns_response_size_bytes{system}",
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, families(page)); diff != "" {
		t.Errorf("families (-want +got):\n%s", diff)
	}
	for _, line := range []string{
		`kubedns_services_with_records 1`, `kubedns_records{kind="address"} 1`, `kubedns_records{kind="service"} 1`,
		`kubedns_records{kind="reverse"} 1`, `kubedns_config_valid 1`, `kubedns_forward_server_down{server="127.0.0.1:1"} 0`,
	} {
		if !strings.Contains(page, line+"\n") {
			t.Errorf("no %s", line)
		}
	}
	documented, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range want {
		_, name, _ := strings.Cut(family, " ")
		name, _, _ = strings.Cut(name, "{")
		if !strings.Contains(string(documented), "`"+name+"`") {
			t.Errorf("docs/metrics.md does not have %s", name)
		}
	}
}

// What becomes of the configuration shows, bad content until it is good again.
func TestConfigMetrics(t *testing.T) {
	dir := t.TempDir()
	write := func(text string) { // all at once, so that no empty file is read
		if err := os.Rename(writeFile(t, "federations", text), filepath.Join(dir, "federations")); err != nil {
			t.Fatal(err)
		}
	}
	write("a=example.com")
	p := newProgram(t, "--objects="+writeFile(t, "objects.yaml", objects), "--nameservers=none", "--config-dir="+dir, "--config-period=10ms").start()
	p.awaitReady()
	awaitLines := func(what string, lines ...string) {
		t.Helper()
		p.await(what, func() bool {
			_, page := p.get(p.prom, "/metrics")
			return !slices.ContainsFunc(lines, func(line string) bool { return !strings.Contains(page, line+"\n") })
		})
	}
	awaitLines("accepted", `kubedns_config_loads_total{result="accepted"} 1`, `kubedns_config_loads_total{result="rejected"} 0`, "kubedns_config_valid 1")
	write("nonsense")
	awaitLines("rejected", `kubedns_config_loads_total{result="accepted"} 1`, `kubedns_config_loads_total{result="rejected"} 1`, "kubedns_config_valid 0")
	p.await("the last good one still in force", func() bool {
		got, err := p.ask("udp", "web.default.a.svc.cluster.local.", dns.TypeCNAME)
		return err == nil && got == "NOERROR web.default.a.svc.z1.r1.example.com."
	})
	write("b=example.com")
	awaitLines("accepted again", `kubedns_config_loads_total{result="accepted"} 2`, "kubedns_config_valid 1")
}
