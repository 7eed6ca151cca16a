package brake

import (
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api/pods"
)

// view is a Set, and as what it is shown.
type view struct{ of, as *pods.Set }

// replaced is a Set of which Pods left the hold by the next one, which has been observed but not handed on yet: endpoints that are made in
// between must not lose a Pod because it became ready.
type replaced struct {
	view // as is nil until it is asked for
	left map[podID]struct{}
}

// Live is what a tunnel's endpoints are to be made of: live, with the Pods that are held in the tunnel as ready and serving ones. While nothing
// changed a Set is shown as the same pointer, and as its own where no Pod of it is held. The result is good for one making of the
// endpoints: it may be live itself, which knows of no hold that begins later.
func (b *Brake) Live(tunnel types.NamespacedName, live pods.Live) pods.Live {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.ContainsFunc(b.tunnels[tunnel], (*unit).alters) {
		return live
	}
	return func(key pods.ServiceKey) *pods.Set {
		set := live(key)
		if set == nil {
			return nil
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		u := inCluster(b.tunnels[tunnel], key.Cluster)
		if u == nil {
			return set
		}
		if kept := u.kept[key]; kept != nil {
			if kept.of == set {
				return u.showReplaced(kept)
			}
			delete(u.kept, key) // The next Set has arrived.
		}
		return u.show(key, set)
	}
}

// alters says whether Sets may be shown as something else.
func (u *unit) alters() bool { return u.hold != nil || len(u.kept) > 0 }

// show returns the Set with the held Pods as ready ones.
func (u *unit) show(key pods.ServiceKey, set *pods.Set) *pods.Set {
	if u.hold == nil {
		return set
	}
	if shown := u.hold.views[key]; shown.of == set {
		return shown.as
	}
	shown := asReady(set, u.holds)
	u.hold.views[key] = view{of: set, as: shown}
	return shown
}

func (u *unit) showReplaced(kept *replaced) *pods.Set {
	if kept.as == nil {
		kept.as = asReady(kept.of, func(id podID) bool {
			_, left := kept.left[id]
			return left || u.holds(id)
		})
	}
	return kept.as
}

func (u *unit) holds(id podID) bool {
	if u.hold == nil {
		return false
	}
	_, held := u.hold.pods[id]
	return held
}

// asReady returns a Set with some of its Pods as ready ones; the Set itself where that is how they are. One that terminates is never ready,
// whatever was known when it was held.
func asReady(set *pods.Set, held func(podID) bool) *pods.Set {
	shown := set
	for i := range set.Pods {
		pod := &set.Pods[i]
		if pod.Terminating || (pod.Ready && pod.Serving) || !held(idOf(pod)) {
			continue
		}
		if shown == set {
			shown = &pods.Set{Key: set.Key, Pods: slices.Clone(set.Pods)}
		}
		shown.Pods[i].Ready, shown.Pods[i].Serving = true, true
	}
	return shown
}

// keep notes that a Pod leaves the hold by the replacement of a Set, which may be nil. It comes before that.
func (u *unit) keep(key pods.ServiceKey, before *pods.Set, id podID) {
	if before == nil {
		return
	}
	kept := u.kept[key]
	if kept == nil || kept.of != before {
		kept = &replaced{view: view{of: before}}
		if shown := u.hold.views[key]; shown.of == before {
			kept.as = shown.as
		} else {
			kept.left = map[podID]struct{}{}
		}
		if u.kept == nil {
			u.kept = map[pods.ServiceKey]*replaced{}
		}
		u.kept[key] = kept
	}
	if kept.as == nil {
		kept.left[id] = struct{}{}
	}
}
