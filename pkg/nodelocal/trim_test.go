package nodelocal

import (
	"os"
	"slices"
	"strings"
	"testing"
)

const smaps = `00400000-00800000 r-xp 00000000 08:01 7 /dnscache
Size:               4096 kB
Rss:                4000 kB
Anonymous:             0 kB
00800000-00c00000 r--p 00400000 08:01 7 /dnscache (deleted)
Anonymous:             0 kB
00c00000-00d00000 r--p 00800000 08:01 7 /relocated
Anonymous:             4 kB
00d00000-00e00000 rw-p 00900000 08:01 7 /dnscache
Anonymous:             0 kB
00e00000-00f00000 rw-p 00000000 00:00 0
Anonymous:             0 kB
c000000000-c000400000 r--p 00000000 00:00 0
Anonymous:             0 kB
7ffd0000-7ffd2000 r-xp 00000000 00:00 0 [vdso]
Anonymous:             0 kB
nonsense
Anonymous:             0 kB
`

// Only pages that can be read from a file again are unmapped.
func TestUnchangedFiles(t *testing.T) {
	want := []mapping{{0x400000, 0x800000}, {0x800000, 0xc00000}}
	if got := unchangedFiles(strings.NewReader(smaps)); !slices.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Skip(err)
	}
	defer f.Close()
	if len(unchangedFiles(f)) == 0 {
		t.Error("this program's own file is not found")
	}
}
