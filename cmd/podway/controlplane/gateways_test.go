package controlplane

import (
	"log/slog"

	"github.com/podway/podway/api"
)

// toldBy has a watch check, and returns all that is told then. Each Gateway is in gateway.yaml.
func toldBy(watch *gatewayWatch, part boardPart) func() []string {
	board := newProblemBoard(slog.New(slog.DiscardHandler))
	watch.on(board, part, func(problem api.Problem) api.Problem {
		problem.File = "gateway.yaml"
		return problem
	})
	return func() []string {
		watch.check()
		told := []string{}
		for _, problem := range board.all() {
			told = append(told, problem.String())
		}
		return told
	}
}
