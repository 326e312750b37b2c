package treecache

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

func TestWriteJSON(t *testing.T) {
	tree := newTree(t,
		spec(t, "web.default", ClusterIP).hosts("10.96.0.10", "2001:db8::1").
			port("http", TCP, 80).port("dns", UDP, 53).port("admin", TCP, 81),
		spec(t, "hl.default", Headless).hosts("10.0.0.1", "10.0.1.1=same", "10.0.1.2=same").
			port("p", SCTP, 7).port("two", TCP, 1, 0, 1).port("two", TCP, 2, 0, 1),
		spec(t, "ext.default", ExternalName).alias("Ext.example.com"),
		spec(t, "ip.names", ExternalName).hosts("192.0.2.9"),
	)
	const want = `{
	"ChildNodes": {
		"local": {
			"ChildNodes": {
				"cluster": {
					"ChildNodes": {
						"svc": {
							"ChildNodes": {
								"default": {
									"ChildNodes": {
										"hl": {
											"ChildNodes": {
												"_sctp": {
													"ChildNodes": {
														"_p": {
															"ChildNodes": {},
															"Entries": {
																"3234633364383235": {"host":"3234633364383235.hl.default.svc.cluster.local.","port":7,"priority":10,"weight":10,"ttl":30},
																"same": {"host":"same.hl.default.svc.cluster.local.","port":7,"priority":10,"weight":10,"ttl":30}
															}
														}
													},
													"Entries": {}
												},
												"_tcp": {
													"ChildNodes": {
														"_two": {
															"ChildNodes": {},
															"Entries": {
																"3234633364383235": {"host":"3234633364383235.hl.default.svc.cluster.local.","port":1,"priority":10,"weight":10,"ttl":30},
																"3234633364383235 2": {"host":"3234633364383235.hl.default.svc.cluster.local.","port":2,"priority":10,"weight":10,"ttl":30},
																"same": {"host":"same.hl.default.svc.cluster.local.","port":1,"priority":10,"weight":10,"ttl":30},
																"same 2": {"host":"same.hl.default.svc.cluster.local.","port":2,"priority":10,"weight":10,"ttl":30}
															}
														}
													},
													"Entries": {}
												}
											},
											"Entries": {
												"3234633364383235": {"host":"10.0.0.1","priority":10,"weight":10,"ttl":30},
												"same": {"host":"10.0.1.1","priority":10,"weight":10,"ttl":30},
												"same 10.0.1.2": {"host":"10.0.1.2","priority":10,"weight":10,"ttl":30}
											}
										},
										"web": {
											"ChildNodes": {
												"_tcp": {
													"ChildNodes": {
														"_admin": {
															"ChildNodes": {},
															"Entries": {
																"3537393061303264": {"host":"web.default.svc.cluster.local.","port":81,"priority":10,"weight":10,"ttl":30},
																"6464633335393634": {"host":"web.default.svc.cluster.local.","port":81,"priority":10,"weight":10,"ttl":30}
															}
														},
														"_http": {
															"ChildNodes": {},
															"Entries": {
																"3537393061303264": {"host":"web.default.svc.cluster.local.","port":80,"priority":10,"weight":10,"ttl":30},
																"6464633335393634": {"host":"web.default.svc.cluster.local.","port":80,"priority":10,"weight":10,"ttl":30}
															}
														}
													},
													"Entries": {}
												},
												"_udp": {
													"ChildNodes": {
														"_dns": {
															"ChildNodes": {},
															"Entries": {
																"3537393061303264": {"host":"web.default.svc.cluster.local.","port":53,"priority":10,"weight":10,"ttl":30},
																"6464633335393634": {"host":"web.default.svc.cluster.local.","port":53,"priority":10,"weight":10,"ttl":30}
															}
														}
													},
													"Entries": {}
												}
											},
											"Entries": {
												"3537393061303264": {"host":"2001:db8::1","priority":10,"weight":10,"ttl":30},
												"6464633335393634": {"host":"10.96.0.10","priority":10,"weight":10,"ttl":30}
											}
										}
									},
									"Entries": {
										"ext": {"host":"Ext.example.com","priority":10,"weight":10,"ttl":30}
									}
								},
								"names": {
									"ChildNodes": {},
									"Entries": {
										"ip": {"host":"192.0.2.9","priority":10,"weight":10,"ttl":30}
									}
								}
							},
							"Entries": {}
						}
					},
					"Entries": {}
				}
			},
			"Entries": {}
		}
	},
	"Entries": {}
}
`
	if diff := cmp.Diff(want, dump(t, tree)); diff != "" {
		t.Error(diff)
	}
	if !json.Valid([]byte(want)) {
		t.Error("the golden text is not JSON")
	}
}

func TestWriteJSONEmpty(t *testing.T) {
	want := strings.Join([]string{
		"{", `	"ChildNodes": {`, `		"local": {`, `			"ChildNodes": {`, `				"cluster": {`,
		`					"ChildNodes": {},`, `					"Entries": {}`, "				}", "			},", `			"Entries": {}`,
		"		}", "	},", `	"Entries": {}`, "}", "",
	}, "\n")
	if diff := cmp.Diff(want, dump(t, newTree(t))); diff != "" {
		t.Error(diff)
	}
}

// Several zones are one tree, with multi-cluster Services as they can be asked for.
func TestWriteJSONSeveralZones(t *testing.T) {
	set := New(dnsname.MustParse("clusterset.local"))
	set.Replace(NewSet(spec(t, "web.default", ClusterSetIP).hosts("10.96.0.10").port("http", TCP, 80).port("", TCP, 81)))
	set.Replace(NewSet(spec(t, "new.default", ClusterSetIP)))
	set.Replace(NewSet(spec(t, "hl.default", ClusterSetHeadless).hosts("10.0.0.1=c1.pod-0", "10.0.0.2=reg.c2.pod-0", "10.0.0.3").port("p", UDP, 7, 0, 1)))
	other := New(dnsname.MustParse("example"))
	other.Replace(NewSet(spec(t, "ext.default", ExternalName).alias("example.com")))
	var b strings.Builder
	if err := WriteJSON(&b, set.Snapshot(), newTree(t).Snapshot(), other.Snapshot()); err != nil {
		t.Fatal(err)
	}
	type node struct {
		ChildNodes map[string]*node
		Entries    map[string]jsonRecord
	}
	var top node
	d := json.NewDecoder(strings.NewReader(b.String()))
	d.DisallowUnknownFields()
	if err := d.Decode(&top); err != nil {
		t.Fatal(err)
	}
	var got []string
	var walk func(path string, n *node)
	walk = func(path string, n *node) {
		for label, kid := range n.ChildNodes {
			walk(label+" "+path, kid)
		}
		for label, r := range n.Entries {
			got = append(got, fmt.Sprintf("%s| %s %s:%d", path, label, r.Host, r.Port))
		}
		if len(n.ChildNodes)+len(n.Entries) == 0 {
			got = append(got, path)
		}
	}
	walk("", &top)
	slices.Sort(got)
	want := []string{
		"_http _tcp web default svc clusterset local | 6464633335393634 web.default.svc.clusterset.local.:80",
		"_p _udp hl default svc clusterset local | pod-0.c1 pod-0.c1.hl.default.svc.clusterset.local.:7",
		"_p _udp hl default svc clusterset local | pod-0.c2.reg pod-0.c2.reg.hl.default.svc.clusterset.local.:7",
		"cluster local ",
		"default svc example | ext example.com:0",
		"hl default svc clusterset local | " + HashLabel(netip.MustParseAddr("10.0.0.3")) + " 10.0.0.3:0",
		"hl default svc clusterset local | pod-0.c1 10.0.0.1:0",
		"hl default svc clusterset local | pod-0.c2.reg 10.0.0.2:0",
		"new default svc clusterset local ",
		"web default svc clusterset local | 6464633335393634 10.96.0.10:0",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// fullWriter takes n octets, then fails.
type fullWriter struct{ left int }

var errFull = errors.New("full")

func (w *fullWriter) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestWriteJSONError(t *testing.T) {
	s := spec(t, "hl.default", Headless)
	for i := range 250 {
		s.Hosts = append(s.Hosts, SetHost{Addr: addr4(i)})
	}
	tree := newTree(t, s)
	for _, room := range []int{0, 5000} {
		if err := WriteJSON(&fullWriter{room}, tree.Snapshot()); !errors.Is(err, errFull) {
			t.Errorf("with room for %d octets: %v, want %v", room, err, errFull)
		}
	}
}
