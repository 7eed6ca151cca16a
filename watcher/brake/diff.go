package brake

import (
	"cmp"
	"iter"
	"maps"
	"net/netip"
	"sort"
	"strings"

	"github.com/podway/podway/api/pods"
)

// podID is what makes two endpoints one Pod: its name and UID, or its address where it has no name.
type podID struct {
	namespace, name string
	uid             pods.UID
	address         netip.Addr
}

func idOf(pod *pods.Pod) podID {
	if !pod.HasName() {
		return podID{address: pod.Address.Addr()}
	}
	return podID{namespace: pod.Namespace, name: pod.Name(), uid: pod.UID}
}

// names says whether it is that of a Pod.
func (id *podID) names(pod *pods.Pod) bool {
	if id.name == "" {
		return !pod.HasName() && pod.Address.Addr() == id.address
	}
	return pod.UID == id.uid && pod.Namespace == id.namespace && pod.CompareNameTo(id.name) == 0
}

// samePod says whether two endpoints have the same podID.
func samePod(a, b *pods.Pod) bool {
	if !a.HasName() {
		return !b.HasName() && a.Address == b.Address
	}
	return a.UID == b.UID && a.Namespace == b.Namespace && a.CompareName(b) == 0
}

// state is what one Set says of a Pod, which has several endpoints where its slices have no port in common.
type state struct {
	// pod is one of its endpoints, nil where the Set has none.
	pod                *pods.Pod
	ready, terminating bool
}

// change is a Pod of which two Sets do not say the same.
type change struct {
	id            podID
	before, after state
}

// diff adds the Pods that changed in what the brake looks at. Both Sets are sorted, as Sets are. Labels count for Pods that are not ready
// only: nobody asks for the others'.
func diff(changes []change, before, after []pods.Pod) []change {
	for len(before) > 0 || len(after) > 0 {
		m, n := run(before), run(after)
		switch order := compareHeads(before, after); {
		case order < 0:
			n = 0
		case order > 0:
			m = 0
		}
		changes = diffRun(changes, before[:m], after[:n])
		before, after = before[m:], after[n:]
	}
	return changes
}

// run is how many endpoints in front have one name, or one address and none.
func run(endpoints []pods.Pod) int {
	n := min(1, len(endpoints))
	for n > 0 && n < len(endpoints) && compareNames(&endpoints[0], &endpoints[n]) == 0 {
		n++
	}
	return n
}

func compareHeads(a, b []pods.Pod) int {
	if len(a) == 0 || len(b) == 0 {
		return cmp.Compare(len(b), len(a)) // The one that has any comes first.
	}
	return compareNames(&a[0], &b[0])
}

func compareNames(a, b *pods.Pod) int {
	order := strings.Compare(a.Namespace, b.Namespace)
	if order == 0 {
		order = a.CompareName(b)
	}
	if order == 0 && !a.HasName() {
		order = a.Address.Compare(b.Address)
	}
	return order
}

func diffRun(changes []change, before, after []pods.Pod) []change {
	for was := range states(before) {
		if is := stateOf(after, was.pod); differ(was, is) {
			changes = append(changes, change{idOf(was.pod), was, is})
		}
	}
	for is := range states(after) {
		if stateOf(before, is.pod).pod == nil {
			changes = append(changes, change{idOf(is.pod), state{}, is})
		}
	}
	return changes
}

func differ(a, b state) bool {
	if (a.pod == nil) != (b.pod == nil) || a.ready != b.ready || a.terminating != b.terminating {
		return true
	}
	return b.pod != nil && !b.ready && !maps.Equal(a.pod.Labels, b.pod.Labels)
}

// states are the Pods of a run, each once: more than one where a name came back with another UID.
func states(endpoints []pods.Pod) iter.Seq[state] {
	return func(yield func(state) bool) {
		for i := range endpoints {
			pod := &endpoints[i]
			if i > 0 && stateOf(endpoints[:i], pod).pod != nil {
				continue
			}
			if !yield(stateOf(endpoints[i:], pod)) {
				return
			}
		}
	}
}

// stateOf looks for a Pod in a run.
func stateOf(endpoints []pods.Pod, pod *pods.Pod) state {
	return stateWhere(endpoints, func(one *pods.Pod) bool { return samePod(one, pod) })
}

// stateWhere is what the endpoints of one Pod say together.
func stateWhere(endpoints []pods.Pod, are func(*pods.Pod) bool) state {
	var found state
	for i := range endpoints {
		pod := &endpoints[i]
		if !are(pod) {
			continue
		}
		if found.pod == nil {
			found.pod = pod
		}
		found.ready = found.ready || pod.Ready
		found.terminating = found.terminating || pod.Terminating
	}
	return found
}

// all are the Pods of a Set, each once; none of nil.
func all(set *pods.Set) iter.Seq[state] {
	return func(yield func(state) bool) {
		for rest := podsOf(set); len(rest) > 0; {
			n := run(rest)
			for is := range states(rest[:n]) {
				if !yield(is) {
					return
				}
			}
			rest = rest[n:]
		}
	}
}

// find looks for a Pod in a Set, which may be nil.
func find(set *pods.Set, id podID) state {
	endpoints := podsOf(set)
	if id.name != "" { // Otherwise they are sorted by address within their namespace only, which an address does not tell.
		at := sort.Search(len(endpoints), func(i int) bool {
			return cmp.Or(strings.Compare(endpoints[i].Namespace, id.namespace), endpoints[i].CompareNameTo(id.name)) >= 0
		})
		endpoints = endpoints[at : at+run(endpoints[at:])]
	}
	return stateWhere(endpoints, id.names)
}

func podsOf(set *pods.Set) []pods.Pod {
	if set == nil {
		return nil
	}
	return set.Pods
}
