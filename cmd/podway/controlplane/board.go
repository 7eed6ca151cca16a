package controlplane

import (
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/podway/podway/api"
)

// boardPart says where Problems come from. Each part is replaced as a whole.
type boardPart string

// The parts.
const (
	// partConfiguration is what the source and the translator say of the configuration.
	partConfiguration boardPart = "configuration"
	// partEndpoints is what the live Pods say.
	partEndpoints boardPart = "endpoints"
	// partAddresses is which Pods of two tunnels have one address.
	partAddresses boardPart = "addresses"
	// partClusters is what the fleet of clusters says.
	partClusters boardPart = "clusters"
	// partBrake is which Pods are held.
	partBrake boardPart = "brake"
	// partHeldBack is what is not made in its present form, because Envoys rejected that.
	partHeldBack boardPart = "heldback"
	// partRejections is what Envoys say.
	partRejections boardPart = "rejections"
	// partAccess is what the certificates of the xDS port say.
	partAccess boardPart = "access"
	// partBehind is which Envoys do not say anything.
	partBehind boardPart = "behind"
	// partOutdated is which Envoys are too old.
	partOutdated boardPart = "outdated"
	// partShared is which Envoys cannot be told apart.
	partShared boardPart = "shared"
)

// problemBoard holds all Problems in force for everybody who asks, and logs
// each once as it appears and once as it is resolved.
type problemBoard struct {
	log *slog.Logger

	mu    sync.Mutex
	parts map[boardPart][]api.Problem // by mu

	published atomic.Pointer[[]api.Problem]
}

// problemIdentity tells whether a Problem is one that was there before: its line may have moved.
type problemIdentity struct {
	code, field, message, file string
	object                     api.ObjectRef
}

func identify(p api.Problem) problemIdentity {
	return problemIdentity{code: p.Code, field: p.Field, message: p.Message, file: p.File, object: p.Object}
}

func newProblemBoard(log *slog.Logger) *problemBoard {
	board := &problemBoard{log: log, parts: map[boardPart][]api.Problem{}}
	board.published.Store(&[]api.Problem{})
	return board
}

// set replaces the Problems of one part.
func (b *problemBoard) set(part boardPart, problems []api.Problem) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if before, known := b.parts[part]; known && slices.Equal(before, problems) {
		return
	}
	b.parts[part] = problems
	all := make([]api.Problem, 0, len(problems))
	for _, part := range []boardPart{
		partConfiguration, partEndpoints, partAddresses, partClusters, partBrake, partHeldBack, partRejections, partAccess, partBehind, partOutdated, partShared,
	} {
		all = append(all, b.parts[part]...)
	}
	all = api.SortProblems(all)
	before := b.published.Swap(&all)
	b.tell(*before, all)
}

// tell logs what was resolved and what appeared, each once. What appeared comes last: where only the message of a Problem changed, its last line says
// that it is in force.
func (b *problemBoard) tell(before, after []api.Problem) {
	was, is := identities(before), identities(after)
	for _, problem := range before {
		if id := identify(problem); !is[id] {
			is[id] = true
			b.log.Info("Problem resolved", "code", problem.Code, "object", problem.Object.String(), "field", problem.Field)
		}
	}
	for _, problem := range after {
		if id := identify(problem); !was[id] {
			was[id] = true
			b.log.Warn("Problem appeared", problemAttrs(problem)...)
		}
	}
}

func identities(problems []api.Problem) map[problemIdentity]bool {
	ids := make(map[problemIdentity]bool, len(problems))
	for _, problem := range problems {
		ids[identify(problem)] = true
	}
	return ids
}

func problemAttrs(p api.Problem) []any {
	attrs := []any{"code", p.Code, "severity", p.Severity, "object", p.Object.String(), "field", p.Field, "message", p.Message, "remedy", p.Remedy}
	if p.File != "" {
		attrs = append(attrs, "file", p.File, "line", p.Line)
	}
	return attrs
}

// all returns the Problems in force, sorted. The slice is the caller's own.
func (b *problemBoard) all() []api.Problem { return slices.Clone(*b.published.Load()) }

func (b *problemBoard) len() int { return len(*b.published.Load()) }
