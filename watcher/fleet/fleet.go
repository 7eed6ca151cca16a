package fleet

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/pods"
	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/api/v1alpha1"
	"github.com/podway/podway/watcher"
	"github.com/podway/podway/watcher/memory"
)

// lookEvery is how often credentials are looked at anew: a file may have changed, a token may be due.
const lookEvery = time.Second

// lookSoon is the same for a cluster that is refused: a person may be about to put another credential there.
const lookSoon = 200 * time.Millisecond

// removedFor is how long a cluster that was removed is still told of.
const removedFor = 10 * time.Minute

// Config says what a Fleet works with.
type Config struct {
	// Directory that paths of kubeconfigs are relative to.
	Directory string
	// Lanes takes what is learned.
	Lanes *watcher.Lanes
	// Store and Keeper are where the last good Pods are kept; both nil for nowhere.
	Store  *memory.Store
	Keeper *memory.Keeper
	// UserAgent of all requests.
	UserAgent string
	// OnProblems is called with all Problems of clusters whenever they change. It must not call the Fleet.
	OnProblems func([]api.Problem)
	// Registerer takes the metrics; nil keeps them to the Fleet.
	Registerer prometheus.Registerer
	// Logger; default slog.Default().
	Logger *slog.Logger
}

// Fleet follows all member clusters of type Kubeconfig. It is safe for concurrent use.
type Fleet struct {
	config  Config
	log     *slog.Logger
	metrics *metrics
	running sync.WaitGroup
	// changed wakes Run: a cluster has changed its state.
	changed chan struct{}

	mu      sync.Mutex
	ctx     context.Context // of Run; nil before
	members map[string]*member
	removed map[string]Status
	labels  map[string]map[string]bool // by cluster: the namespaces whose Pods' labels are asked for
	// problems are those that OnProblems was called with last.
	problems []api.Problem
}

// New makes a Fleet of no clusters.
func New(config Config) *Fleet {
	if config.Logger == nil {
		config.Logger = slog.Default()
	}
	if config.Registerer == nil {
		config.Registerer = prometheus.NewRegistry()
	}
	if config.OnProblems == nil {
		config.OnProblems = func([]api.Problem) {}
	}
	f := &Fleet{
		config: config, log: config.Logger, metrics: newMetrics(config.Registerer), changed: make(chan struct{}, 1),
		members: map[string]*member{}, removed: map[string]Status{}, labels: map[string]map[string]bool{},
	}
	config.Registerer.MustRegister(collector{f})
	return f
}

// Run follows the clusters until the context ends. It returns nil, once everything has ended.
func (f *Fleet) Run(ctx context.Context) error {
	f.mu.Lock()
	f.ctx = ctx
	for _, m := range f.members {
		f.start(m)
	}
	f.mu.Unlock()
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			f.mu.Lock()
			f.ctx = nil // a Configure that is under way starts nothing any more
			f.mu.Unlock()
			f.running.Wait()
			return nil
		case <-f.changed:
			f.tell()
		case now := <-ticker.C:
			f.forgetRemoved(now)
			f.tell()
		}
	}
}

// start runs a member, unless it runs; f.mu is held. Before Run it waits for that, which starts those that are there.
func (f *Fleet) start(m *member) {
	if f.ctx == nil || f.ctx.Err() != nil || m.cancel != nil {
		return
	}
	ctx, cancel := context.WithCancel(f.ctx)
	m.cancel = cancel
	f.running.Go(func() {
		defer close(m.ended)
		m.run(ctx)
	})
}

// Configure takes up a configuration: clusters come, change and go. What is remembered of a cluster that comes is in the Lanes when
// Configure returns; it waits for no cluster. Call it before the configuration itself is put there.
func (f *Fleet) Configure(cfg *snapshot.Config) {
	f.mu.Lock()
	var gone []*member
	for name, m := range f.members {
		if !isOurs(cfg.MemberClusters[name]) {
			gone = append(gone, m)
			delete(f.members, name)
			f.removed[name] = m.removedStatus()
		}
	}
	var come []*member
	for name, cluster := range cfg.MemberClusters {
		delete(f.removed, name) // one of another type is there too, and others tell of it
		if !isOurs(cluster) {
			continue
		}
		m := f.members[name]
		if m == nil {
			m = newMember(f, name)
			m.configure(cluster, cfg.Secrets, f.labels[name])
			f.members[name] = m
			come = append(come, m)
			continue
		}
		m.configure(cluster, cfg.Secrets, f.labels[name])
	}
	f.mu.Unlock()
	for _, m := range gone {
		m.remove()
	}
	for _, m := range come {
		m.recall()
	}
	f.mu.Lock()
	for _, m := range come {
		f.start(m)
	}
	f.mu.Unlock()
	f.tell()
}

func isOurs(cluster *v1alpha1.MemberCluster) bool {
	return cluster != nil && cluster.Spec.Source.Type == v1alpha1.ClusterSourceKubeconfig && cluster.Spec.Source.Kubeconfig != nil
}

// Follow says of which Services the labels of the Pods are asked for.
func (f *Fleet) Follow(labeled []pods.ServiceKey) {
	labels := map[string]map[string]bool{}
	for _, key := range labeled {
		if labels[key.Cluster] == nil {
			labels[key.Cluster] = map[string]bool{}
		}
		labels[key.Cluster][key.Namespace] = true
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.labels = labels
	for name, m := range f.members {
		m.follow(labels[name])
	}
}

// Clusters is the status of all clusters, and of those that were removed not long ago, by name.
func (f *Fleet) Clusters() []Status {
	f.mu.Lock()
	members := make([]*member, 0, len(f.members))
	for _, m := range f.members {
		members = append(members, m)
	}
	out := make([]Status, 0, len(f.members)+len(f.removed))
	for _, status := range f.removed {
		out = append(out, status)
	}
	f.mu.Unlock()
	for _, m := range members {
		out = append(out, m.status())
	}
	slices.SortFunc(out, func(a, b Status) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func (f *Fleet) forgetRemoved(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for name, status := range f.removed {
		if now.Sub(status.Since) > removedFor {
			delete(f.removed, name)
		}
	}
}

// tell collects the Problems of all clusters, and hands them on where they changed.
func (f *Fleet) tell() {
	f.mu.Lock()
	defer f.mu.Unlock()
	var problems []api.Problem
	for _, m := range f.members {
		problems = append(problems, m.problems()...)
	}
	problems = append(problems, sameCluster(f.members)...)
	slices.SortFunc(problems, func(a, b api.Problem) int {
		return cmp.Or(strings.Compare(a.Object.Name, b.Object.Name), strings.Compare(a.Code, b.Code), strings.Compare(a.Message, b.Message))
	})
	if !slices.Equal(problems, f.problems) {
		f.problems = problems
		f.config.OnProblems(slices.Clone(problems))
	}
}
