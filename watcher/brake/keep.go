package brake

import (
	"cmp"
	"context"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api/pods"
	"github.com/podway/podway/watcher/memory"
)

// keepEvery is the least time between two saves of the holds.
const keepEvery = time.Second

// holdOf names a hold.
type holdOf struct {
	tunnel  types.NamespacedName
	cluster string
}

// Keep saves the holds whenever they changed, until the context ends, and then once more. It returns nil.
func (b *Brake) Keep(ctx context.Context, save func([]memory.Hold) error, log *slog.Logger) error {
	var saved []memory.Hold
	failing := false
	keep := func() {
		holds := b.Kept()
		if !failing && reflect.DeepEqual(holds, saved) {
			return
		}
		err := save(holds)
		switch {
		case err != nil && !failing:
			log.Warn("The holds cannot be kept in the state directory", "error", err)
		case err == nil && failing:
			log.Info("The holds are kept in the state directory again")
		}
		if failing = err != nil; !failing {
			saved = holds
		}
	}
	defer keep()
	ticker := time.NewTicker(keepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-b.heldChanged:
			keep()
		}
		for again := true; again; again = failing { // It is tried again whether anything changes or not.
			select {
			case <-ctx.Done():
				return nil
			case <-ticker.C:
			}
			if failing {
				keep()
			}
		}
	}
}

// heldAnew notes that a hold is not what it was.
func (b *Brake) heldAnew() {
	select {
	case b.heldChanged <- struct{}{}:
	default: // Keep knows that already.
	}
}

// Kept are the holds as a restarted podway needs them, sorted; those too that were restored and whose tunnel has not been configured yet.
func (b *Brake) Kept() []memory.Hold {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.config.Now()
	kept := make([]memory.Hold, 0, len(b.holding)+len(b.restored))
	for u := range b.holding {
		kept = append(kept, u.remembered())
	}
	for _, hold := range b.restored {
		if now.Before(hold.Until) {
			kept = append(kept, hold)
		}
	}
	slices.SortFunc(kept, func(a, b memory.Hold) int {
		return cmp.Or(strings.Compare(a.Cluster, b.Cluster), strings.Compare(a.Tunnel.Namespace, b.Tunnel.Namespace), strings.Compare(a.Tunnel.Name, b.Tunnel.Name))
	})
	return kept
}

func (u *unit) remembered() memory.Hold {
	out := memory.Hold{
		Cluster: u.cluster, Tunnel: u.tunnel, Since: u.hold.since.UTC().Round(0), Until: u.hold.until.UTC().Round(0), Lost: u.hold.lost, Of: u.hold.of,
		Pods: make([]memory.HeldPod, 0, len(u.hold.pods)),
	}
	for id := range u.hold.pods {
		out.Pods = append(out.Pods, memory.HeldPod{Namespace: id.namespace, Name: id.name, UID: id.uid.String(), Address: id.address})
	}
	slices.SortFunc(out.Pods, func(a, b memory.HeldPod) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name), strings.Compare(a.UID, b.UID), a.Address.Compare(b.Address))
	})
	return out
}

// Restore takes up holds that another process had, before the first Configure: each goes on once its tunnel is configured, until the same limit,
// with those of its Pods that are not ready still. A Pod of a Service of which nothing is known yet may be so. A hold whose time is over, or that
// began later than now, is left out.
func (b *Brake) Restore(holds []memory.Hold) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.config.Now()
	for _, hold := range holds {
		if now.Before(hold.Until) && !now.Before(hold.Since) && len(hold.Pods) > 0 {
			b.restored[holdOf{hold.Tunnel, hold.Cluster}] = hold
		}
	}
}

// resume goes on with a hold that was restored.
func (b *Brake) resume(u *unit) {
	of := holdOf{u.tunnel, u.cluster}
	kept, there := b.restored[of]
	if !there {
		return
	}
	delete(b.restored, of)
	if now := b.config.Now(); u.hold != nil || !now.Before(kept.Until) {
		return
	}
	u.hold = &hold{
		pods: make(map[podID]struct{}, len(kept.Pods)), since: kept.Since, until: kept.Until, lost: kept.Lost, of: kept.Of,
		views: map[pods.ServiceKey]view{}, restored: true,
	}
	for _, pod := range kept.Pods {
		id := podID{namespace: pod.Namespace, name: pod.Name, uid: pods.UIDOf(pod.UID), address: pod.Address}
		u.hold.pods[id] = struct{}{}
	}
	b.resumed(u)
	b.recheck(u, "")
}

// missing is true where a Pod that is in no Set may be in one that is not known yet.
func (u *unit) missing(sets map[pods.ServiceKey]*pods.Set, is standing) bool {
	return is == absent && u.hold != nil && u.hold.restored && u.unknown(sets)
}

// unknown is true where nothing is known of one of the Services.
func (u *unit) unknown(sets map[pods.ServiceKey]*pods.Set) bool {
	return slices.ContainsFunc(u.services, func(s service) bool { return sets[s.key] == nil })
}
