package holdback

import (
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/snapshot"
)

const (
	// maxTrials bounds how many resources of a Gateway are looked at at a time.
	maxTrials = 100
	// maxTurns is how often a Gateway may change what it holds back at once, and turnEvery, how often for ever. Each time is a translation.
	maxTurns  = 128
	turnEvery = time.Second
)

// holdback decides which parts of the configuration one view has in their last accepted form.
type holdback struct {
	view       string
	log        *slog.Logger
	translator Translator
	cfg        *snapshot.Config
	held       map[api.Part]*heldPart
	// outvoted are Envoys that reject what most others take, since they were last asked for.
	outvoted []dissent
	// trials are in the order of their beginning.
	trials []*trial
	// resources are all that is served, and served, those with Sources.
	resources []*api.Resource
	served    map[api.ResourceKey]*api.Resource
	// shared are the parts of what is served that other Gateways may have too; nil where they have to be collected, by isServed.
	shared map[api.Part]bool
	// before are the sources of the last content of a resource that was served before the present one and that nobody rejected.
	before map[api.ResourceKey][]api.Source
	// standby are the last accepted forms of parts that were held back before a restart and are not any more.
	standby map[api.Part]standbyForm
	// pardons are of parts whose form has not changed since.
	pardons map[api.Part]pardoned
	// turns are left since turned.
	turns  int
	turned time.Time
}

// standbyForm was accepted in resources of a type.
type standbyForm struct {
	form any
	of   string
}

func newHoldback(view string, cfg *Config) *holdback {
	return &holdback{
		view: view, log: cfg.Logger.With("gateway", api.GatewayOf(view)), translator: cfg.Translator,
		held: map[api.Part]*heldPart{}, served: map[api.ResourceKey]*api.Resource{}, before: map[api.ResourceKey][]api.Source{},
		standby: map[api.Part]standbyForm{}, pardons: map[api.Part]pardoned{}, turns: maxTurns,
	}
}

// letGo lets go what has changed.
func (h *holdback) letGo(cfg *snapshot.Config) {
	for part, held := range h.held {
		if form, _, _ := formOf(cfg, part); form == nil || !sameForm(form, held.rejected) {
			delete(h.held, part)
		}
	}
	for part, before := range h.pardons {
		if form, _, _ := formOf(cfg, part); form == nil || !sameForm(form, before.form) {
			delete(h.pardons, part)
		}
	}
	for _, t := range h.trials {
		t.known = nil
	}
}

// replaced is told what is served from now on, and returns whether that is not what was. told are the resources of which a rejection has not been
// looked at yet.
func (h *holdback) replaced(resources []*api.Resource, told map[api.ResourceKey]bool) (changed bool) {
	for _, held := range h.held {
		held.restored = false
	}
	for _, d := range api.Differences(h.resources, resources) {
		h.differs(d, told)
		changed = true
	}
	h.resources, h.shared = resources, nil
	for _, t := range h.trials {
		resource := h.served[t.key]
		if resource == nil || !resource.Shares(t.resource) {
			t.since, t.stuck = time.Now(), false
		}
		t.resource = resource
	}
	return changed
}

// differs takes up a resource that is not served as it was. Those without Sources, which are most, are of no concern.
func (h *holdback) differs(d api.Difference, told map[api.ResourceKey]bool) {
	key, now := d.Key(), d.After
	was, tried := h.served[key], h.trial(key) != nil
	switch {
	case now != nil && len(now.Sources) > 0:
		if was != nil && !now.Shares(was) && !told[key] && !tried {
			h.before[key] = was.Sources
		}
		h.served[key] = now
	case was != nil:
		if !tried {
			delete(h.before, key)
		}
		delete(h.served, key)
	}
}

// isServed says whether a part that other Gateways may have too is in what is served.
func (h *holdback) isServed(shared api.Part) bool {
	if h.shared == nil { // seldom asked, and long
		h.shared = map[api.Part]bool{}
		for _, resource := range h.served {
			for _, source := range resource.Sources {
				if isShared(source.Part) {
					h.shared[source.Part] = true
				}
			}
		}
	}
	return h.shared[shared]
}

func (h *holdback) trial(key api.ResourceKey) *trial {
	for _, t := range h.trials {
		if t.key == key {
			return t
		}
	}
	return nil
}

// hear begins trials, and takes out of told what it has heard.
func (h *holdback) hear(told map[api.ResourceKey]bool, now time.Time) {
	for _, key := range slices.SortedFunc(maps.Keys(told), api.ResourceKey.Compare) {
		t, resource := h.trial(key), h.served[key]
		switch {
		case resource == nil:
		case t != nil:
			t.stuck = false
		case len(h.trials) >= maxTrials:
			h.forgetStuck()
			if len(h.trials) >= maxTrials {
				return
			}
			fallthrough
		default:
			h.trials = append(h.trials, &trial{key: key, resource: resource, since: now})
		}
		delete(told, key)
	}
}

// forgetStuck makes room: nothing can be done about those until somebody rejects them again, or they change.
func (h *holdback) forgetStuck() {
	h.trials = slices.DeleteFunc(h.trials, func(t *trial) bool { return t.stuck })
}

// judge takes the next step of the trials, and returns whether that changes what is held back; where not, it says when to ask again, 0 for
// not before there is something new.
func (h *holdback) judge(now time.Time, envoys Envoys) (changed bool, again time.Duration) {
	if h.reopen(now, envoys) {
		return true, 0
	}
	for _, t := range slices.Clone(h.trials) {
		if t.stuck {
			continue
		}
		verdict := h.verdict(t, now, envoys)
		if verdict.undecided {
			wait := askEvery
			if now.Sub(t.since) > verdictGrace {
				wait = askSeldom
			}
			if again == 0 || wait < again {
				again = wait
			}
			if t.begun && wait == askEvery {
				break // one search at a time, or they would find each other's suspects
			}
			continue
		}
		if !h.mayTurn(now) {
			return false, turnEvery
		}
		if h.disagrees(t, verdict) {
			h.outvoted = append(h.outvoted, verdict.dissents(t.key)...)
			return false, askEvery // it goes on with the others
		}
		if h.decide(t, verdict, now) {
			h.turns--
			return true, 0
		}
		if !t.stuck {
			h.trials = slices.DeleteFunc(h.trials, func(other *trial) bool { return other == t })
			h.outvoted = append(h.outvoted, verdict.dissents(t.key)...)
		}
	}
	if again == 0 && len(h.held) > 0 {
		again = askSeldom // more Envoys may come
	}
	return false, again
}

// mayTurn is false for a Gateway whose Envoys have changed their minds too often.
func (h *holdback) mayTurn(now time.Time) bool {
	if more := int(now.Sub(h.turned) / turnEvery); more > 0 {
		h.turns, h.turned = min(h.turns+more, maxTurns), now
	}
	return h.turns > 0
}
