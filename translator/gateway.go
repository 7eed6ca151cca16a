package translator

import "k8s.io/apimachinery/pkg/types"

// planGateways makes the plan of each Gateway that podway serves.
func planGateways(in *input, prev *Plan) map[types.NamespacedName]*gatewayPlan {
	return map[types.NamespacedName]*gatewayPlan{}
}
