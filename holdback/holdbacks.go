package holdback

import (
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/api/v1alpha1"
)

const (
	// askEvery is how often Envoys are asked for their answers, and askSeldom, once it has taken longer than the grace.
	askEvery  = 20 * time.Millisecond
	askSeldom = time.Second
	// maxTold bounds the rejections of a Gateway that wait to be looked at.
	maxTold = 1000
)

// Config is what Holdbacks need.
type Config struct {
	Translator Translator
	// Envoys may be nil, as if there were none.
	Envoys Envoys
	// OnProblems is told of all that is held back, in no order, whenever that changes.
	OnProblems func([]api.Problem)
	// OnLeft is told of nodes that had a view and have another one now, whenever Envoys are asked. It may be nil.
	OnLeft func(view string, nodes map[string]bool)
	// Podway is the version that makes the resources: what another one made of an object may be rejected where this one's is not.
	Podway string
	Logger *slog.Logger
}

// Translator is what has to be known of how resources are made.
type Translator struct {
	// Blame says which object, and where it can be told which of its fields, an Envoy's rejection of a resource, with a message, is about.
	Blame func(resource *api.Resource, message string, cfg *snapshot.Config) (owner api.Owner, field string)
	// TunnelsOf are the Tunnels that an HTTPRoute leads to; none for nil.
	TunnelsOf func(*gatewayv1.HTTPRoute) []api.Part
}

// Envoys are those that are asked, and told what is held back: an *xds.Server.
type Envoys interface {
	Answers(view string, key api.ResourceKey) api.Answers
	Asking(view string, key api.ResourceKey, is func(member api.Member, anew time.Time) bool) (envoys int, connected bool)
	SetHeldBack(byView map[string][]api.HeldBack)
	SetMinorities(byView map[string]map[api.Member]struct{})
}

// Holdbacks keeps back what Envoys reject, of each view by itself: what the Envoys of one Gateway say changes nothing for those of another, nor, where
// few of them reject what most take, for those. What Envoys say comes in by Tell, of any goroutine. All else belongs to the one that translates, unless
// a method says otherwise.
type Holdbacks struct {
	config Config
	wake   chan struct{}

	mu   sync.Mutex
	told map[string]map[api.ResourceKey]bool // by mu; by view

	// remembered is what was held back before a restart, until the first configuration is there.
	remembered []api.Holdback
	kept       kept

	cfg    *snapshot.Config
	byView map[string]*holdback
	// minorities are the Envoys that have a view of their own.
	minorities minorities
	asked      time.Time
	again      *time.Timer
}

// New returns Holdbacks that hold nothing back.
func New(cfg Config) *Holdbacks {
	if cfg.OnLeft == nil {
		cfg.OnLeft = func(string, map[string]bool) {}
	}
	return &Holdbacks{
		config: cfg, wake: make(chan struct{}, 1), told: map[string]map[api.ResourceKey]bool{}, byView: map[string]*holdback{},
		minorities: minorities{}, kept: kept{changed: make(chan struct{}, 1)},
	}
}

// Wake has a value when Judge is to be called.
func (h *Holdbacks) Wake() <-chan struct{} { return h.wake }

// Tell notes a rejection. Any goroutine may call it; it does not block.
func (h *Holdbacks) Tell(rejection api.Rejection) {
	h.mu.Lock()
	of := h.told[rejection.View]
	if of == nil {
		of = map[api.ResourceKey]bool{}
		h.told[rejection.View] = of
	}
	if len(of) < maxTold {
		of[rejection.Key] = true
	}
	h.mu.Unlock()
	h.poke()
}

func (h *Holdbacks) poke() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// Hold is the configuration with what is held back of it. What has changed since, or gone, is let go first: it has a chance of its own.
func (h *Holdbacks) Hold(cfg *snapshot.Config) *snapshot.Config {
	if cfg != h.cfg {
		for _, g := range h.byView {
			g.letGo(cfg)
		}
		h.recall(cfg)
	}
	h.cfg = cfg
	if holds, wanted := h.holds(), h.minorities.wanted(); !maps.Equal(holds, cfg.Holds) || !maps.Equal(wanted, cfg.Minorities) {
		later := *cfg
		later.Holds, later.Minorities = holds, wanted
		h.cfg = &later
	}
	return h.cfg
}

// Dated is told that a configuration goes on as another one, which differs in the time alone.
func (h *Holdbacks) Dated(before, after *snapshot.Config) {
	if h.cfg == before {
		h.cfg = after
	}
}

// holds are all parts that are held back. What views share is held back once all that have it reject it: nobody else is hurt by it, and
// until then Envoys that reject it keep what they have.
func (h *Holdbacks) holds() map[snapshot.HoldKey]snapshot.Hold {
	holds := map[snapshot.HoldKey]snapshot.Hold{}
	for _, view := range slices.Sorted(maps.Keys(h.byView)) {
		for part, held := range h.byView[view].held {
			holds[snapshot.HoldKey{View: view, Part: part}] = held.hold
			if !isShared(part) || !held.guilty || held.hold.Form == nil || held.restored && !held.everywhere {
				continue
			}
			switch everywhere := h.agreed(part, held.hold.Form); {
			case !everywhere:
				// It may be that a Gateway has it only since, and because, another form is in force. To try that again would not end.
				held.alone, held.everywhere = held.alone || held.everywhere, false
			case !held.alone:
				held.everywhere = true
				key := snapshot.HoldKey{Part: part}
				if _, there := holds[key]; !there {
					holds[key] = held.hold
				}
			}
		}
	}
	return holds
}

// isShared is true for parts that make resources of their own, which Gateways share.
func isShared(part api.Part) bool { return part.Kind == v1alpha1.KindTunnel || part.Kind == kindSecret }

// agreed is true where each view that has the part holds it back in the same form.
func (h *Holdbacks) agreed(part api.Part, form any) bool {
	for _, g := range h.byView {
		if !g.isServed(part) {
			continue
		}
		if held := g.held[part]; held == nil || !held.guilty || !sameForm(held.hold.Form, form) {
			return false
		}
	}
	return true
}

// Replaced is told what is served from now on, by view.
func (h *Holdbacks) Replaced(views map[string][]*api.Resource) {
	h.mu.Lock()
	maps.DeleteFunc(h.told, func(view string, _ map[api.ResourceKey]bool) bool { return views[view] == nil })
	told := make(map[string]map[api.ResourceKey]bool, len(h.told))
	for view, keys := range h.told {
		told[view] = maps.Clone(keys)
	}
	h.mu.Unlock()
	maps.DeleteFunc(h.byView, func(view string, _ *holdback) bool { return views[view] == nil })
	for view, resources := range views {
		g := h.of(view)
		g.cfg = h.cfg
		if changed := g.replaced(resources, told[view]); changed && h.minorities[view] != nil {
			h.minorities[view].settled = time.Now()
		}
	}
	maps.DeleteFunc(h.minorities, func(view string, _ *minority) bool { return views[api.GatewayOf(view)] == nil })
	if h.config.Envoys != nil {
		h.config.Envoys.SetMinorities(h.minorities.members())
	}
	h.publish()
}

func (h *Holdbacks) of(view string) *holdback {
	g := h.byView[view]
	if g == nil {
		g = newHoldback(view, &h.config)
		h.byView[view] = g
	}
	return g
}

// Judge looks at what Envoys say of what is served, and returns whether that changes what is held back: then Hold is to be called, and what
// comes of it put in force.
func (h *Holdbacks) Judge(now time.Time) bool {
	if h.config.Envoys == nil || h.cfg == nil {
		return false
	}
	if wait := h.asked.Add(askEvery).Sub(now); wait > 0 && wait <= askEvery {
		h.after(wait) // whoever rejects much is not asked more often for it
		return false
	}
	h.asked = now
	h.hear(now)
	changed, again := h.dissolve(now)
	for _, view := range slices.Sorted(maps.Keys(h.byView)) {
		g := h.byView[view]
		turned, wait := g.judge(now, h.config.Envoys)
		parted := h.part(g, now)
		changed = changed || turned || parted
		if wait > 0 && (again == 0 || wait < again) {
			again = wait
		}
	}
	changed = changed || !maps.Equal(h.holds(), h.cfg.Holds)
	if changed {
		h.asked = time.Time{}
	} else if again > 0 {
		h.after(again)
	}
	return changed
}

// after asks for Judge to be called once more, and not for what was asked for before.
func (h *Holdbacks) after(wait time.Duration) {
	if h.again != nil {
		h.again.Stop()
	}
	h.again = time.AfterFunc(wait, h.poke)
}

// hear begins a trial of each resource that was rejected as it is served. What finds no room waits.
func (h *Holdbacks) hear(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for view, told := range h.told {
		g := h.byView[view]
		if g == nil {
			delete(h.told, view)
			continue
		}
		g.hear(told, now)
		if len(told) == 0 {
			delete(h.told, view)
		}
	}
}

// publish tells what is held back. What is only suspected is not told: that takes no longer than a few answers.
func (h *Holdbacks) publish() {
	var problems []api.Problem
	held := map[string][]api.HeldBack{}
	for view, g := range h.byView {
		for part, p := range g.held {
			if p.guilty {
				problems = append(problems, h.cfg.Locate(p.problem(h.cfg, view, part)))
				held[view] = append(held[view], p.heldBack(h.cfg, part))
			}
		}
		slices.SortFunc(held[view], compareHeldBack)
	}
	h.config.OnProblems(problems)
	h.kept.set(h.byView)
	if h.config.Envoys != nil {
		h.config.Envoys.SetHeldBack(held)
	}
}
