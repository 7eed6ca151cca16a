//go:build clusters

package clusters

import (
	"fmt"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/podway/podway/api"
	"github.com/podway/podway/watcher/fleet"
)

// told is what /clusters tells of a cluster.
type told struct {
	fleet.Status
	Holds []struct {
		Tunnel      string
		Held, Total int
	}
}

// cluster is what a person is told of a cluster now.
func (p *plane) cluster(name string) (told, error) {
	var all []told
	if err := p.tell("/clusters", &all); err != nil {
		return told{}, err
	}
	for _, one := range all {
		if one.Name == name {
			return one, nil
		}
	}
	return told{}, fmt.Errorf("/clusters tells nothing of %s", name)
}

// problems are those that a person is told of now.
func (p *plane) problems() ([]api.Problem, error) {
	var all []api.Problem
	return all, p.tell("/problems", &all)
}

// awaitState waits until a cluster is in a state for a reason that has all of these in it.
func (w *world) awaitState(name string, state fleet.State, reason ...string) told {
	w.Helper()
	var now told
	var err error
	defer func() {
		if w.Failed() {
			w.Logf("the cluster is %+v (%v)", now, err)
		}
	}()
	w.eventually(fmt.Sprintf("cluster %s is %s: %q", name, state, reason), func() bool {
		now, err = w.plane.cluster(name)
		return err == nil && now.State == state && containsAll(now.Reason, reason)
	})
	w.Logf("%s is %s: %s", name, now.State, now.Reason)
	return now
}

// awaitSteady waits until a cluster has been Live for longer than a watch may take to be opened again.
func (w *world) awaitSteady(name string) told {
	w.Helper()
	var now told
	w.eventually(fmt.Sprintf("cluster %s is Live, and has been for a while", name), func() bool {
		var err error
		now, err = w.plane.cluster(name)
		return err == nil && now.State == fleet.Live && time.Since(now.Since) > neverCame
	})
	return now
}

// awaitProblem waits until there is a Problem of a cluster or tunnel whose message has all of these in it.
func (w *world) awaitProblem(code, object string, message ...string) api.Problem {
	w.Helper()
	var all []api.Problem
	var found api.Problem
	defer func() {
		if w.Failed() {
			w.Logf("the Problems are %v", all)
		}
	}()
	w.eventually(fmt.Sprintf("Problem %s of %s: %q", code, object, message), func() bool {
		var err error
		if all, err = w.plane.problems(); err != nil {
			return false
		}
		for _, problem := range all {
			if problem.Code == code && problem.Object.Name == object && containsAll(problem.Message, message) {
				found = problem
				return true
			}
		}
		return false
	})
	require.NotEmpty(w, found.Remedy)
	w.Logf("%s", found)
	return found
}

// awaitNoProblem waits until there is none of a code for an object.
func (w *world) awaitNoProblem(code, object string) {
	w.Helper()
	w.eventually(fmt.Sprintf("no Problem %s of %s", code, object), func() bool {
		all, err := w.plane.problems()
		if err != nil {
			return false
		}
		for _, problem := range all {
			if problem.Code == code && problem.Object.Name == object {
				return false
			}
		}
		return true
	})
}

// requireSaid fails unless a line of podway's log has all of these in it.
func (w *world) requireSaid(words ...string) {
	w.Helper()
	w.eventually(fmt.Sprintf("a log line with %q", words), func() bool {
		for line := range strings.Lines(w.plane.said()) {
			if containsAll(line, words) {
				return true
			}
		}
		return false
	})
}

func containsAll(text string, parts []string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}
