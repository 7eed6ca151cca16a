package holdback

import (
	"slices"
	"time"

	"github.com/podway/podway/api"
)

// verdictGrace is how long the Envoys that have not answered yet are waited for, before those that have decide.
const verdictGrace = 3 * time.Second

// verdict is what the Envoys think of a resource.
type verdict struct {
	api.Answers
	undecided, rejected bool
}

// verdict waits for all Envoys to answer, or for the grace to be over. Then those that have decide. Where more accept than reject, those that reject are
// a minority, and nobody else has to wait for them. With as many, all have what both can.
func (h *holdback) verdict(t *trial, now time.Time, envoys Envoys) verdict {
	v := verdict{}
	if t.resource == nil {
		return v
	}
	v.Answers = envoys.Answers(h.view, t.key)
	rejected := len(v.Rejected)
	answered := v.Accepted + rejected
	// What they had is known, unless podway has been restarted: then there may be others that have yet to come back.
	restarted := !t.begun && rejected > 0 && v.Had == nil && !v.HadNothing && h.before[t.key] == nil
	switch {
	case restarted && now.Sub(t.since) < verdictGrace:
		v.undecided = true
	case v.Waiting > 0 && (now.Sub(t.since) < verdictGrace || answered == 0):
		v.undecided = true
	case answered == 0:
		v.undecided = t.begun // somebody will come, perhaps
	default:
		v.rejected = rejected > 0 && v.Accepted <= rejected
	}
	return v
}

// reopen lets in again what so few Envoys rejected that they are less than half of those that are there now, as where one of many was the first to
// connect after a restart, and what was rejected by Envoys that are not there any more, or have been started anew, while there are any. It returns whether there was any. No search is
// under way meanwhile.
func (h *holdback) reopen(now time.Time, envoys Envoys) (reopened bool) {
	if slices.ContainsFunc(h.trials, func(t *trial) bool { return t.begun && !t.stuck }) || !h.mayTurn(now) {
		return false
	}
	for part, held := range h.held {
		if !held.guilty {
			continue
		}
		asking, present := envoys.Asking(h.view, held.key, held.isStill)
		switch {
		case present:
			held.gone = time.Time{}
		case held.gone.IsZero():
			held.gone = now
		}
		outvoted := asking > 2*held.voters
		left := !present && asking > 0 && now.Sub(held.gone) >= h.patience(part, held)
		if left && !outvoted {
			h.pardon(part, held)
		}
		if left || outvoted {
			delete(h.held, part)
			reopened = true
		}
	}
	if reopened {
		h.turns--
	}
	return reopened
}

const (
	// goneFor is how long Envoys that rejected something have to be away until those that are there are asked anew; each time that the same
	// was rejected again, it is twice as long, so that one that comes and goes does not have the others change each time.
	goneFor = 5 * time.Second
	// goneAfterRestart is the least for those of before a restart of podway: as long as an Envoy may take to come back.
	goneAfterRestart = 40 * time.Second
	maxPardons       = 6
)

// pardoned is how often the form that a part has was let in again because those that had rejected it were gone.
type pardoned struct {
	form  any
	times int
}

// patience is how long those that rejected a part have to be away.
func (h *holdback) patience(part api.Part, held *heldPart) time.Duration {
	wait := goneFor << h.pardons[part].times
	if held.remembered {
		wait = max(wait, goneAfterRestart)
	}
	return wait
}

func (h *holdback) pardon(part api.Part, held *heldPart) {
	h.pardons[part] = pardoned{form: held.rejected, times: min(h.pardons[part].times+1, maxPardons)}
	h.log.Info("Tried again what Envoys rejected that are not there any more", "object", part.String())
}

// isStill is true for an Envoy that rejected it and has not been started anew since: it may have been mended.
func (p *heldPart) isStill(member api.Member, anew time.Time) bool {
	return p.isOf(member.Node, member.Build) && !anew.After(p.at)
}

// isOf is true for an Envoy that rejected it: of the same name, and of the same version where that is known.
func (p *heldPart) isOf(node, build string) bool {
	at := slices.Index(p.nodes, node)
	return at >= 0 && (at >= len(p.builds) || p.builds[at] == build)
}

// voters is how many Envoys have a say in a resource.
func voters(answers api.Answers) int {
	return answers.Accepted + answers.Waiting + len(answers.Rejected)
}
