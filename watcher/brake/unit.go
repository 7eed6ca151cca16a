package brake

import (
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api/pods"
)

// unit is what a share is counted of: a tunnel's Pods in one member cluster. The brake's lock guards it.
type unit struct {
	tunnel   types.NamespacedName
	cluster  string
	services []service
	settings Settings

	// lost are Pods that lost readiness while nothing is held, and when. Those before the window are taken out when somebody counts.
	lost map[podID]time.Time
	hold *hold // nil while nothing is held
	// kept are Sets that are shown as they were until the next one has been handed on.
	kept map[pods.ServiceKey]*replaced
}

// hold is Pods of a unit that stay although they are not ready.
type hold struct {
	pods         map[podID]struct{}
	since, until time.Time
	// restored is true after a restart, until all of the unit's Services are known.
	restored bool
	// lost and of are what began it: so many Pods of so many. They do not change, so that neither does the Problem.
	lost, of int
	// views are the Sets with these Pods in them as ready.
	views map[pods.ServiceKey]view
}

// service is a Service of a unit; a tunnel may use it several times.
type service struct {
	key  pods.ServiceKey
	uses []pods.Use
}

// standing is how a Pod is in a unit, the later over the earlier where its Services do not agree.
type standing int

const (
	// absent: in no Set, or taken by no use.
	absent standing = iota
	unready
	// ready: through one Service at least. It takes traffic.
	ready
	// going: it terminates.
	going
)

func (s *service) standing(is state) standing {
	if is.pod == nil || !s.takes(is.pod) {
		return absent
	}
	switch {
	case is.terminating:
		return going
	case is.ready:
		return ready
	}
	return unready
}

func (s *service) takes(pod *pods.Pod) bool {
	for i := range s.uses {
		if s.uses[i].Takes(pod) {
			return true
		}
	}
	return false
}

// add adds a use of one of the cluster's Services: a list of one, which may be a part of another list.
func (u *unit) add(use []pods.Use) {
	for i := range u.services {
		if u.services[i].key == use[0].Service {
			u.services[i].uses = append(u.services[i].uses, use...)
			return
		}
	}
	u.services = append(u.services, service{key: use[0].Service, uses: use})
}

// standing is how a Pod is in the unit where one Service's Set says is, and the others' what is in sets.
func (u *unit) standing(sets *setTable, id podID, key pods.ServiceKey, is state) standing {
	now := absent
	for i := range u.services {
		said := is
		if u.services[i].key != key {
			said = find(sets.Get(u.services[i].key), id)
		}
		now = max(now, u.services[i].standing(said))
	}
	return now
}

// current is how a Pod is by the latest Sets.
func (u *unit) current(sets *setTable, id podID) standing {
	return u.standing(sets, id, pods.ServiceKey{}, state{})
}

// readyPods counts the unit's Pods that take traffic, each once, and stops at enough.
func (u *unit) readyPods(sets *setTable, enough int) int {
	count := 0
	var seen map[podID]struct{}
	if len(u.services) > 1 {
		seen = map[podID]struct{}{}
	}
	for i := range u.services {
		for is := range all(sets.Get(u.services[i].key)) {
			if count >= enough {
				return count
			}
			if !is.ready || !u.services[i].takes(is.pod) {
				continue
			}
			if seen != nil {
				id := idOf(is.pod)
				if _, again := seen[id]; again {
					continue
				}
				seen[id] = struct{}{}
			}
			count++
		}
	}
	return count
}

// watches says whether it matters what becomes of a Pod that is not ready, and whether it is held.
func (u *unit) watches(id podID) (watched, held bool) {
	if u.hold != nil {
		_, held = u.hold.pods[id]
		return held, held
	}
	_, watched = u.lost[id]
	return watched, false
}

// expire forgets the losses before the window.
func (u *unit) expire(now time.Time) {
	for id, at := range u.lost {
		if now.Sub(at) > u.settings.Window {
			delete(u.lost, id)
		}
	}
}

func (u *unit) keys() []pods.ServiceKey {
	keys := make([]pods.ServiceKey, len(u.services))
	for i := range u.services {
		keys[i] = u.services[i].key
	}
	return keys
}
