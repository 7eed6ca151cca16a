package translator

import (
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	previoushostsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/retry/host/previous_hosts/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/podway/podway/api/v1alpha1"
)

// How often Envoy picks again when it picks a Pod that has failed this request
// already. Picks follow the weights: beside a Pod of weight 1, one of weight 100
// is picked again 99 times in 100. They cost nothing unless a request is retried.
const (
	// reselections is enough for balancers that get to each Pod in turn.
	reselections = 100
	// tableReselections is for Maglev, which looks at neighbors in its table instead of at random places: at a block of as
	// many as the power of two that this is. A Pod's places lie in steps of one width, which may well leave such a gap; and
	// smaller tables are seen whole. With 100, one in 20 requests found no other Pod at weights of 99 and 1.
	// Where every Pod refuses, a request takes 0.9 ms of Envoy's CPU, instead of 0.5.
	tableReselections = 2048
)

// retryReasons are Envoy's names.
var retryReasons = map[v1alpha1.RetryOn]string{
	v1alpha1.RetryOnConnectFailure:        "connect-failure",
	v1alpha1.RetryOnRefusedStream:         "refused-stream",
	v1alpha1.RetryOnResetBeforeRequest:    "reset-before-request",
	v1alpha1.RetryOnReset:                 "reset",
	v1alpha1.RetryOnGatewayError:          "gateway-error",
	v1alpha1.RetryOnServerError:           "5xx",
	v1alpha1.RetryOnRetriable4xx:          "retriable-4xx",
	v1alpha1.RetryOnGRPCUnavailable:       "unavailable",
	v1alpha1.RetryOnGRPCCancelled:         "cancelled", //nolint:misspell // Envoy's spelling
	v1alpha1.RetryOnGRPCDeadlineExceeded:  "deadline-exceeded",
	v1alpha1.RetryOnGRPCResourceExhausted: "resource-exhausted",
	v1alpha1.RetryOnGRPCInternal:          "internal",
}

// retryPolicy is the tunnel's, nil where retries are off. In the Cluster it
// overrides the route's, and works where the route has none.
func (p *tunnelPlanner) retryPolicy() *routev3.RetryPolicy {
	retry := orDefault(p.tunnel.Spec.Retry, v1alpha1.Retry{})
	attempts := min(max(orDefault(retry.Attempts, v1alpha1.DefaultRetryAttempts), 0), 10)
	if attempts == 0 {
		return nil
	}
	picks := int64(reselections)
	if balancer := p.balancer(); balancer == v1alpha1.WeightedRandom || balancer == v1alpha1.ConsistentHashType {
		picks = tableReselections
	}
	return &routev3.RetryPolicy{
		RetryOn:    strings.Join(p.retryOn(retry.On), ","),
		NumRetries: wrapperspb.UInt32(uint32(attempts)),
		RetryHostPredicate: []*routev3.RetryPolicy_RetryHostPredicate{{
			Name: "envoy.retry_host_predicates.previous_hosts",
			ConfigType: &routev3.RetryPolicy_RetryHostPredicate_TypedConfig{
				TypedConfig: pack(&previoushostsv3.PreviousHostsPredicate{}),
			},
		}},
		HostSelectionRetryMaxAttempts: picks,
	}
}

// retryOn is by default what is safe to repeat for any request: no Pod has begun to process it.
func (p *tunnelPlanner) retryOn(asked []v1alpha1.RetryOn) []string {
	if len(asked) == 0 {
		asked = []v1alpha1.RetryOn{v1alpha1.RetryOnConnectFailure, v1alpha1.RetryOnRefusedStream, v1alpha1.RetryOnResetBeforeRequest}
		if p.protocol == v1alpha1.ProtocolGRPC {
			asked = append(asked, v1alpha1.RetryOnGRPCUnavailable)
		}
	}
	var reasons []string
	for _, reason := range asked {
		if name := retryReasons[reason]; name != "" {
			reasons = append(reasons, name)
		}
	}
	return reasons
}
