package brake

import (
	"slices"
	"time"

	"github.com/podway/podway/api/pods"
)

// Observe notes that a Service's Set is replaced. A source calls it right before it hands the new one on, for each Service from one goroutine at
// a time. before may be nil: the Service is seen for the first time, and nothing is lost. after may be nil: nothing is known of the Service
// any more. Holds that begin or end by it need no OnChange: the new Set has the tunnels' endpoints made again, and the Problems with
// them. The work is in proportion to the Set and to the tunnels that use it.
func (b *Brake) Observe(key pods.ServiceKey, before, after *pods.Set) {
	b.mu.Lock()
	defer b.mu.Unlock()
	latest := b.sets.Get(key)
	if after != nil && after.Unlabeled && b.selects(key) {
		return // Which Pods are meant will be known in a moment, and compared with what was known before.
	}
	if before != nil && before.Unlabeled {
		before = latest
	}
	if after == nil {
		b.sets.Delete(key)
	} else {
		b.sets.Put(after)
	}
	users := b.users[key]
	if len(users) == 0 || (before == after && latest == after) {
		return
	}
	b.changes = diff(b.changes[:0], podsOf(before), podsOf(after))
	now := b.config.Now()
	for _, u := range users {
		if kept := u.kept[key]; kept != nil && kept.of != before {
			delete(u.kept, key)
		}
		b.apply(u, key, before, now)
		if latest != before || u.hold != nil && u.hold.restored { // What happened between the two, or before a restart, nobody told.
			b.recheck(u, "")
		}
	}
	clear(b.changes) // Scratch memory must not keep Sets alive.
}

// selects says whether a tunnel takes Pods of a Service by their labels.
func (b *Brake) selects(key pods.ServiceKey) bool {
	return slices.ContainsFunc(b.users[key], func(u *unit) bool {
		return slices.ContainsFunc(u.services, func(s service) bool {
			return s.key == key && slices.ContainsFunc(s.uses, func(use pods.Use) bool { return use.Selector != nil })
		})
	})
}

// apply brings a unit up to date with the changes of one Service, which are in scratch memory.
func (b *Brake) apply(u *unit, key pods.ServiceKey, before *pods.Set, now time.Time) {
	var last reason
	more := false
	for i := range b.changes {
		c := &b.changes[i]
		watched, held := u.watches(c.id)
		if !watched && !c.before.ready {
			continue
		}
		is := u.standing(b.sets, c.id, key, c.after)
		switch {
		case watched && u.missing(b.sets, is):
		case watched && is != unready:
			if held {
				u.keep(key, before, c.id)
			}
			last = b.leave(u, c.id, is)
		case !watched && is == unready && u.standing(b.sets, c.id, key, c.before) == ready:
			b.lose(u, c.id, now)
			more = true
		}
	}
	switch {
	case u.hold == nil && len(u.lost) > 0:
		b.judge(u, now)
		b.gathering = b.gathering || more && u.hold == nil && len(u.lost) >= u.settings.MinPods && !u.settings.off()
	case u.hold != nil && len(u.hold.pods) == 0:
		b.end(u, last)
	}
}

// lose notes that a Pod lost readiness.
func (b *Brake) lose(u *unit, id podID, now time.Time) {
	if u.hold != nil {
		u.hold.pods[id] = struct{}{}
		clear(u.hold.views)
		b.metrics.pods(u.cluster, 1)
		b.heldAnew()
		return
	}
	if u.lost == nil {
		u.lost = map[podID]time.Time{}
	}
	u.lost[id] = now
}

// leave forgets a Pod that was lost or held, and says what became of it.
func (b *Brake) leave(u *unit, id podID, is standing) reason {
	delete(u.lost, id)
	if u.hold != nil {
		delete(u.hold.pods, id)
		clear(u.hold.views)
		b.metrics.pods(u.cluster, -1)
		b.heldAnew()
	}
	if is == ready {
		return reasonReady
	}
	return reasonDeleted
}

// judge begins a hold where more than the share was lost within the window.
func (b *Brake) judge(u *unit, now time.Time) {
	u.expire(now)
	lost := len(u.lost)
	if lost < u.settings.MinPods || u.settings.off() {
		return
	}
	enough := u.settings.enough(lost)
	if ready := u.readyPods(b.sets, enough); ready < enough {
		b.begin(u, lost+ready, now)
	}
}

// gatherEvery is the least time between two times that Gathering is true.
const gatherEvery = 100 * time.Millisecond

// Gathering says whether it is worth a moment's wait before what was observed is handed on: so many Pods of a tunnel in one cluster have just lost
// readiness that the next may begin a hold, which has them all stay. It is true once for what was observed since the last time, and not
// again within 100 ms: whoever waits loses no more than that share of the time.
func (b *Brake) Gathering() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now, gathering := b.config.Now(), b.gathering
	b.gathering = false
	if !gathering || now.Sub(b.gathered) < gatherEvery {
		return false
	}
	b.gathered = now
	return true
}

// recheck forgets the Pods that are lost or held no more by the latest Sets, and says whether any was held. A hold that ends by it does so for the
// reason, or for what became of the last Pod.
func (b *Brake) recheck(u *unit, why reason) (changed bool) {
	for id := range u.lost {
		if is := u.current(b.sets, id); is != unready {
			b.leave(u, id, is)
		}
	}
	if u.hold == nil {
		return false
	}
	var last reason
	for id := range u.hold.pods {
		if is := u.current(b.sets, id); is != unready && !u.missing(b.sets, is) {
			last, changed = b.leave(u, id, is), true
		}
	}
	u.hold.restored = u.hold.restored && u.unknown(b.sets)
	if len(u.hold.pods) == 0 {
		if why != "" {
			last = why
		}
		b.end(u, last)
	}
	return changed
}
