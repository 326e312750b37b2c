package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	"sigs.k8s.io/yaml"

	"github.com/kube-dns/kube-dns/test/conformance"
	"github.com/kube-dns/kube-dns/test/outside"
)

// TestConformance asks the rows of test/conformance of a kubedns that has the objects from a
// real API server. Objects that such a server refuses are left out.
func TestConformance(t *testing.T) {
	for _, tt := range []struct {
		table, ranges string
		args          []string
		refused       []string // objects that the API server does not take
		filled        []string // objects that it completes, so that their rows differ
	}{
		{table: "spec", ranges: "10.3.0.0/16,2001:db8::/64"},
		{
			table: "kubedns", ranges: "10.96.0.0/16,2001:db8::/64", args: []string{"--federations=myfed=example.com"},
			refused: []string{"default/noports"}, filled: []string{"default/emptyip"},
		},
		{
			table: "coredns", ranges: "10.96.0.0/12,2001:db8:1::/112",
			refused: []string{"prod/noports", "prod/ext-up", "prod/1st", "testns/svc1", "testns/svc6", "testns/svcempty", "test-1/svc-1-a"},
			filled:  []string{"prod/pending"},
		},
	} {
		t.Run(tt.table, func(t *testing.T) {
			server, stop, err := outside.Serve("127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer stop()
			folder := filepath.Join("../conformance/testdata", tt.table)
			c := newCluster(t)
			c.args = append(c.args, "--service-cluster-ip-range="+tt.ranges)
			c.startAPI(t)
			c.addon(t)
			c.apply(t, configRights)
			c.bind(t, "config", user)
			refused := c.applyAll(t, filepath.Join(folder, "objects.yaml"))
			if diff := cmp.Diff(tt.refused, refused); diff != "" {
				t.Errorf("refused objects (-want +got):\n%s", diff)
			}
			d := c.startKubeDNS(t, user, append(tt.args, "--nameservers="+server)...)
			d.waitReady(t)
			d.rows(t, filepath.Join(folder, "rows.md"), slices.Concat(refused, tt.filled))
			d.end(t)
		})
	}
}

// applyAll applies the objects of a file, in their namespaces, and returns
// those that the API server refuses as invalid.
func (c *cluster) applyAll(t *testing.T, file string) (refused []string) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	// The API server creates this Service itself, with the first address of its range; one of
	// the tables adds to it.
	eventually(t, time.Minute, func() bool {
		status, _, err := c.do(t, http.MethodGet, "/api/v1/namespaces/default/services/kubernetes", "", nil)
		return err == nil && status == http.StatusOK
	}, func() string { return "no Service kubernetes" })
	made := map[string]bool{"": true, "default": true}
	for text := range strings.SplitSeq(string(content), "\n---\n") {
		var head struct {
			Metadata struct{ Name, Namespace string }
		}
		if err := yaml.Unmarshal([]byte(text), &head); err != nil {
			t.Fatal(err)
		}
		if ns := head.Metadata.Namespace; !made[ns] {
			made[ns] = true
			c.apply(t, "{apiVersion: v1, kind: Namespace, metadata: {name: "+ns+"}}")
		}
		var status int
		var reply string
		eventually(t, time.Minute, func() bool {
			status, reply, err = c.do(t, http.MethodPatch, path(t, text)+"?fieldManager=e2e&force=true", "application/apply-patch+yaml", []byte(text))
			return err == nil && (status/100 == 2 || status == http.StatusUnprocessableEntity)
		}, func() string { return reply })
		if status == http.StatusUnprocessableEntity {
			t.Logf("refused: %s", reply)
			refused = append(refused, head.Metadata.Namespace+"/"+head.Metadata.Name)
		}
	}
	return refused
}

// mentions reports whether a row asks for a name of object, which is given as
// namespace/name, or has one in its answer.
func mentions(row *conformance.Row, object string) bool {
	namespace, name, _ := strings.Cut(object, "/")
	full := name + "." + namespace + "." + zone
	return strings.HasSuffix(strings.ToLower(row.Name), full) ||
		slices.ContainsFunc(slices.Concat(row.Answer, row.Extra), func(record string) bool { return strings.Contains(record, full) })
}

// rows asks all rows of a table but those about left-out objects, over UDP and
// TCP.
func (d *kubedns) rows(t *testing.T, file string, leftOut []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := conformance.ParseRows(string(text))
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	for _, row := range rows {
		if slices.ContainsFunc(leftOut, func(object string) bool { return mentions(&row, object) }) {
			continue
		}
		asked++
		for _, network := range []string{"udp", "tcp"} {
			q := new(dns.Msg).SetQuestion(row.Name, row.Type)
			q.SetEdns0(1232, false)
			var diff string
			eventually(t, time.Minute, func() bool {
				m, _, err := (&dns.Client{Net: network, Timeout: 20 * time.Second}).Exchange(q, d.addr)
				if err != nil {
					diff = err.Error()
					return false
				}
				diff = row.Diff(m, false)
				return diff == ""
			}, func() string {
				return "row " + row.ID + ": " + row.Name + " " + dns.TypeToString[row.Type] + " over " + network + ": " + diff
			})
		}
	}
	t.Logf("%d rows", asked)
}
