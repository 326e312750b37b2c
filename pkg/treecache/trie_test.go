package treecache

import (
	"maps"
	"math/rand/v2"
	"testing"
)

// hashes for the trie: good, poor (a few bits, at both ends) and constant.
func testHashes() map[string]func(int) uint64 {
	return map[string]func(int) uint64{
		"good":     func(k int) uint64 { return uint64(k+1) * 0x9e3779b97f4a7c15 },
		"low bits": func(k int) uint64 { return uint64(k & 7) },
		"top bits": func(k int) uint64 { return uint64(k&7) << 60 },
		"constant": func(int) uint64 { return 42 },
	}
}

// TestTrieAgainstMap runs random changes against a map, in transactions of
// several changes, and checks that no version changes after its transaction.
func TestTrieAgainstMap(t *testing.T) {
	for name, hash := range testHashes() {
		t.Run(name, func(t *testing.T) {
			type version struct {
				trie trie[int, int]
				want map[int]int
			}
			rng := rand.New(rand.NewPCG(1, 2))
			var current trie[int, int]
			model := map[int]int{}
			var versions []version
			for edit := uint64(1); edit <= 300; edit++ {
				for range rng.IntN(8) + 1 {
					key := rng.IntN(120)
					if rng.IntN(5) < 2+int(edit/100) { // grows, then shrinks
						current.remove(edit, hash(key), key)
						delete(model, key)
					} else {
						val := rng.Int()
						current.put(edit, hash(key), key, val, hash)
						model[key] = val
					}
				}
				versions = append(versions, version{current, maps.Clone(model)})
			}
			for i := range versions {
				checkTrie(t, &versions[i].trie, versions[i].want, hash)
			}
			edit := uint64(1000)
			for key := range model {
				current.remove(edit, hash(key), key)
			}
			if current.root != nil || current.size != 0 {
				t.Errorf("emptied trie has a root, size %d", current.size)
			}
		})
	}
}

func checkTrie(t *testing.T, tr *trie[int, int], want map[int]int, hash func(int) uint64) {
	t.Helper()
	if tr.size != len(want) {
		t.Fatalf("size = %d, want %d", tr.size, len(want))
	}
	for key := range 120 {
		got := tr.get(hash(key), key)
		val, ok := want[key]
		if (got != nil) != ok || (ok && *got != val) {
			t.Fatalf("get(%d) = %v, want %d, %v", key, got, val, ok)
		}
	}
	seen := map[int]int{}
	tr.from(0, func(k int, v *int) bool {
		seen[k] = *v
		return true
	})
	if !maps.Equal(seen, want) {
		t.Fatalf("all gave %d keys, want %d", len(seen), len(want))
	}
	if tr.root != nil {
		checkShape(t, tr.root, 0, true)
	}
}

// checkShape checks that a node below the root holds at least two keys.
func checkShape(t *testing.T, n *trieNode[int, int], shift int, root bool) {
	t.Helper()
	if !root && len(n.leaves)+2*len(n.kids) < 2 {
		t.Fatalf("a node at shift %d holds one key", shift)
	}
	for _, kid := range n.kids {
		checkShape(t, kid, shift+trieBits, false)
	}
}

func TestTrieAllStops(t *testing.T) {
	hash := testHashes()["good"]
	var tr trie[int, int]
	for k := range 1000 {
		tr.put(1, hash(k), k, k, hash)
	}
	n := 0
	if tr.from(0, func(int, *int) bool { n++; return n < 10 }) || n != 10 {
		t.Errorf("all went on after false, %d keys", n)
	}
}

// TestTriePutCopiesOnePath counts the nodes that one put makes anew among
// 100 000 keys.
func TestTriePutCopiesOnePath(t *testing.T) {
	hash := testHashes()["good"]
	var tr trie[int, int]
	for k := range 100_000 {
		tr.put(1, hash(k), k, k, hash)
	}
	tr.put(2, hash(5), 5, -5, hash)
	var count func(n *trieNode[int, int]) int
	count = func(n *trieNode[int, int]) int {
		made := 0
		if n.edit == 2 {
			made = 1
		}
		for _, kid := range n.kids {
			made += count(kid)
		}
		return made
	}
	if got := count(tr.root); got > 4 {
		t.Errorf("one put made %d nodes, want at most 4", got)
	}
}
