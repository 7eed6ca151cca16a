package main

import (
	"cmp"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/translator"
	"github.com/podway/podway/xds"
)

const (
	// verdictGrace is how long the Envoys that have not answered yet are waited for, before those that have decide.
	verdictGrace = 3 * time.Second
	// askEvery is how often they are asked meanwhile, and askSeldom, once it has taken longer than the grace.
	askEvery  = 20 * time.Millisecond
	askSeldom = time.Second
	// outvotedBy is how many Envoys must have accepted what one rejects, for that one to be on its own with it.
	outvotedBy = 10
)

// holdback keeps back what Envoys reject, part by part: it decides which
// parts of the configuration are made in their last accepted form. What Envoys
// say comes in by tell; everything else belongs to the pipeline's goroutine.
type holdback struct {
	log   *slog.Logger
	board *problemBoard
	// answers asks the Envoys about the content that is served; nil is as if there were none.
	answers func(api.ResourceKey) xds.Answers
	// wake asks for judge to be called.
	wake chan struct{}

	mu   sync.Mutex
	told map[api.ResourceKey]xds.Rejection // by mu

	cfg  *snapshot.Config
	held map[api.Part]*heldPart
	// trials are in the order of their beginning.
	trials []*trial
	served map[api.ResourceKey]*api.Resource
	// before are the sources of the last content of a resource that was served before the present one and that nobody rejected.
	before map[api.ResourceKey][]api.Source
}

// heldPart is a part that is not made in its present form.
type heldPart struct {
	// rejected is the form that is held back: once the part has another, it is let go.
	rejected any
	hold     snapshot.Hold
	// guilty is false for one of several suspects, until its turn comes.
	guilty bool
	// lowered counts how often another form was found to be rejected too.
	lowered int
	// What it is held for.
	view, resource, message, field string
}

func newHoldback(board *problemBoard, log *slog.Logger) *holdback {
	return &holdback{
		log: log, board: board, wake: make(chan struct{}, 1), told: map[api.ResourceKey]xds.Rejection{},
		held: map[api.Part]*heldPart{}, before: map[api.ResourceKey][]api.Source{},
	}
}

// tell notes a rejection. It is called by the goroutines of streams.
func (h *holdback) tell(rejection xds.Rejection) {
	h.mu.Lock()
	if _, there := h.told[rejection.Key]; there || len(h.told) < maxRejections {
		h.told[rejection.Key] = rejection
	}
	h.mu.Unlock()
	h.poke()
}

func (h *holdback) poke() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// hold is the configuration with what is held back of it. What has changed since, or gone, is let go first: it has a chance of its own.
func (h *holdback) hold(cfg *snapshot.Config) *snapshot.Config {
	if cfg != h.cfg {
		for part, held := range h.held {
			if form, _, _ := formOf(cfg, part); form == nil || !sameForm(form, held.rejected) {
				delete(h.held, part)
			}
		}
		for _, t := range h.trials {
			t.changed()
		}
	}
	if len(h.held) == 0 && len(cfg.Holds) == 0 {
		h.cfg = cfg
		return cfg
	}
	later := *cfg
	later.Holds = make(map[api.Part]snapshot.Hold, len(h.held))
	for part, held := range h.held {
		later.Holds[part] = held.hold
	}
	h.cfg = &later
	return h.cfg
}

// dated is told that a configuration goes on as another one, which differs in the time alone.
func (h *holdback) dated(before, after *snapshot.Config) {
	if h.cfg == before {
		h.cfg = after
	}
}

// replaced is told what is served from now on.
func (h *holdback) replaced(views map[string][]*api.Resource) {
	next := make(map[api.ResourceKey]*api.Resource, len(h.served))
	for _, resources := range views {
		for _, resource := range resources {
			if len(resource.Sources) > 0 {
				next[resource.ResourceKey] = resource
			}
		}
	}
	h.mu.Lock()
	for key, resource := range h.served {
		_, rejected := h.told[key]
		switch now := next[key]; {
		case now == nil && h.trial(key) == nil:
			delete(h.before, key)
		case now != resource && !rejected && h.trial(key) == nil:
			h.before[key] = resource.Sources
		}
	}
	h.mu.Unlock()
	h.served = next
	for _, t := range h.trials {
		if resource := next[t.key]; resource != t.resource {
			t.resource, t.since = resource, time.Now()
		}
	}
	h.publish()
}

func (h *holdback) trial(key api.ResourceKey) *trial {
	for _, t := range h.trials {
		if t.key == key {
			return t
		}
	}
	return nil
}

// judge looks at what Envoys say of what is served, and returns whether that changes what is held back: then hold is to be called, and what
// comes of it put in force.
func (h *holdback) judge(now time.Time) bool {
	h.hear(now)
	changed := false
	again := time.Duration(0)
	for _, t := range slices.Clone(h.trials) {
		verdict := h.verdict(t, now)
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
		if changed = h.decide(t, verdict); changed {
			break
		}
		if !t.stuck {
			h.end(t)
		}
	}
	if again > 0 && !changed {
		time.AfterFunc(again, h.poke)
	}
	return changed
}

// hear begins a trial of each resource that was rejected as it is served.
func (h *holdback) hear(now time.Time) {
	h.mu.Lock()
	told := h.told
	h.told = map[api.ResourceKey]xds.Rejection{}
	h.mu.Unlock()
	var begun []*trial
	for key, rejection := range told {
		t := h.trial(key)
		switch {
		case h.served[key] == nil:
		case t == nil:
			begun = append(begun, &trial{key: key, rejection: rejection, resource: h.served[key], since: now})
		default:
			t.rejection, t.stuck = rejection, false
		}
	}
	slices.SortFunc(begun, func(a, b *trial) int {
		return cmp.Or(strings.Compare(a.key.Type, b.key.Type), strings.Compare(a.key.Name, b.key.Name))
	})
	h.trials = append(h.trials, begun...)
}

func (h *holdback) end(t *trial) {
	h.trials = slices.DeleteFunc(h.trials, func(other *trial) bool { return other == t })
}

// verdict is what the Envoys think of a resource.
type verdict struct {
	xds.Answers
	undecided, rejected bool
}

// verdict waits for all Envoys to answer, or for the grace to be over. A few among many that accept are on their own: they keep what they
// have, and nobody else has to wait for them.
func (h *holdback) verdict(t *trial, now time.Time) verdict {
	v := verdict{}
	if t.resource == nil || h.answers == nil {
		return v
	}
	v.Answers = h.answers(t.key)
	answered := v.Accepted + v.Rejected
	switch {
	case v.Waiting > 0 && (now.Sub(t.since) < verdictGrace || answered == 0):
		v.undecided = true
	case answered == 0:
		v.undecided = t.begun // somebody will come, perhaps
	default:
		v.rejected = v.Rejected > 0 && v.Accepted < outvotedBy*v.Rejected
	}
	return v
}

// publish puts on the board what is held back. What is only suspected is not told: that takes no longer than a few answers.
func (h *holdback) publish() {
	var problems []api.Problem // in no order: the board sorts
	for part, held := range h.held {
		if held.guilty {
			problems = append(problems, h.cfg.Locate(held.problem(h.cfg, part)))
		}
	}
	h.board.set(partHeldBack, problems)
}

func (p *heldPart) problem(cfg *snapshot.Config, part api.Part) api.Problem {
	_, generation, field := formOf(cfg, part)
	instead := "its last accepted form stays in force"
	switch {
	case p.hold.Form != nil:
	case p.hold.Refused:
		instead = "what it matches is answered 500, for no accepted form of it is known"
	default:
		instead = "it is left out, for no accepted form of it is known"
	}
	return api.Problem{
		Code: codeRejectedByEnvoy, Severity: api.Error, Object: part.ObjectRef, Generation: generation, Field: cmp.Or(p.field, field),
		Message: "Envoys of the Gateway " + p.view + " reject " + p.resource + " with it: " + strings.TrimRight(p.message, ".\n ") + "; " + instead,
		Remedy:  "change what the message names",
	}
}

// blame notes what a part is held for.
func (p *heldPart) blame(t *trial, part api.Part) {
	p.view, p.resource, p.message, p.field = t.rejection.View, t.key.Name, t.rejection.Message, ""
	if t.blamed.ObjectRef == part.ObjectRef {
		p.field = t.field
	}
}

// accuse finds out whom Envoy's message points at.
func (t *trial) accuse(resource *api.Resource) {
	t.blamed, t.field = translator.Blame(resource, t.rejection.Message)
}
