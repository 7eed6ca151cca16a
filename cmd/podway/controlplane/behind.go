package controlplane

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/podway/podway/api"
	"github.com/podway/podway/xds"
)

// codeEnvoyBehind is an Envoy that does not acknowledge what it was sent.
const codeEnvoyBehind = "EnvoyBehind"

const (
	// BehindBound is how long an Envoy may take: longer than the 15 s for which a Cluster without endpoints warms, and the 20 s for
	// which a route waits for one.
	BehindBound = 30 * time.Second
	// checkBehindEvery is how late that is told of. A check of 1000 Envoys with 1000 clusters each takes 1 ms where all are current, and 1 s
	// where none has acknowledged any (BenchmarkBehind in xds). Checks take no more of the time than one in checkBehindShare.
	checkBehindEvery = 5 * time.Second
	checkBehindShare = 50
	// maxBehindTold is how many Envoys of one Gateway are told of one by one.
	maxBehindTold = 10
	// retellEvery is how often a summary follows what it sums up, so that the log does not tell each Envoy of a thousand.
	retellEvery = time.Minute
)

// behindWatch tells of Envoys that are behind. All of it belongs to the goroutine that runs it.
type behindWatch struct {
	// look is xds.Server.Behind, and locate says where an object is.
	look   func(time.Duration) []xds.Behind
	locate func(api.Problem) api.Problem
	tell   func([]api.Problem)
	gauge  *prometheus.GaugeVec
	// told are the Problems in force. One stays as it was told, though what it counts goes on changing.
	told map[behindKey]behindTold
}

// behindKey is one type of an Envoy, or without a node, a Gateway, or without either, all others.
type behindKey struct {
	gateway, node, typeURL string
	connected              time.Time
}

type behindTold struct {
	problem api.Problem
	at      time.Time
}

func newBehindWatch(look func(time.Duration) []xds.Behind, locate func(api.Problem) api.Problem, tell func([]api.Problem), registerer prometheus.Registerer) *behindWatch {
	w := &behindWatch{
		look: look, locate: locate, tell: tell, told: map[behindKey]behindTold{},
		gauge: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "podway_xds_envoys_behind", Help: "Envoys that have not acknowledged the current resources of a type for more than 30 s.",
		}, []string{"type"}),
	}
	registerer.MustRegister(w.gauge)
	w.count(nil)
	return w
}

// run checks until the context ends.
func (w *behindWatch) run(ctx context.Context) error {
	return nowAndThen(ctx, checkBehindEvery, checkBehindShare, w.check)
}

// check brings metric and Problems up to date.
func (w *behindWatch) check(now time.Time) {
	all := w.look(BehindBound)
	w.count(all)
	before := len(w.told)
	made := w.problems(all, now)
	if before == 0 && len(made) == 0 {
		return
	}
	problems := make([]api.Problem, 0, len(made))
	for _, told := range made {
		problems = append(problems, w.locate(told.problem)) // in no order: the board sorts
	}
	w.told = made
	w.tell(problems)
}

func (w *behindWatch) count(all []xds.Behind) {
	counts := map[string]int{}
	for _, b := range all {
		counts[xds.ShortType(b.Type)]++
	}
	for _, short := range xds.ShortTypes() {
		w.gauge.WithLabelValues(short).Set(float64(counts[short]))
	}
}

// problems are those in force now, each as it was told first.
func (w *behindWatch) problems(all []xds.Behind, now time.Time) map[behindKey]behindTold {
	made := map[behindKey]behindTold{}
	byGateway := map[string][]xds.Behind{}
	for _, b := range all {
		byGateway[b.Gateway] = append(byGateway[b.Gateway], b)
	}
	gateways := 0
	for _, gateway := range slices.Sorted(maps.Keys(byGateway)) {
		if gateways++; gateways > maxGatewaysTold {
			w.keep(made, behindKey{}, now, func() api.Problem {
				return otherGateways(codeEnvoyBehind, len(byGateway)-maxGatewaysTold, "that have not acknowledged what they were sent")
			})
			break
		}
		behind := byGateway[gateway]
		if len(behind) > maxBehindTold {
			w.keep(made, behindKey{gateway: gateway}, now, func() api.Problem { return manyBehind(gateway, behind) })
			continue
		}
		for _, b := range behind {
			key := behindKey{gateway: gateway, node: b.Node, typeURL: b.Type, connected: b.Connected}
			w.keep(made, key, now, func() api.Problem { return oneBehind(b) })
		}
	}
	return made
}

// keep takes over a Problem that has been told, and makes it where there is none yet.
func (w *behindWatch) keep(made map[behindKey]behindTold, key behindKey, now time.Time, problem func() api.Problem) {
	told, there := w.told[key]
	if !there || key.node == "" && now.Sub(told.at) >= retellEvery {
		told = behindTold{problem: problem(), at: now}
	}
	made[key] = told
}

func oneBehind(b xds.Behind) api.Problem {
	return gatewayProblem(codeEnvoyBehind, b.Gateway, fmt.Sprintf("the Envoy %s has not acknowledged %s (%s) since %s",
		b.Node, api.Count(b.Count, "resource"), xds.ShortType(b.Type), b.Since.UTC().Format(time.RFC3339)),
		fmt.Sprintf("see podway envoys %s, and that Envoy's log; one that is stuck has to be restarted", b.Node))
}

func manyBehind(gateway string, behind []xds.Behind) api.Problem {
	nodes, types := map[string]bool{}, map[string]int{}
	oldest := behind[0]
	for _, b := range behind {
		nodes[b.Node] = true
		types[xds.ShortType(b.Type)]++
		if b.Since.Before(oldest.Since) {
			oldest = b
		}
	}
	var parts []string
	for _, short := range slices.Sorted(maps.Keys(types)) {
		parts = append(parts, fmt.Sprintf("%s: %d", short, types[short]))
	}
	return gatewayProblem(codeEnvoyBehind, gateway, fmt.Sprintf("%s have not acknowledged what they were sent (%s), the first, %s, since %s",
		api.Count(len(nodes), "Envoy"), strings.Join(parts, ", "), oldest.Node, oldest.Since.UTC().Format(time.RFC3339)),
		"see podway envoys; where all of a Gateway are behind, look at what they share: the network, the machines, or a cluster that does not warm")
}
