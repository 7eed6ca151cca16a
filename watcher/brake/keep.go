package brake

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/pods"
	"github.com/podway/podway/watcher/memory"
)

// holdOf names a hold.
type holdOf struct {
	tunnel  types.NamespacedName
	cluster string
}

// Keep saves the holds whenever they changed, at most once a second, where that takes long at most every 10 s, until the context ends, and then once more. It
// returns nil.
func (b *Brake) Keep(ctx context.Context, save func([]memory.Hold) error, log *slog.Logger) error {
	return memory.Kept[memory.Hold]{What: "holds", Changed: b.heldChanged, Now: b.Kept, Save: save, Logger: log}.Run(ctx)
}

// heldAnew notes that a hold is not what it was.
func (b *Brake) heldAnew() {
	select {
	case b.heldChanged <- struct{}{}:
	default: // Keep knows that already.
	}
}

// Kept are the holds as a restarted podway needs them, sorted; those too that were restored and whose tunnel has not been configured yet. Pods that
// lost readiness within the window are among them as holds that have not begun: none of them is Lost to one, and Until is the end of the window. They
// are no reason to save anything by themselves: what is lost after the last save of a cluster's Pods is noticed against those.
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
	for _, units := range b.tunnels {
		for _, u := range units {
			kept = append(kept, u.losses(now)...)
		}
	}
	for _, losses := range b.losses {
		for _, loss := range losses {
			if now.Before(loss.Until) {
				kept = append(kept, loss)
			}
		}
	}
	slices.SortFunc(kept, func(a, b memory.Hold) int {
		return cmp.Or(strings.Compare(a.Cluster, b.Cluster), api.CompareNames(a.Tunnel, b.Tunnel), a.Since.Compare(b.Since))
	})
	return kept
}

// losses are the Pods that were lost within the window, together where it was at the same time.
func (u *unit) losses(now time.Time) []memory.Hold {
	if u.hold != nil || len(u.lost) == 0 {
		return nil
	}
	together := map[time.Time][]memory.HeldPod{}
	for id, at := range u.lost {
		if now.Sub(at) <= u.settings.Window {
			together[at] = append(together[at], id.remembered())
		}
	}
	losses := make([]memory.Hold, 0, len(together))
	for at, lost := range together {
		slices.SortFunc(lost, compareHeldPods)
		losses = append(losses, memory.Hold{
			Cluster: u.cluster, Tunnel: u.tunnel, Since: at.UTC().Round(0), Until: at.Add(u.settings.Window).UTC().Round(0), Pods: lost,
		})
	}
	return losses
}

func (id podID) remembered() memory.HeldPod {
	return memory.HeldPod{Namespace: id.namespace, Name: id.name, UID: id.uid.String(), Address: id.address}
}

func idOfHeld(pod memory.HeldPod) podID {
	return podID{namespace: pod.Namespace, name: pod.Name, uid: pods.UIDOf(pod.UID), address: pod.Address}
}

func compareHeldPods(a, b memory.HeldPod) int {
	return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name), strings.Compare(a.UID, b.UID), a.Address.Compare(b.Address))
}

func (u *unit) remembered() memory.Hold {
	out := memory.Hold{
		Cluster: u.cluster, Tunnel: u.tunnel, Since: u.hold.since.UTC().Round(0), Until: u.hold.until.UTC().Round(0), Lost: u.hold.lost, Of: u.hold.of,
		Pods: make([]memory.HeldPod, 0, len(u.hold.pods)),
	}
	for id := range u.hold.pods {
		out.Pods = append(out.Pods, id.remembered())
	}
	slices.SortFunc(out.Pods, compareHeldPods)
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
		of := holdOf{hold.Tunnel, hold.Cluster}
		switch {
		case !now.Before(hold.Until) || now.Before(hold.Since) || len(hold.Pods) == 0:
		case hold.Lost == 0:
			b.losses[of] = append(b.losses[of], hold)
		default:
			b.restored[of] = hold
		}
	}
}

// resume goes on with a hold that was restored, or with what was lost and may begin one.
func (b *Brake) resume(u *unit) {
	of := holdOf{u.tunnel, u.cluster}
	for _, loss := range b.losses[of] {
		for _, pod := range loss.Pods {
			if u.lost == nil {
				u.lost = map[podID]time.Time{}
			}
			u.lost[idOfHeld(pod)] = loss.Since
		}
	}
	delete(b.losses, of)
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
		u.hold.pods[idOfHeld(pod)] = struct{}{}
	}
	b.resumed(u)
	b.recheck(u, "")
}

// missing is true where a Pod that is in no Set may be in one that is not known yet.
func (u *unit) missing(sets *setTable, is standing) bool {
	return is == absent && u.hold != nil && u.hold.restored && u.unknown(sets)
}

// unknown is true where nothing is known of one of the Services.
func (u *unit) unknown(sets *setTable) bool {
	return slices.ContainsFunc(u.services, func(s service) bool { return sets.Get(s.key) == nil })
}
