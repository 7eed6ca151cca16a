package fleet

import (
	"time"

	"github.com/podway/podway/watcher"
	"github.com/podway/podway/watcher/kube"
)

// How long what was remembered counts for Envoys that have nothing only: for a moment where the cluster is away, for then it is all that will be known
// for a while, and longer where the cluster is being listed. Meanwhile no Envoy that has endpoints of a tunnel is told of changes in its other clusters.
const (
	doubtAway    = time.Second
	doubtListing = 5 * time.Second
)

// doubt is whether Envoys may know more of a cluster than was remembered of it. They followed it until podway ended, which may have been later than what
// was kept, or another podway has told them since. Its zero value is none.
type doubt struct {
	since time.Time
	// facts are the latest, as they are once there is no doubt any more.
	facts *watcher.Facts
}

func doubtful(facts *watcher.Facts) *watcher.Facts {
	scope := *facts.Scope
	scope.Remembered = true
	return &watcher.Facts{Scope: &scope, Services: facts.Services}
}

// put puts what the active attempt learned into the Lanes.
func (m *member) put(c kube.Change) {
	m.putting.Lock()
	defer m.putting.Unlock()
	facts := c.Facts
	if !m.doubt.since.IsZero() {
		if facts != nil {
			m.doubt.facts = facts
			facts = doubtful(facts)
		}
		if m.isSettled(time.Now()) {
			facts, m.doubt = m.doubt.facts, doubt{}
		}
	}
	m.fleet.config.Lanes.PutCluster(m.name, facts, c.Sets, c.Gone, c.Stamps)
}

// settle ends the doubt where there is none any more.
func (m *member) settle(now time.Time) {
	m.putting.Lock()
	defer m.putting.Unlock()
	if m.doubt.since.IsZero() || !m.isSettled(now) {
		return
	}
	m.fleet.config.Lanes.PutCluster(m.name, m.doubt.facts, nil, nil, nil)
	m.doubt = doubt{}
}

// isSettled is true once the cluster was seen whole, or is away, or takes too long. m.putting is held.
func (m *member) isSettled(now time.Time) bool {
	m.mu.Lock()
	active := m.active
	m.mu.Unlock()
	limit := doubtAway
	if active != nil {
		health := active.session.Health()
		if health.Synced {
			return true
		}
		if health.Waiting {
			limit = doubtListing
		}
	}
	return now.Sub(m.doubt.since) >= limit
}
