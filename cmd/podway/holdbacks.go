package main

import (
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/api/v1alpha1"
	"github.com/podway/podway/watcher/memory"
	"github.com/podway/podway/xds"
)

const (
	// askEvery is how often Envoys are asked for their answers, and askSeldom, once it has taken longer than the grace.
	askEvery  = 20 * time.Millisecond
	askSeldom = time.Second
	// maxTold bounds the rejections of a Gateway that wait to be looked at.
	maxTold = 1000
)

// electorate is who is asked: an *xds.Server.
type electorate interface {
	Answers(view string, key api.ResourceKey) xds.Answers
	Asking(view string, key api.ResourceKey, is func(node, build string) bool) (envoys int, connected bool)
	SetHeldBack(byView map[string][]xds.HeldBack)
	SetMinorities(byView map[string]map[xds.Member]struct{})
}

// holdbacks keeps back what Envoys reject, of each view by itself: what the Envoys of one Gateway say changes nothing for those of another, nor, where
// few of them reject what most take, for those. What Envoys say comes in by tell; everything else belongs to the pipeline's goroutine.
type holdbacks struct {
	log   *slog.Logger
	board *problemBoard
	// envoys may be nil, as if there were none.
	envoys electorate
	// left is told of nodes that had a view and have another one now, whenever Envoys are asked.
	left func(view string, nodes map[string]bool)
	// wake asks for judge to be called.
	wake chan struct{}

	mu   sync.Mutex
	told map[string]map[api.ResourceKey]bool // by mu; by view

	// remembered is what was held back before a restart, until the first configuration is there.
	remembered []memory.Holdback
	kept       keptHoldbacks

	cfg    *snapshot.Config
	byView map[string]*holdback
	// minorities are the Envoys that have a view of their own.
	minorities minorities
	asked      time.Time
	again      *time.Timer
}

func newHoldbacks(board *problemBoard, log *slog.Logger) *holdbacks {
	return &holdbacks{
		log: log, board: board, wake: make(chan struct{}, 1),
		told: map[string]map[api.ResourceKey]bool{}, byView: map[string]*holdback{}, minorities: minorities{}, kept: keptHoldbacks{changed: make(chan struct{}, 1)},
	}
}

// tell notes a rejection. It is called by the goroutines of streams.
func (h *holdbacks) tell(rejection xds.Rejection) {
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

func (h *holdbacks) poke() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// hold is the configuration with what is held back of it. What has changed since, or gone, is let go first: it has a chance of its own.
func (h *holdbacks) hold(cfg *snapshot.Config) *snapshot.Config {
	if cfg != h.cfg {
		for _, g := range h.byView {
			g.letGo(cfg)
		}
		h.restore(cfg)
	}
	h.cfg = cfg
	if holds, wanted := h.holds(), h.minorities.wanted(); !maps.Equal(holds, cfg.Holds) || !maps.Equal(wanted, cfg.Minorities) {
		later := *cfg
		later.Holds, later.Minorities = holds, wanted
		h.cfg = &later
	}
	return h.cfg
}

// dated is told that a configuration goes on as another one, which differs in the time alone.
func (h *holdbacks) dated(before, after *snapshot.Config) {
	if h.cfg == before {
		h.cfg = after
	}
}

// holds are all parts that are held back. What views share is held back once all that have it reject it: nobody else is hurt by it, and
// until then Envoys that reject it keep what they have.
func (h *holdbacks) holds() map[snapshot.HoldKey]snapshot.Hold {
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
func (h *holdbacks) agreed(part api.Part, form any) bool {
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

// replaced is told what is served from now on, by view.
func (h *holdbacks) replaced(views map[string][]*api.Resource) {
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
	if h.envoys != nil {
		h.envoys.SetMinorities(h.minorities.members())
	}
	h.publish()
}

func (h *holdbacks) of(view string) *holdback {
	g := h.byView[view]
	if g == nil {
		g = newHoldback(view, h.log)
		h.byView[view] = g
	}
	return g
}

// judge looks at what Envoys say of what is served, and returns whether that changes what is held back: then hold is to be called, and what
// comes of it put in force.
func (h *holdbacks) judge(now time.Time) bool {
	if h.envoys == nil || h.cfg == nil {
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
		turned, wait := g.judge(now, h.envoys)
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

// after asks for judge to be called once more, and not for what was asked for before.
func (h *holdbacks) after(wait time.Duration) {
	if h.again != nil {
		h.again.Stop()
	}
	h.again = time.AfterFunc(wait, h.poke)
}

// hear begins a trial of each resource that was rejected as it is served. What finds no room waits.
func (h *holdbacks) hear(now time.Time) {
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
func (h *holdbacks) publish() {
	var problems []api.Problem // in no order: the board sorts
	held := map[string][]xds.HeldBack{}
	for view, g := range h.byView {
		for part, p := range g.held {
			if p.guilty {
				problems = append(problems, h.cfg.Locate(p.problem(h.cfg, view, part)))
				held[view] = append(held[view], p.heldBack(h.cfg, part))
			}
		}
		slices.SortFunc(held[view], compareHeldBack)
	}
	h.board.set(partHeldBack, problems)
	h.kept.set(h.byView)
	if h.envoys != nil {
		h.envoys.SetHeldBack(held)
	}
}
