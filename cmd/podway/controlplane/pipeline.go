package controlplane

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/pods"
	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/holdback"
	"github.com/podway/podway/translator"
	"github.com/podway/podway/watcher"
	"github.com/podway/podway/watcher/brake"
	"github.com/podway/podway/xds"
)

// publisher is what the pipeline hands resources to: an *xds.Server.
type publisher interface {
	Prepare(resources []*api.Resource)
	SetViews(views map[string][]*api.Resource)
	SetEndpoints(changed []*api.Resource, seen map[string]xds.Seen)
}

// pipelineConfig is what a pipeline joins.
type pipelineConfig struct {
	server   publisher
	board    *problemBoard
	rejected *holdback.Rejections
	// brake says which Pods stay in a tunnel though they lost readiness. lag may be nil.
	brake *brake.Brake
	lag   *lag
	// onApplied is told of each plan that is put in force, before its endpoints are made; it may be nil.
	onApplied func(*translator.Plan)
	// version of podway.
	version string
	log     *slog.Logger
}

// pipeline joins a watcher's lanes to the translator, and the translator to
// the server. Its two lanes are those of the Lanes: endpoints are made of Pods as they come, while another goroutine makes the plan
// of a configuration, however long that takes. All of it but state and applied belongs to the goroutine that runs it.
type pipeline struct {
	pipelineConfig
	// back says which parts of the configuration are made in an older form.
	back *holdback.Holdbacks

	// coming is the translation that another goroutine is at, next the one after it; nil for none. What coming became arrives on translated.
	coming, next *translation
	translated   chan *translation

	cfg *snapshot.Config
	// now is the latest time with which certificates' dates were compared.
	now       time.Time
	held      []api.Problem // those of the brake that are on the board
	plan      *translator.Plan
	endpoints map[types.NamespacedName]translator.Endpoints

	// applied is cfg, for others to read.
	applied atomic.Pointer[snapshot.Config]
	// state is for the admin server; nil until the first complete state has been handed on.
	state atomic.Pointer[pipelineState]
}

// pipelineState says what is served.
type pipelineState struct {
	// Generation counts the configurations that have been applied, from 1.
	Generation uint64
	Applied    time.Time
	Gateways   int
	Tunnels    int
	// Endpoints is the sum over all tunnels of the Pods and addresses in force.
	Endpoints int
	// Partial is how many tunnels have a part of which nothing is known yet: a cluster, or the labels of Pods.
	Partial int
	// Unsynced are the member clusters of which nothing is known yet, sorted.
	Unsynced []string
}

func newPipeline(cfg pipelineConfig) *pipeline {
	envoys, _ := cfg.server.(holdback.Envoys)
	back := holdback.New(holdback.Config{
		Translator: backTranslator, Envoys: envoys, OnProblems: func(problems []api.Problem) { cfg.board.set(partHeldBack, problems) },
		OnLeft: cfg.rejected.Left, Podway: cfg.version, Logger: cfg.log,
	})
	cfg.rejected.Tell = back.Tell
	return &pipeline{
		pipelineConfig: cfg, back: back, endpoints: map[types.NamespacedName]translator.Endpoints{}, translated: make(chan *translation, 1),
	}
}

// backTranslator is what is known of the translator where it is looked for what Envoys reject.
var backTranslator = holdback.Translator{Blame: translator.Blame, TunnelsOf: translator.TunnelsOf}

func newRejections(board *problemBoard) *holdback.Rejections {
	return holdback.NewRejections(backTranslator, func(problems []api.Problem) { board.set(partRejections, problems) })
}

// apply brings the server up to date, and returns when it is.
func (p *pipeline) apply(ctx context.Context, batch watcher.Batch, live pods.Live) {
	switch {
	case batch.Config != nil:
		t := newTranslation(batch)
		t.cfg = p.back.Hold(t.cfg)
		p.date(t)
		p.translate(t, p.plan)
		p.install(ctx, t, live)
	case p.plan != nil:
		p.applyPods(ctx, batch, live)
	}
}

// make makes the endpoints of a tunnel of the Pods that there are, and of those that are held in it.
func (p *pipeline) make(tunnel types.NamespacedName, live pods.Live) translator.Endpoints {
	return p.plan.Endpoints(tunnel, p.brake.Live(tunnel, live))
}

// publishHeld puts on the board which Pods are held. anew is for another configuration: lines may have moved.
func (p *pipeline) publishHeld(anew bool) {
	held := p.brake.Problems()
	if !anew && slices.Equal(held, p.held) {
		return
	}
	p.held = held
	located := make([]api.Problem, len(held))
	for i, problem := range held {
		if tunnel := p.cfg.Tunnels[types.NamespacedName{Namespace: problem.Object.Namespace, Name: problem.Object.Name}]; tunnel != nil {
			problem.Generation = tunnel.Generation
		}
		located[i] = p.cfg.Locate(problem)
	}
	p.board.set(partBrake, located)
}

// atOnce is how many tunnels' endpoints are handed on together. Of a burst, the first need not wait for the last.
const atOnce = 32

// applyPods makes the endpoints of the tunnels that use the changed Services, and hands on those that are not what they were.
// Its work is in proportion to those tunnels.
func (p *pipeline) applyPods(ctx context.Context, batch watcher.Batch, live pods.Live) {
	var seen map[string]xds.Seen
	if len(batch.Stamps) > 0 {
		seen = p.seen(batch)
	}
	problemsChanged := false
	for tunnels := range slices.Chunk(usersOf(p.plan, batch.Changed), atOnce) {
		problemsChanged = p.applyTunnels(ctx, tunnels, seen, live) || problemsChanged
	}
	if problemsChanged {
		p.publishEndpointProblems()
	}
	p.publishHeld(false)
}

// applyTunnels makes and hands on the endpoints of some tunnels, and says whether their Problems changed.
func (p *pipeline) applyTunnels(ctx context.Context, tunnels []types.NamespacedName, seen map[string]xds.Seen, live pods.Live) (problemsChanged bool) {
	var resources []*api.Resource
	state := *p.state.Load()
	for _, tunnel := range tunnels {
		previous, inForce := p.endpoints[tunnel]
		if !inForce {
			continue
		}
		next, kept := keepPointer(previous, p.make(tunnel, live))
		p.endpoints[tunnel] = next
		if !kept {
			resources = append(resources, next.Resource)
			state.Endpoints += next.Count - previous.Count
			state.Partial += partial(next) - partial(previous)
		}
		if !slices.Equal(previous.Problems, next.Problems) {
			problemsChanged = true
		}
	}
	if len(resources) == 0 {
		return problemsChanged
	}
	p.rejected.Changed(resources)
	p.server.SetEndpoints(resources, seen)
	p.lag.published(resources, seen, time.Now())
	p.state.Store(&state)
	p.log.DebugContext(ctx, "Endpoints applied", "tunnels", len(resources))
	return problemsChanged
}

// seen says, by the name of the tunnels' endpoints, when what changed was first seen.
func (p *pipeline) seen(batch watcher.Batch) map[string]xds.Seen {
	stamps := map[string]watcher.Stamp{}
	for service, stamp := range batch.Stamps {
		for _, tunnel := range p.plan.Users(service) {
			name := translator.TunnelResource(tunnel)
			stamps[name] = stamps[name].Older(stamp)
		}
	}
	seen := make(map[string]xds.Seen, len(stamps))
	for name, stamp := range stamps {
		seen[name] = xds.Seen(stamp)
	}
	return seen
}

// describe says what is served after a configuration has been applied.
func (p *pipeline) describe() *pipelineState {
	state := &pipelineState{Generation: 1, Applied: time.Now(), Gateways: len(p.plan.Gateways()), Tunnels: len(p.endpoints)}
	if before := p.state.Load(); before != nil {
		state.Generation = before.Generation + 1
	}
	for _, endpoints := range p.endpoints {
		state.Endpoints += endpoints.Count
		state.Partial += partial(endpoints)
	}
	for name := range p.cfg.MemberClusters {
		if p.cfg.Synced[name].IsEmpty() {
			state.Unsynced = append(state.Unsynced, name)
		}
	}
	slices.Sort(state.Unsynced)
	return state
}

// partial counts endpoints that are not all of which something will be known.
func partial(endpoints translator.Endpoints) int {
	if endpoints.Resource != nil && endpoints.Resource.Partial {
		return 1
	}
	return 0
}

func (p *pipeline) publishConfigProblems() {
	p.board.set(partConfiguration, slices.Concat(p.cfg.Problems, p.plan.Problems()))
}

func (p *pipeline) publishEndpointProblems() {
	var problems []api.Problem // in no order: the board sorts
	for _, endpoints := range p.endpoints {
		for _, problem := range endpoints.Problems {
			problems = append(problems, p.cfg.Locate(problem))
		}
	}
	p.board.set(partEndpoints, problems)
}

// usersOf returns the tunnels that use any of the Services, sorted, each once.
func usersOf(plan *translator.Plan, services []pods.ServiceKey) []types.NamespacedName {
	var tunnels []types.NamespacedName
	for _, service := range services {
		tunnels = append(tunnels, plan.Users(service)...)
	}
	slices.SortFunc(tunnels, api.CompareNames)
	return slices.Compact(tunnels)
}

// keepPointer returns next with the previous resource where both are the same, and whether they are: the pointer is what tells the
// server that nothing changed.
func keepPointer(previous, next translator.Endpoints) (translator.Endpoints, bool) {
	if !previous.Resource.Equal(next.Resource) {
		return next, false
	}
	next.Resource = previous.Resource
	return next, true
}
