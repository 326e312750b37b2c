package transport

import (
	"math/rand/v2"
	"testing"
)

func TestIDTable(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	var table idTable
	twin := map[uint16]*Call{}
	for range 20000 {
		id := uint16(random.IntN(300)) * 251 // clusters
		a := twin[id]
		if got := table.get(id); got != a {
			t.Fatalf("get %d: %p, want %p", id, got, a)
		}
		if a == nil {
			a = &Call{id: id}
			table.addCall(a)
			twin[id] = a
		} else {
			if !table.remove(a) || table.remove(a) {
				t.Fatalf("removing %d", id)
			}
			delete(twin, id)
		}
		if table.count != len(twin) {
			t.Fatalf("%d entries, want %d", table.count, len(twin))
		}
	}
	if n := len(table.takeAll(nil)); n != len(twin) || table.count != 0 {
		t.Errorf("took %d of %d, %d are left", n, len(twin), table.count)
	}
}
