package memory

import (
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/types"
)

// Together saves holds so that they fit to the Pods that are saved, whenever podway is killed: a Pod that is held and that a cluster's file says is not
// ready is among the holds that are saved, or it would be taken out after a restart though it was never out; and one that is among them is not ready in
// the file, or the hold would go on without it. They are files of their own, so that their order matters: Pods come into the holds before the file of
// their cluster is saved, and leave them after it. What is left is the moment between the two: a hold whose cluster's file is not saved yet ends at a restart
// that finds the cluster away, and none of its Pods is out by that before the cluster is back.
type Together struct {
	store  *Store
	keeper *Keeper
	now    func() []Hold

	mu    sync.Mutex
	saved []Hold // by mu; what is on disk
}

// NewTogether is for holds that now tells. saved are those on disk. Its Cover is to be the keeper's Before.
func NewTogether(store *Store, keeper *Keeper, now func() []Hold, saved []Hold) *Together {
	return &Together{store: store, keeper: keeper, now: now, saved: saved}
}

// Cover adds the holds that there are now to those that are saved. It fails where that cannot be done and there are some of the cluster: with a file that says
// that their Pods are not ready, a restarted podway would take these out, and with the one before it finds that they have lost readiness meanwhile.
func (t *Together) Cover(cluster string) error {
	err := t.cover()
	if err != nil && slices.ContainsFunc(t.now(), func(hold Hold) bool { return hold.Lost > 0 && hold.Cluster == cluster }) {
		return err
	}
	return nil
}

func (t *Together) cover() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	// Pods that are lost and not held are out already: they are no reason to write anything.
	held := slices.DeleteFunc(slices.Clone(t.now()), func(hold Hold) bool { return hold.Lost == 0 })
	return t.put(union(t.saved, held))
}

// Save saves the holds, and the clusters that they are of. It is a Save of Kept.
func (t *Together) Save(now []Hold) error {
	if err := t.cover(); err != nil {
		return err
	}
	for _, cluster := range t.clusters(now) {
		t.keeper.SaveNow(cluster)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.put(union(now, t.now())) // What has come since may be in the cluster's file; what has gone since is perhaps not.
}

// clusters are those that there are holds of, or were, sorted.
func (t *Together) clusters(now []Hold) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var clusters []string
	for _, hold := range slices.Concat(now, t.saved) {
		clusters = append(clusters, hold.Cluster)
	}
	slices.Sort(clusters)
	return slices.Compact(clusters)
}

// put writes what is not written already. t.mu is held.
func (t *Together) put(all []Hold) error {
	if slices.EqualFunc(t.saved, all, sameHold) {
		return nil
	}
	if err := t.store.SaveHolds(all); err != nil {
		return err
	}
	t.saved = all
	return nil
}

func sameHold(a, b Hold) bool {
	return keyOf(a) == keyOf(b) && a.Until.Equal(b.Until) && a.Of == b.Of && slices.Equal(a.Pods, b.Pods)
}

// holdKey is what makes two Holds the same one.
type holdKey struct {
	cluster string
	tunnel  types.NamespacedName
	since   int64 // in nanoseconds: a time.Time says more than when
	lost    int
}

func keyOf(hold Hold) holdKey {
	return holdKey{cluster: hold.Cluster, tunnel: hold.Tunnel, since: hold.Since.UnixNano(), lost: hold.Lost}
}

// union is the newer Holds with the Pods that the older have beside theirs, after those of the older that the newer do not have.
func union(older, newer []Hold) []Hold {
	there := make(map[holdKey]int, len(newer))
	all := make([]Hold, 0, len(older)+len(newer))
	for i, hold := range newer {
		there[keyOf(hold)] = i
	}
	newer = slices.Clone(newer)
	for _, hold := range older {
		i, ok := there[keyOf(hold)]
		if !ok {
			all = append(all, hold)
			continue
		}
		newer[i].Pods = withPods(newer[i].Pods, hold.Pods)
	}
	return append(all, newer...)
}

// withPods is some Pods and those of others that are not among them.
func withPods(some, others []HeldPod) []HeldPod {
	known := make(map[HeldPod]bool, len(some))
	for _, pod := range some {
		known[pod] = true
	}
	all := slices.Clone(some)
	for _, pod := range others {
		if !known[pod] {
			all = append(all, pod)
		}
	}
	return all
}
