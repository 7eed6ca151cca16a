package controlplane

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/pods"
	"github.com/podway/podway/translator"
)

const (
	// checkClashesEvery is how late it is told that Pods of two tunnels have one address. It takes all Pods that there are (see
	// translator.Plan.Clashes), so it is nothing for the lanes; checks take no more of the time than one part in checkClashesShare.
	checkClashesEvery = 5 * time.Second
	checkClashesShare = 100
	// maxClashesTold is how many tunnels are told of one by one.
	maxClashesTold = 100
)

// clashWatch tells of Pods of two clusters that have one address, in two tunnels. All of it but plan belongs to the goroutine that runs it.
type clashWatch struct {
	// plan is the one in force; nil for none yet.
	plan atomic.Pointer[translator.Plan]
	live pods.Live
	// served is what is replaced whenever other endpoints are.
	served *atomic.Pointer[pipelineState]
	tell   func([]api.Problem)

	checked *pipelineState
	told    []translator.Clash
	problem []api.Problem
}

// run checks until the context ends.
func (w *clashWatch) run(ctx context.Context) error {
	return nowAndThen(ctx, checkClashesEvery, checkClashesShare, func(time.Time) { w.check() })
}

// check looks at all Pods again, if others are served than the last time.
func (w *clashWatch) check() {
	served, plan := w.served.Load(), w.plan.Load()
	if served == nil || plan == nil || served == w.checked {
		return
	}
	w.checked = served
	w.told = plan.Clashes(w.live, w.told)
	problems := plan.ClashProblems(w.told[:min(len(w.told), maxClashesTold)])
	if len(w.told) > maxClashesTold {
		problems = append(problems, api.Problem{
			Code: problems[0].Code, Severity: api.Warning,
			Message: fmt.Sprintf("more than %d tunnels have Pods whose address a Pod of another cluster has too: only these are told of", maxClashesTold),
			Remedy:  problems[0].Remedy,
		})
	}
	if !slices.Equal(problems, w.problem) {
		w.problem = problems
		w.tell(problems)
	}
}
