package treecache

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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
		if err := tree.Snapshot().WriteJSON(&fullWriter{room}); !errors.Is(err, errFull) {
			t.Errorf("with room for %d octets: %v, want %v", room, err, errFull)
		}
	}
}
