package controlplane

import (
	"context"
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/pods"
	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/translator"
	"github.com/podway/podway/watcher"
	"github.com/podway/podway/watcher/brake"
)

// translation is a configuration on its way to a plan, with the Pods that go with it.
type translation struct {
	cfg   *snapshot.Config
	begun time.Time
	// changed are the Services whose Pods came with the configuration, or are of a tunnel that waits for it, and their stamps.
	changed map[pods.ServiceKey]watcher.Stamp
	// onlyDates is true for a configuration that differs in the time alone.
	onlyDates bool

	// What it became. uses and settings are for the brake.
	plan     *translator.Plan
	uses     map[types.NamespacedName][]pods.Use
	settings map[string]brake.Settings
}

func newTranslation(batch watcher.Batch) *translation {
	t := &translation{cfg: batch.Config, begun: time.Now(), changed: map[pods.ServiceKey]watcher.Stamp{}}
	t.wait(batch)
	return t
}

// wait adds Pods that are to be looked at once the translation is there.
func (t *translation) wait(batch watcher.Batch) {
	for _, key := range batch.Changed {
		t.changed[key] = t.changed[key].Older(batch.Stamps[key])
	}
}

// batch is what waited.
func (t *translation) batch() watcher.Batch {
	stamps := maps.Clone(t.changed)
	maps.DeleteFunc(stamps, func(_ pods.ServiceKey, stamp watcher.Stamp) bool { return stamp == watcher.Stamp{} })
	return watcher.Batch{Changed: slices.Collect(maps.Keys(t.changed)), Stamps: stamps}
}

// run applies what the lanes hold until the context ends. It closes first once a whole configuration has been handed to the server.
func (p *pipeline) run(ctx context.Context, lanes *watcher.Lanes, first chan<- struct{}) {
	dates := time.NewTicker(checkDatesEvery)
	defer dates.Stop()
	for {
		select {
		case <-ctx.Done():
			if p.coming != nil {
				<-p.translated // it reads what others may be about to end
			}
			return
		case now := <-dates.C:
			p.checkDates(now)
		case <-p.back.Wake():
			p.judge()
		case done := <-p.translated:
			p.finish(ctx, done, lanes.Live)
		case <-lanes.Changed():
			p.take(ctx, p.gather(lanes), lanes.Live)
		}
		if first != nil && p.plan != nil {
			close(first)
			first = nil
		}
	}
}

// gatherFor is how long Pods wait for others that lose readiness together with them: what arrives in one piece, as when a watch is resumed, is
// read within that time.
const gatherFor = 3 * time.Millisecond

// gather takes what changed. Where so many Pods of a tunnel lost readiness that with the next they may all stay, it waits a moment for that: to take
// them out and bring them back would close connections for nothing.
func (p *pipeline) gather(lanes *watcher.Lanes) watcher.Batch {
	batch := lanes.Take()
	if p.plan == nil || !p.brake.Gathering() {
		return batch
	}
	until := time.NewTimer(gatherFor)
	defer until.Stop()
	for {
		select {
		case <-until.C:
			return batch
		case <-lanes.Changed():
			batch = batch.And(lanes.Take())
		}
	}
}

// take takes up what changed. Pods that came together with a configuration, and those of tunnels that such Pods are of, wait for its plan: all of
// it counts, or nothing. All others do not wait.
func (p *pipeline) take(ctx context.Context, batch watcher.Batch, live pods.Live) {
	switch {
	case p.plan == nil: // Nobody is served yet.
		p.apply(ctx, batch, live)
	case batch.Config != nil:
		p.begin(newTranslation(batch))
	case p.coming == nil:
		p.applyPods(ctx, batch, live)
	default:
		waiting, free := p.divide(batch)
		p.last().wait(waiting)
		p.applyPods(ctx, free, live)
	}
}

// begin translates, at once or after the translation that another goroutine is at. Of those that wait only the latest counts.
func (p *pipeline) begin(t *translation) {
	switch {
	case p.coming == nil:
		if !t.onlyDates {
			t.cfg = p.back.Hold(t.cfg)
		}
		p.date(t)
		p.coming = t
		before := p.plan
		go func() {
			p.translate(t, before)
			p.translated <- t
		}()
	case p.next == nil:
		p.next = t
	default:
		t.wait(p.next.batch())
		t.begun = p.next.begun
		p.next = t
	}
}

// last is the translation that Pods wait for.
func (p *pipeline) last() *translation {
	if p.next != nil {
		return p.next
	}
	return p.coming
}

// divide says which Pods must wait for a translation.
func (p *pipeline) divide(batch watcher.Batch) (waiting, free watcher.Batch) {
	held := p.waitingTunnels(p.coming, p.next)
	free.Stamps, waiting.Stamps = batch.Stamps, batch.Stamps
	if len(held) == 0 {
		free.Changed = batch.Changed
		return waiting, free
	}
	free.Stamps = maps.Clone(batch.Stamps)
	for _, key := range batch.Changed {
		if slices.ContainsFunc(p.plan.Users(key), func(tunnel types.NamespacedName) bool { return held[tunnel] }) {
			waiting.Changed = append(waiting.Changed, key)
			delete(free.Stamps, key)
		} else {
			free.Changed = append(free.Changed, key)
		}
	}
	return waiting, free
}

// waitingTunnels are those with Pods that wait for one of the translations.
func (p *pipeline) waitingTunnels(translations ...*translation) map[types.NamespacedName]bool {
	held := map[types.NamespacedName]bool{}
	for _, t := range translations {
		if t == nil {
			continue
		}
		for key := range t.changed {
			for _, tunnel := range p.plan.Users(key) {
				held[tunnel] = true
			}
		}
	}
	return held
}

// finish puts a translation in force, and begins the next.
func (p *pipeline) finish(ctx context.Context, done *translation, live pods.Live) {
	p.coming = nil
	if !done.onlyDates || !slices.Equal(done.plan.Problems(), p.plan.Problems()) {
		p.install(ctx, done, live)
	}
	judged := p.back.Judge(time.Now())
	next := p.next
	p.next = nil
	switch {
	case next != nil:
		p.begin(next)
	case judged:
		p.begin(newTranslation(watcher.Batch{Config: p.cfg}))
	}
}

// judge looks at what Envoys rejected. While a translation is under way that waits: it may be about what they will have then.
func (p *pipeline) judge() {
	if p.plan != nil && p.coming == nil && p.back.Judge(time.Now()) {
		p.begin(newTranslation(watcher.Batch{Config: p.cfg}))
	}
}

// translate makes all that does not depend on Pods. It reads nothing that the pipeline's own goroutine changes.
func (p *pipeline) translate(t *translation, before *translator.Plan) {
	t.plan = translator.Translate(t.cfg, before)
	t.uses = make(map[types.NamespacedName][]pods.Use, len(t.plan.AllTunnels()))
	for _, tunnel := range t.plan.AllTunnels() {
		t.uses[tunnel] = t.plan.Uses(tunnel)
	}
	t.settings = make(map[string]brake.Settings, len(t.cfg.MemberClusters))
	for name, cluster := range t.cfg.MemberClusters {
		t.settings[name] = brake.Of(cluster.Spec.Brake)
	}
	for _, view := range t.plan.Views() {
		p.server.Prepare(t.plan.Resources(view))
	}
}

// install puts a plan in force and replaces every view. Endpoints are made for the tunnels that changed, and for those whose Pods did.
func (p *pipeline) install(ctx context.Context, t *translation, live pods.Live) {
	before := p.plan
	if t.onlyDates {
		p.back.Dated(p.cfg, t.cfg)
	}
	p.plan, p.cfg = t.plan, t.cfg
	p.applied.Store(t.cfg)
	if p.onApplied != nil {
		p.onApplied(t.plan)
	}
	p.brake.Configure(t.uses, t.settings)
	batch := t.batch()
	stale := make(map[types.NamespacedName]bool)
	for _, tunnel := range usersOf(p.plan, batch.Changed) {
		stale[tunnel] = true
	}
	var changed []*api.Resource
	later := p.waitingTunnels(p.next)
	for _, tunnel := range p.plan.AllTunnels() {
		old, known := p.endpoints[tunnel]
		if !known || !later[tunnel] && (stale[tunnel] || !p.plan.SameTunnel(tunnel, before)) {
			var kept bool
			if old, kept = keepPointer(old, p.make(tunnel, live)); !kept {
				changed = append(changed, old.Resource)
			}
			p.endpoints[tunnel] = old
		}
	}
	if len(p.endpoints) > len(p.plan.AllTunnels()) {
		maps.DeleteFunc(p.endpoints, func(tunnel types.NamespacedName, _ translator.Endpoints) bool { return !p.plan.InForce(tunnel) })
	}
	served := p.plan.Served(p.endpoints)
	p.rejected.Replaced(t.cfg, served)
	p.back.Replaced(served)
	p.server.SetViews(served)
	p.lag.published(changed, p.seen(batch), time.Now())
	p.publishConfigProblems()
	p.publishEndpointProblems()
	p.publishHeld(true)

	state := p.describe()
	had := p.state.Swap(state)
	if state.Gateways == 0 && (had == nil || had.Gateways > 0) {
		// No object is at fault, so that it is no Problem; but most likely the directory is not the one that was meant, or something has emptied it.
		p.log.WarnContext(ctx, "The configuration has no Gateway: no Envoy is served anything", "remedy", "see that --config is the directory that was meant, and has a Gateway in it")
	}
	p.log.InfoContext(ctx, "Configuration applied", "generation", state.Generation, "objects", t.cfg.Objects(), "gateways", state.Gateways,
		"tunnels", state.Tunnels, "endpoints", state.Endpoints, "problems", p.board.len(), "took", time.Since(t.begun))
}

// date has no configuration be older than the one before: one that was read long ago, and is joined with what was learned of a cluster just now, must
// not bring back what certificates said then.
func (p *pipeline) date(t *translation) {
	if !t.cfg.Now.Before(p.now) {
		p.now = t.cfg.Now
		return
	}
	later := *t.cfg
	later.Now = p.now
	p.back.Dated(t.cfg, &later)
	t.cfg = &later
}

// checkDates looks at the certificates' dates again, for time passes without a
// change of the configuration too. Where they say nothing new, nothing happens.
func (p *pipeline) checkDates(now time.Time) {
	if p.cfg == nil || p.coming != nil {
		return // what is coming has been read just now
	}
	later := *p.cfg
	later.Now = now
	t := newTranslation(watcher.Batch{Config: &later})
	t.onlyDates = true
	p.begin(t)
}
