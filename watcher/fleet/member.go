package fleet

import (
	"context"
	"log/slog"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/v1alpha1"
	"github.com/podway/podway/watcher/access"
	"github.com/podway/podway/watcher/credential"
	"github.com/podway/podway/watcher/kube"
)

// member is one cluster. Its goroutine has the attempts; what others say and ask is under the lock.
type member struct {
	fleet  *Fleet
	name   string
	log    *slog.Logger
	wake   chan struct{}
	ended  chan struct{}
	cancel context.CancelFunc // by fleet.mu

	// active is the attempt that counts; candidate is to take its place once it has synced. Both may be nil.
	active, candidate *attempt
	reader            credential.Reader

	mu sync.Mutex
	wanted
	// reconfigured is true until wanted has been looked at.
	reconfigured bool
	// labels are the namespaces whose Pods' labels are asked for.
	labels map[string]bool
	// known is what was remembered, or published by an attempt that has ended.
	known  kube.Known
	origin origin
	told   Status
	// ill is since when the cluster has not been Live.
	ill time.Time
	// answered is the UID of the cluster that answered last, "" where that is not known.
	answered string
	// refusal is why the credential that is configured cannot be used.
	refusal []api.Problem
	renewal renewal

	// putting is held while something is put into the Lanes.
	putting sync.Mutex
	doubt   doubt // by putting
}

// wanted is what the configuration says.
type wanted struct {
	cluster *v1alpha1.MemberCluster
	secrets map[types.NamespacedName]*corev1.Secret
}

func newMember(f *Fleet, name string) *member {
	now := time.Now()
	return &member{
		fleet: f, name: name, log: f.log.With("cluster", name), wake: make(chan struct{}, 1), ended: make(chan struct{}),
		told: Status{Name: name, State: Unknown, Since: now}, ill: now,
	}
}

func (m *member) poke() {
	select {
	case m.wake <- struct{}{}:
	default: // it is awake already, or about to be
	}
}

// configure takes up what the configuration says.
func (m *member) configure(cluster *v1alpha1.MemberCluster, secrets map[types.NamespacedName]*corev1.Secret, labels map[string]bool) {
	m.mu.Lock()
	m.wanted, m.labels, m.reconfigured = wanted{cluster: cluster, secrets: secrets}, labels, true
	m.mu.Unlock()
	m.poke()
}

func (m *member) follow(labels map[string]bool) {
	m.mu.Lock()
	m.labels = labels
	m.mu.Unlock()
	m.poke()
}

// remove ends the member, and forgets all that was known of the cluster.
func (m *member) remove() {
	m.fleet.mu.Lock()
	cancel := m.cancel
	m.fleet.mu.Unlock()
	if cancel != nil {
		cancel()
		<-m.ended
	}
	m.fleet.config.Lanes.RemoveCluster(m.name)
	m.fleet.metrics.forget(m.name)
	if m.fleet.config.Keeper != nil {
		m.fleet.config.Keeper.Forget(m.name)
	}
	m.log.Info("Cluster removed")
}

// run follows the cluster until the context ends.
func (m *member) run(ctx context.Context) {
	ticker := time.NewTicker(lookSoon)
	defer ticker.Stop()
	defer func() {
		m.endCandidate()
		if m.active != nil {
			m.endActive()
		}
	}()
	due := true
	var looked time.Time
	for {
		// It is woken for other reasons too: a credential is not read for that.
		if due || m.isReconfigured() {
			looked = time.Now()
			m.look(ctx)
		}
		m.advance(ctx)
		m.settle(time.Now())
		m.update()
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			due = time.Since(looked) >= lookEvery || m.isRefused()
		case <-m.wake:
			due = false
		}
	}
}

func (m *member) isReconfigured() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.reconfigured
}

// isRefused is only for the member's own goroutine, which is the one that changes it.
func (m *member) isRefused() bool { return m.told.State == Refused }

// look compares what is wanted with what there is.
func (m *member) look(ctx context.Context) {
	m.mu.Lock()
	cluster, secrets := m.cluster, m.secrets
	m.reconfigured = false
	m.mu.Unlock()
	loaded, problems := m.reader.Load(cluster, m.fleet.config.Directory, secrets)
	m.mu.Lock()
	m.refusal = problems
	m.mu.Unlock()
	if loaded != nil {
		m.pursue(ctx, target{credential: loaded, scope: access.ScopeOf(cluster), uid: cluster.Spec.ClusterUID})
	} else {
		m.endCandidate() // what it was made of is not what is configured any more
	}
	m.renew(ctx, cluster)
}

// advance has the attempts do what is due.
func (m *member) advance(ctx context.Context) {
	m.mu.Lock()
	labels := m.labels
	m.mu.Unlock()
	for _, a := range []*attempt{m.active, m.candidate} {
		if a != nil {
			a.follow(labels)
		}
	}
	if m.isReady() {
		m.look(ctx) // the credential may not be what is configured any more
	}
	if m.isReady() {
		m.takeOver()
	}
}

// pursue starts an attempt at the target, unless there is one.
func (m *member) pursue(ctx context.Context, to target) {
	if m.active.isFor(to) {
		m.endCandidate()
		return
	}
	if m.candidate.isFor(to) {
		return
	}
	m.endCandidate()
	next, err := m.attempt(to)
	if err != nil {
		m.mu.Lock()
		m.refusal = append(m.refusal, m.problem(credential.CodeInvalidKubeconfig, api.Error, fieldCredential(m.cluster), err.Error(),
			"correct the kubeconfig, or make one: podway clusters authorize "+m.name+" --kubeconfig ADMIN"))
		m.mu.Unlock()
		return
	}
	if m.isOvertaken(to) {
		m.endActive()
	}
	if m.active == nil {
		m.log.Info("Connecting to a cluster", "server", to.credential.Server)
		m.forgetForeign(to)
		next.session.Publish(m.known)
		m.setActive(next)
	} else {
		m.log.Info("Trying a changed credential or scope", "server", to.credential.Server)
		m.mu.Lock()
		m.candidate = next
		m.mu.Unlock()
	}
	next.start(ctx)
}

// isOvertaken is true where the active attempt has put nothing in force yet and the target is another cluster: there is nothing that the attempt could keep,
// and once it got through, it would put in force what is not configured any more.
func (m *member) isOvertaken(to target) bool {
	return m.active != nil && m.active.leadsElsewhere(to) && m.known.Scope.IsEmpty() && m.active.session.Health().Scope.IsEmpty()
}

// isReady is true once a candidate has synced, and goes on, as the active one may. Where that one never saw all of its scope, as much as it saw is enough.
func (m *member) isReady() bool {
	if m.candidate == nil {
		return false
	}
	next, now := m.candidate.session.Health(), m.active.session.Health()
	if next.Synced && now.Phase == kube.Live {
		return next.Watched
	}
	return next.Synced || !now.Synced && !next.Scope.IsEmpty() && next.Scope.Contains(now.Scope)
}

// takeOver puts the candidate in force.
func (m *member) takeOver() {
	a := m.candidate
	m.mu.Lock()
	m.candidate = nil
	m.mu.Unlock()
	m.endActive()
	a.session.Publish(m.known)
	m.setActive(a)
	m.log.Info("The changed credential or scope is in force", "server", a.credential().Server)
}

func (m *member) setActive(a *attempt) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.active = a
	// How the renewal of another credential went says nothing of this one.
	m.renewal = renewal{running: m.renewal.running}
}

// endActive ends the active attempt, and keeps what it knew.
func (m *member) endActive() {
	old := m.active
	old.stop()
	known, from := old.session.Snapshot(), origin{uid: old.session.Health().UID, source: old.credential().Fingerprint()}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.active, m.known, m.origin = nil, known, from
}

func (m *member) endCandidate() {
	old := m.candidate
	if old == nil {
		return
	}
	old.stop()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.candidate = nil
}

// change hands on what the active attempt learned.
func (m *member) change(c kube.Change) {
	m.put(c)
	m.fleet.metrics.changes.WithLabelValues(m.name).Add(float64(len(c.Sets) + len(c.Gone)))
	m.remember()
	if c.Facts != nil { // a changed Pod is nothing that it has to know
		m.poke()
	}
	m.fleet.config.Lanes.Pace()
}
