package api

// Difference is a resource that is not what it was: Before is nil where it is new, After where it has gone.
type Difference struct{ Before, After *Resource }

// Key is that of the resource.
func (d Difference) Key() ResourceKey {
	if d.After != nil {
		return d.After.ResourceKey
	}
	return d.Before.ResourceKey
}

// Differences are how two lists of resources differ, by key and pointer; a key is there once in each. Where both have the same keys in the same
// order, no more is done than to compare pointers. They are in the order of after, and then of before.
func Differences(before, after []*Resource) []Difference {
	var out []Difference
	for len(before) > 0 && len(after) > 0 {
		b, a := before[0], after[0]
		if b != a {
			if b.ResourceKey != a.ResourceKey {
				break
			}
			out = append(out, Difference{b, a})
		}
		before, after = before[1:], after[1:]
	}
	if len(before) == 0 && len(after) == 0 {
		return out
	}
	known := make(map[ResourceKey]*Resource, len(before))
	for _, b := range before {
		known[b.ResourceKey] = b
	}
	for _, a := range after {
		b := known[a.ResourceKey]
		delete(known, a.ResourceKey)
		if b != a {
			out = append(out, Difference{b, a})
		}
	}
	for _, b := range before {
		if known[b.ResourceKey] != nil {
			out = append(out, Difference{Before: b})
		}
	}
	return out
}
