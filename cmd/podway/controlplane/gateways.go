package controlplane

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/podway/podway/api"
)

const (
	// maxGatewaysTold is of how many Gateways whose Envoys have something is told one by one.
	maxGatewaysTold = 50
	// maxFoundTold is how much of one Gateway is named.
	maxFoundTold = 3
	// checkGatewaysEvery is how late a gatewayWatch tells. Its checks take no more of the time than one in checkGatewaysShare.
	checkGatewaysEvery = 5 * time.Second
	checkGatewaysShare = 50
)

// found is something that is found of the Envoys of a Gateway, NAMESPACE/NAME.
type found struct{ gateway, what string }

// gatewayWatch tells of Gateways with Envoys of which something is found.
type gatewayWatch struct {
	code string
	// look finds it, of one Gateway after the other.
	look func() []found
	// words are what is wrong with a Gateway, by all that was found of it and as much of that as is named, and what to do about it.
	words func(all []string, named string) (message, remedy string)
	// others is which Envoys those Gateways have that are not told one by one.
	others string
	// board is told of it, as a part; locate says where an object is.
	board  *problemBoard
	part   boardPart
	locate func(api.Problem) api.Problem
	told   bool
}

// on has the watch tell on a board.
func (w *gatewayWatch) on(board *problemBoard, part boardPart, locate func(api.Problem) api.Problem) *gatewayWatch {
	w.board, w.part, w.locate = board, part, locate
	return w
}

// run checks until the context ends.
func (w *gatewayWatch) run(ctx context.Context) error {
	return nowAndThen(ctx, checkGatewaysEvery, checkGatewaysShare, func(time.Time) { w.check() })
}

func (w *gatewayWatch) check() {
	byGateway := map[string][]string{}
	var gateways []string
	for _, f := range w.look() {
		if byGateway[f.gateway] == nil {
			gateways = append(gateways, f.gateway)
		}
		byGateway[f.gateway] = append(byGateway[f.gateway], f.what)
	}
	if len(gateways) == 0 && !w.told {
		return
	}
	problems := make([]api.Problem, 0, len(gateways))
	for i, gateway := range gateways {
		if i == maxGatewaysTold {
			problems = append(problems, otherGateways(w.code, len(gateways)-i, w.others))
			break
		}
		message, remedy := w.words(byGateway[gateway], named(byGateway[gateway]))
		problems = append(problems, w.locate(gatewayProblem(w.code, gateway, message, remedy)))
	}
	w.told = len(gateways) > 0
	w.board.set(w.part, problems)
}

// named is a list of not too many.
func named(all []string) string {
	if more := len(all) - maxFoundTold; more > 0 {
		all = append(slices.Clone(all[:maxFoundTold]), fmt.Sprintf("%d more", more))
	}
	return strings.Join(all, ", ")
}

// gatewayProblem is what a person should know of the Envoys of a Gateway, NAMESPACE/NAME.
func gatewayProblem(code, gateway, message, remedy string) api.Problem {
	namespace, name, _ := strings.Cut(gateway, "/")
	return api.Problem{
		Code: code, Severity: api.Warning,
		Object:  api.ObjectRef{Group: gatewayv1.GroupName, Kind: "Gateway", Namespace: namespace, Name: name},
		Message: message, Remedy: remedy,
	}
}

// otherGateways is the same of so many more. of says which Envoys they have.
func otherGateways(code string, more int, of string) api.Problem {
	return api.Problem{
		Code: code, Severity: api.Warning, Message: fmt.Sprintf("%s besides have Envoys %s", api.Count(more, "Gateway"), of), Remedy: "see podway envoys",
	}
}
