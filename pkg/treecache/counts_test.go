package treecache

import (
	"testing"
)

// What is counted follows every change, and is nothing again at the end.
func TestCounts(t *testing.T) {
	tree := newTree(t)
	web := spec(t, "web.default", ClusterIP).hosts("10.96.0.1", "2001:db8::1").port("http", TCP, 80).port("dns", UDP, 53)
	db := spec(t, "db.default", Headless).hosts("10.0.0.1", "10.0.0.2=pet", "10.0.0.3=pet").port("pg", TCP, 5432, 0, 1, 2).port("x", TCP, 1, 0)
	small := spec(t, "db.default", Headless).hosts("10.0.0.1")
	ext := spec(t, "db.default", ExternalName).alias("example.com")
	for _, step := range []struct {
		name string
		do   func()
		want Counts
	}{
		{"empty", func() {}, Counts{}},
		{"ClusterIP", func() { tree.Replace(NewSet(web)) }, Counts{Owners: 1, Addresses: 2, Services: 2, Reverse: 2}},
		{"headless", func() { tree.Replace(NewSet(db)) }, Counts{Owners: 2, Addresses: 5, Services: 5, Reverse: 5}},
		{"the same again", func() { tree.Replace(NewSet(db)) }, Counts{Owners: 2, Addresses: 5, Services: 5, Reverse: 5}},
		{"fewer endpoints", func() { tree.Replace(NewSet(small)) }, Counts{Owners: 2, Addresses: 3, Services: 2, Reverse: 3}},
		{"external name", func() { tree.Replace(NewSet(ext)) }, Counts{Owners: 2, Addresses: 2, Services: 2, Aliases: 1, Reverse: 2}},
		{"removed", func() { tree.Apply(Change{Path: web.Path}); tree.Apply(Change{Path: db.Path}) }, Counts{}},
	} {
		step.do()
		if got := tree.Snapshot().Counts(); got != step.want {
			t.Errorf("%s: %+v, want %+v", step.name, got, step.want)
		}
	}
}
