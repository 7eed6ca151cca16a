package holdback

import (
	"log/slog"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/pods"
	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/translator"
)

// front is the Gateway of the configuration that tests begin with.
const front = "edge/front"

// theTranslator is podway's own.
var theTranslator = Translator{Blame: translator.Blame, TunnelsOf: translator.TunnelsOf}

// board has all Problems.
type board struct{ configuration, held, rejected []api.Problem }

func (b *board) all() []api.Problem {
	return api.SortProblems(slices.Concat(b.configuration, b.held, b.rejected))
}

// newRejections returns Rejections that are told of on a board.
func newRejections(b *board) *Rejections {
	return NewRejections(theTranslator, func(problems []api.Problem) { b.rejected = problems })
}

// pipeline turns a configuration into what the Envoys of a jury have.
type pipeline struct {
	jury      *jury
	board     *board
	back      *Holdbacks
	rejected  *Rejections
	log       *slog.Logger
	cfg       *snapshot.Config
	plan      *translator.Plan
	endpoints map[types.NamespacedName]*api.Resource
}

func newPipeline(j *jury, b *board, rejected *Rejections, log *slog.Logger) *pipeline {
	back := New(Config{
		Translator: theTranslator, Envoys: j, OnProblems: func(problems []api.Problem) { b.held = problems }, OnLeft: rejected.Left,
		Podway: "v1", Logger: log,
	})
	rejected.Tell = back.Tell
	return &pipeline{jury: j, board: b, back: back, rejected: rejected, log: log, endpoints: map[types.NamespacedName]*api.Resource{}}
}

func (p *pipeline) apply(cfg *snapshot.Config, live pods.Live) {
	p.cfg = p.back.Hold(cfg)
	p.plan = translator.Translate(p.cfg, p.plan)
	p.board.configuration = slices.Concat(p.cfg.Problems, p.plan.Problems())
	served := map[string][]*api.Resource{}
	for _, view := range p.plan.Views() {
		resources := slices.Clone(p.plan.Resources(view))
		for _, tunnel := range p.plan.Tunnels(view) {
			made := p.plan.Endpoints(tunnel, live).Resource
			if made.Equal(p.endpoints[tunnel]) {
				made = p.endpoints[tunnel]
			}
			p.endpoints[tunnel] = made
			resources = append(resources, made)
		}
		served[view.String()] = resources
	}
	p.rejected.Replaced(p.cfg, served)
	p.back.Replaced(served)
	p.jury.SetViews(served)
}
