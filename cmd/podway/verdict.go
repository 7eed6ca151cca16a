package main

import (
	"slices"
	"time"

	"github.com/podway/podway/api"
	"github.com/podway/podway/xds"
)

// verdictGrace is how long the Envoys that have not answered yet are waited for, before those that have decide.
const verdictGrace = 3 * time.Second

// verdict is what the Envoys think of a resource.
type verdict struct {
	xds.Answers
	undecided, rejected bool
}

// verdict waits for all Envoys to answer, or for the grace to be over. Then those that have decide. Where more accept than reject, those that reject are
// on their own: they keep what they have, and nobody else has to wait for them. With as many, what both can have is better than that.
func (h *holdback) verdict(t *trial, now time.Time, envoys electorate) verdict {
	v := verdict{}
	if t.resource == nil {
		return v
	}
	v.Answers = envoys.Answers(h.gateway, t.key)
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
// connect after a restart. It returns whether there was any. No search is under way meanwhile.
func (h *holdback) reopen(now time.Time, envoys electorate) (reopened bool) {
	if slices.ContainsFunc(h.trials, func(t *trial) bool { return t.begun && !t.stuck }) || !h.mayTurn(now) {
		return false
	}
	count := map[api.ResourceKey]int{}
	for part, held := range h.held {
		if _, counted := count[held.key]; !counted {
			count[held.key] = voters(envoys.Answers(h.gateway, held.key))
		}
		if held.guilty && count[held.key] > 2*held.voters {
			delete(h.held, part)
			reopened = true
		}
	}
	if reopened {
		h.turns--
	}
	return reopened
}

// voters is how many Envoys have a say in a resource.
func voters(answers xds.Answers) int {
	return answers.Accepted + answers.Waiting + len(answers.Rejected)
}
