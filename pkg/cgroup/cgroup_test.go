package cgroup

import (
	"testing"
	"testing/fstest"
)

func TestMemoryLimit(t *testing.T) {
	const v2, v1 = "sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes"
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  int64
	}{
		{"no control groups", nil, 0},
		{"version 2", map[string]string{v2: "178257920\n"}, 178257920},
		{"version 2 without limit", map[string]string{v2: "max\n"}, 0},
		{"version 1", map[string]string{v1: "178257920\n"}, 178257920},
		{"version 1 without limit", map[string]string{v1: "9223372036854771712\n"}, 0},
		{"both", map[string]string{v2: "1000000\n", v1: "2000000\n"}, 1000000},
		{"nonsense", map[string]string{v2: "-5\n"}, 0},
		{"empty", map[string]string{v2: ""}, 0},
	} {
		root := fstest.MapFS{}
		for path, content := range tt.files {
			root[path] = &fstest.MapFile{Data: []byte(content)}
		}
		got, limited := MemoryLimit(root)
		if got != tt.want || limited != (tt.want > 0) {
			t.Errorf("%s: %d, %v; want %d", tt.name, got, limited, tt.want)
		}
	}
}

func TestShare(t *testing.T) {
	if got := Share(80); got != 70 {
		t.Errorf("got %d, want 70", got)
	}
}
