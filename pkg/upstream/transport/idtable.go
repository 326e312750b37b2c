package transport

// idTable holds the calls that wait on one socket, by message ID. It is a hash table with
// open addressing and linear probing; the IDs are random, so they serve as their own hash.
type idTable struct {
	slots []*Call
	count int
}

const minIDSlots = 8

func (t *idTable) get(id uint16) *Call {
	if t.count == 0 {
		return nil
	}
	mask := len(t.slots) - 1
	for i := int(id) & mask; t.slots[i] != nil; i = (i + 1) & mask {
		if t.slots[i].id == id {
			return t.slots[i]
		}
	}
	return nil
}

// addCall adds a, whose ID must not be in the table.
func (t *idTable) addCall(a *Call) {
	if 2*(t.count+1) > len(t.slots) {
		old := t.slots
		t.slots = make([]*Call, max(2*len(old), minIDSlots))
		for _, o := range old {
			if o != nil {
				t.put(o)
			}
		}
	}
	t.put(a)
	t.count++
}

func (t *idTable) put(a *Call) {
	mask := len(t.slots) - 1
	i := int(a.id) & mask
	for t.slots[i] != nil {
		i = (i + 1) & mask
	}
	t.slots[i] = a
}

// remove removes a and reports whether it was in the table.
func (t *idTable) remove(a *Call) bool {
	if t.count == 0 {
		return false
	}
	mask := len(t.slots) - 1
	i := int(a.id) & mask
	for t.slots[i] != a {
		if t.slots[i] == nil {
			return false
		}
		i = (i + 1) & mask
	}
	t.count--
	// Move later calls back into the gap, so that each can still be reached from its home
	// slot.
	for next := (i + 1) & mask; t.slots[next] != nil; next = (next + 1) & mask {
		home := int(t.slots[next].id) & mask
		if (next-home)&mask >= (next-i)&mask {
			t.slots[i] = t.slots[next]
			i = next
		}
	}
	t.slots[i] = nil
	return true
}

// takeAll empties the table and appends its calls to dst.
func (t *idTable) takeAll(dst []*Call) []*Call {
	for i, a := range t.slots {
		if a != nil {
			dst = append(dst, a)
			t.slots[i] = nil
		}
	}
	t.count = 0
	return dst
}
