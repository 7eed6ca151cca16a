package brake

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/v1alpha1"
)

// codePodsHeld: Pods of a tunnel that lost readiness stay in it (Warning).
const codePodsHeld = "PodsHeld"

// Hold is that a tunnel holds Pods of a member cluster which are not ready.
type Hold struct {
	Cluster string
	Tunnel  types.NamespacedName
	// Held are the Pods that are held now, Total they and those that are ready: the tunnel's Pods in the cluster that take traffic.
	Held, Total int
	// Since is when it began, Until when it ends at the latest.
	Since, Until time.Time
}

// Holds are all of them, by cluster and tunnel. The work is in proportion to the Pods of the tunnels concerned.
func (b *Brake) Holds() []Hold {
	b.mu.Lock()
	defer b.mu.Unlock()
	holds := make([]Hold, 0, len(b.holding))
	for u := range b.holding {
		held := len(u.hold.pods)
		holds = append(holds, Hold{
			Cluster: u.cluster, Tunnel: u.tunnel, Held: held, Total: held + u.readyPods(b.sets, math.MaxInt),
			Since: u.hold.since, Until: u.hold.until,
		})
	}
	slices.SortFunc(holds, func(a, b Hold) int {
		return cmp.Or(strings.Compare(a.Cluster, b.Cluster),
			strings.Compare(a.Tunnel.Namespace, b.Tunnel.Namespace), strings.Compare(a.Tunnel.Name, b.Tunnel.Name))
	})
	return holds
}

// Problems has one Warning for each hold, sorted, without a place and without the tunnel's generation. Its numbers are those with which the hold began, so that it stays the same as
// long as the hold does. The slice is shared, and not to be changed; it is the same one while no hold begins or ends.
func (b *Brake) Problems() []api.Problem {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.problems != nil {
		return b.problems
	}
	b.problems = make([]api.Problem, 0, len(b.holding))
	for u := range b.holding {
		b.problems = append(b.problems, u.problem())
	}
	b.problems = api.SortProblems(b.problems)
	return b.problems
}

func (u *unit) problem() api.Problem {
	return api.Problem{
		Code: codePodsHeld, Severity: api.Warning, Field: "spec.services",
		Object: api.ObjectRef{Group: v1alpha1.Group, Kind: v1alpha1.KindTunnel, Namespace: u.tunnel.Namespace, Name: u.tunnel.Name},
		Message: fmt.Sprintf("%d of the tunnel's %d Pods in cluster %s lost readiness within %s without being deleted: they stay in the tunnel "+
			"until they are ready or deleted, at the latest until %s",
			u.hold.lost, u.hold.of, u.cluster, u.settings.Window, u.hold.until.UTC().Format(time.RFC3339)),
		Remedy: fmt.Sprintf("look at what these Pods have in common, such as their node, their readiness probe or what they depend on; "+
			"`podway clusters release %s` takes those that are not ready out at once", u.cluster),
	}
}
