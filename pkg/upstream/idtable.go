package upstream

// idTable holds the pending attempts of one socket by id: open addressing with
// linear probing. Ids are random, so they are their own hash.
type idTable struct {
	slots []*attempt
	count int
}

const minIDSlots = 8

func (t *idTable) get(id uint16) *attempt {
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

// add enters a, whose id must not be in the table.
func (t *idTable) add(a *attempt) {
	if 2*(t.count+1) > len(t.slots) {
		old := t.slots
		t.slots = make([]*attempt, max(2*len(old), minIDSlots))
		for _, o := range old {
			if o != nil {
				t.place(o)
			}
		}
	}
	t.place(a)
	t.count++
}

func (t *idTable) place(a *attempt) {
	mask := len(t.slots) - 1
	i := int(a.id) & mask
	for t.slots[i] != nil {
		i = (i + 1) & mask
	}
	t.slots[i] = a
}

// remove takes a out and reports whether it was in.
func (t *idTable) remove(a *attempt) bool {
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
	// Later ones move back into the gap, so that none is cut off its home.
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

// takeAll empties the table into dst.
func (t *idTable) takeAll(dst []*attempt) []*attempt {
	for i, a := range t.slots {
		if a != nil {
			dst = append(dst, a)
			t.slots[i] = nil
		}
	}
	t.count = 0
	return dst
}
