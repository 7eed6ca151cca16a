package kube

import (
	"context"
	"sync"
	"time"

	"github.com/podway/podway/api/pods"
	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/watcher"
	join "github.com/podway/podway/watcher/slices"
)

// Config says what to follow.
type Config struct {
	// Cluster is the name of the MemberCluster.
	Cluster string
	// Scope is the part of the cluster to follow.
	Scope *snapshot.Scope
	// UID that the cluster's kube-system namespace must have; "" for any.
	UID string
	// OnChange is called with each change once Publish was called, one after the other, by whichever goroutine learned of it. Nothing more is
	// read of what changed until it returns.
	OnChange func(Change)
	// OnHealth is called when Health says something else than before, by the goroutine that called Run.
	OnHealth func(Health)
}

// Change is what changed of a cluster. It is immutable.
type Change struct {
	// Facts are nil where only Pods changed.
	Facts *watcher.Facts
	// Sets are those that changed; Gone are the Services that are no more; Stamps says when the changes were first seen.
	Sets   map[pods.ServiceKey]*pods.Set
	Gone   []pods.ServiceKey
	Stamps map[pods.ServiceKey]watcher.Stamp
}

// Session follows a cluster with one credential. Its state is its own until Publish says that it counts.
type Session struct {
	config Config
	client *Client
	gate   *gate
	// wakes the goroutine of Run.
	wake chan struct{}
	// sources counts those that run.
	sources sync.WaitGroup
	// handing is held from when a change is taken until it has been handed on. It comes before mu.
	handing sync.Mutex

	mu     sync.Mutex
	ctx    context.Context // of Run; nil before
	units  []*unit
	labels map[string]*source // pods by namespace
	index  *join.Index
	stamps map[pods.ServiceKey]watcher.Stamp
	// published is true once changes are handed on.
	published bool
	// known is what was published before, of namespaces that are not synced yet.
	known Known
	// facts that were published last.
	facts     *watcher.Facts
	lastEvent time.Time
	relists   int
	// backlogs are those that have not been read yet; caught is when the first of them began.
	backlogs map[*source]*backlog
	caught   time.Time
}

// unit is a part of the cluster that is followed on its own: a namespace, or all.
type unit struct {
	namespace        string
	services, slices *source
	// counted is true once its first complete state has been joined.
	counted bool
}

func (u *unit) synced() bool { return u.services.synced && u.slices.synced }

// New makes a Session. It opens no connection.
func New(client *Client, config Config) *Session {
	s := &Session{
		config: config, client: client, gate: &gate{client: client, uid: config.UID},
		wake: make(chan struct{}, 1), labels: map[string]*source{},
		index: join.NewIndex(config.Cluster), stamps: map[pods.ServiceKey]watcher.Stamp{},
		backlogs: map[*source]*backlog{},
	}
	namespaces := config.Scope.Namespaces
	if config.Scope.All {
		namespaces = []string{""}
	}
	for _, namespace := range namespaces {
		s.units = append(s.units, &unit{
			namespace: namespace,
			services:  &source{session: s, resource: services, namespace: namespace},
			slices:    &source{session: s, resource: endpointSlices, namespace: namespace},
		})
	}
	return s
}

// Run follows the cluster until the context ends. It returns once all of its goroutines have ended.
func (s *Session) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer s.client.Close()
	defer s.sources.Wait()
	defer func() {
		s.mu.Lock() // or a FollowLabels that is under way might start a source still
		defer s.mu.Unlock()
		cancel()
	}()
	s.mu.Lock()
	s.ctx = ctx
	for _, u := range s.units {
		s.start(u.services)
		s.start(u.slices)
	}
	for _, source := range s.labels {
		s.start(source)
	}
	s.mu.Unlock()
	s.loop(ctx)
	return nil
}

// start runs a source; s.mu is held. Before Run it waits for that.
func (s *Session) start(source *source) {
	if s.ctx == nil || s.ctx.Err() != nil {
		return
	}
	ctx, cancel := context.WithCancel(s.ctx)
	source.stop, source.since = cancel, time.Now()
	s.sources.Go(func() { source.run(ctx) })
}

// healthEvery is how often the passing of time alone is looked at: a server that has fallen silent, a watch that does not come back.
const healthEvery = 250 * time.Millisecond

func (s *Session) loop(ctx context.Context) {
	ticker := time.NewTicker(healthEvery)
	defer ticker.Stop()
	var again <-chan time.Time
	var told Health
	for {
		select {
		case <-ctx.Done():
			return
		case <-again:
		case now := <-ticker.C:
			s.askAgain(ctx, now)
		case <-s.wake:
		}
		at := s.hand(time.Now())
		if silent := s.client.silentAt().Add(time.Millisecond); time.Until(silent) > 0 && (at.IsZero() || silent.Before(at)) {
			at = silent
		}
		if again = nil; !at.IsZero() {
			again = time.After(time.Until(at))
		}
		if health := s.Health(); !health.same(told) {
			told = health
			if s.config.OnHealth != nil {
				s.config.OnHealth(health)
			}
		}
	}
}

// askAgain has the server asked whether it is there, where nothing was heard of it for a while. It does not wait for the answer.
func (s *Session) askAgain(ctx context.Context, now time.Time) {
	s.mu.Lock()
	heard := s.lastEvent
	s.mu.Unlock()
	if received := time.Unix(0, s.client.received.Load()); received.After(heard) {
		heard = received // a list comes, however slowly
	}
	if s.gate.isDue(now, heard) {
		s.sources.Go(func() { s.gate.askAgain(ctx) })
	}
	if s.gate.isToMeasure(now) {
		s.sources.Go(func() { s.gate.measure(ctx) })
	}
}

func (s *Session) poke() {
	select {
	case s.wake <- struct{}{}:
	default: // it is awake already, or about to be
	}
}

// hand hands on what changed, and says when to do so again though nothing happens, zero for never.
func (s *Session) hand(now time.Time) (again time.Time) {
	s.handing.Lock()
	defer s.handing.Unlock()
	change, again := s.take(now)
	if change != nil && s.config.OnChange != nil {
		s.config.OnChange(*change)
	}
	return again
}

// Publish has what the Session knows, and learns from now on, handed to OnChange. known is what was handed on before of the cluster: of namespaces
// that are not synced yet it stays in force.
func (s *Session) Publish(known Known) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.published, s.known = true, known
	s.poke()
}

func (s *Session) unit(namespace string) *unit {
	for _, u := range s.units {
		if u.namespace == "" || u.namespace == namespace {
			return u
		}
	}
	return nil
}

// FollowLabels says in which namespaces the labels of Pods are asked for.
func (s *Session) FollowLabels(namespaces map[string]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for namespace, source := range s.labels {
		if !namespaces[namespace] {
			if source.stop != nil {
				source.stop()
			}
			delete(s.labels, namespace)
			s.index.FollowLabels(namespace, false)
		}
	}
	for namespace := range namespaces {
		if s.labels[namespace] == nil && s.unit(namespace) != nil {
			source := &source{session: s, resource: podMetadata, namespace: namespace}
			s.labels[namespace] = source
			s.index.FollowLabels(namespace, true)
			s.start(source)
		}
	}
	s.poke()
}
