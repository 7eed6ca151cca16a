package v1alpha1

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/podway/podway/api"
)

var retryReasons = []RetryOn{
	RetryOnConnectFailure, RetryOnRefusedStream, RetryOnResetBeforeRequest, RetryOnReset, RetryOnGatewayError, RetryOnServerError, RetryOnRetriable4xx,
	RetryOnGRPCUnavailable, RetryOnGRPCCancelled, RetryOnGRPCDeadlineExceeded, RetryOnGRPCResourceExhausted, RetryOnGRPCInternal,
}

func (c *checker) retry(retry *Retry, protocol Protocol) {
	between(c, "spec.retry.attempts", retry.Attempts, 0, 10)
	c.atMost("spec.retry.on", len(retry.On), 16)
	for i, on := range retry.On {
		field := index("spec.retry.on", i)
		oneOf(c, field, on, retryReasons...)
		switch {
		case on == "":
			c.required(field, "", "a reason for a retry")
		case slices.Contains(retry.On[:i], on):
			c.warn(api.CodeDuplicateEntry, field, "remove one of the two", "%s is there twice", on)
		case protocol == ProtocolHTTP && strings.HasPrefix(string(on), "GRPC"):
			c.warn(api.CodeConflict, field, "set spec.protocol to GRPC, or remove it", "%s never happens with protocol HTTP", on)
		}
	}
	c.duration("spec.retry.perTryTimeout", retry.PerTryTimeout, positive)
}

func (c *checker) loadBalancer(spec *TunnelSpec) {
	lb := spec.LoadBalancer
	oneOf(c, "spec.loadBalancer.type", lb.Type, WeightedRoundRobin, WeightedRandom, LeastRequest, ConsistentHashType)
	switch {
	case lb.Type == ConsistentHashType && lb.ConsistentHash == nil:
		c.refuse(api.CodeMissingField, "spec.loadBalancer.consistentHash", "set header, cookie, queryParameter or sourceIP in it",
			"type ConsistentHash needs to know what is hashed")
	case lb.Type != ConsistentHashType && lb.ConsistentHash != nil:
		c.refuse(api.CodeConflict, "spec.loadBalancer.consistentHash", "set spec.loadBalancer.type to ConsistentHash, or remove it",
			"nothing is hashed with %s", lb.Type.describe())
	}
	if lb.ConsistentHash != nil {
		c.consistentHash(lb.ConsistentHash)
	}
	if lb.SlowStart != nil {
		c.slowStart(spec)
	}
}

func (t LoadBalancerType) describe() string {
	if t == "" {
		return "the default type"
	}
	return "type " + string(t)
}

func (c *checker) slowStart(spec *TunnelSpec) {
	const field = "spec.loadBalancer.slowStart"
	c.durationRequired(field+".window", spec.LoadBalancer.SlowStart)
	const remedy = "set spec.loadBalancer.type to WeightedRoundRobin or LeastRequest, or remove slowStart"
	low, high := spec.weights()
	switch kind := spec.LoadBalancer.Type; {
	case kind == WeightedRandom || kind == ConsistentHashType:
		c.refuse(api.CodeConflict, field, remedy, "slow start does not work with %s", kind.describe())
	case kind == "" && low != high:
		c.refuse(api.CodeConflict, field, remedy, "slow start does not work with type WeightedRandom, which is the default while weights differ (%d to %d)", low, high)
	}
}

func (c *checker) durationRequired(field string, start *SlowStart) {
	if c.required(field, string(start.Window), "a duration, such as 30s") {
		c.duration(field, &start.Window, positive)
	}
}

func (c *checker) consistentHash(hash *ConsistentHash) {
	const field = "spec.loadBalancer.consistentHash"
	var given []string
	if hash.Header != "" {
		given = append(given, "header")
	}
	if hash.Cookie != nil {
		given = append(given, "cookie")
	}
	if hash.QueryParameter != "" {
		given = append(given, "queryParameter")
	}
	if hash.SourceIP {
		given = append(given, "sourceIP")
	}
	switch {
	case len(given) == 0:
		c.refuse(api.CodeMissingField, field, "set header, cookie, queryParameter or sourceIP", "nothing says what is hashed")
	case len(given) > 1:
		c.refuse(api.CodeConflict, field, "keep one of them", "%s exclude each other", strings.Join(given, " and "))
	}
	if hash.Header != "" {
		c.header(field+".header", hash.Header)
	}
	c.shorter(field+".queryParameter", hash.QueryParameter, 256)
	if cookie := hash.Cookie; cookie != nil {
		c.cookie(field+".cookie", cookie)
	}
}

func (c *checker) cookie(field string, cookie *HashCookie) {
	if c.required(field+".name", cookie.Name, "the name of the cookie") {
		c.shorter(field+".name", cookie.Name, 256)
		if !httpguts.ValidHeaderFieldName(cookie.Name) {
			c.refuse(api.CodeInvalidValue, field+".name", "use letters, digits, '-' and '_'", "%q cannot be the name of a cookie", cookie.Name)
		}
	}
	c.duration(field+".ttl", cookie.TTL, anyDuration)
	c.shorter(field+".path", cookie.Path, 1024)
	if cookie.Path != "" && (cookie.Path[0] != '/' || !plainText(cookie.Path) || strings.Contains(cookie.Path, ";")) {
		c.refuse(api.CodeInvalidValue, field+".path", "use a path that begins with '/'", "%q cannot be the path of a cookie", cookie.Path)
	}
}

// header checks the name of an HTTP header.
func (c *checker) header(field, name string) {
	c.shorter(field, name, 256)
	if len(name) <= 256 && !httpguts.ValidHeaderFieldName(name) {
		c.refuse(api.CodeInvalidValue, field, "use letters, digits and '-', such as x-user", "%q cannot be the name of a header", name)
	}
}

// plainText says whether a text is printable ASCII without spaces.
func plainText(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' })
}

func (c *checker) activeCheck(check *ActiveHealthCheck) {
	const field = "spec.healthCheck.active"
	oneOf(c, field+".type", check.Type, HealthCheckHTTP, HealthCheckTCP, HealthCheckGRPC)
	c.checkFields(field, check)
	c.shorter(field+".path", check.Path, 1024)
	if check.Path != "" && (check.Path[0] != '/' || !plainText(check.Path)) {
		c.refuse(api.CodeInvalidValue, field+".path", "use a path that begins with '/', such as /healthz", "%q is not a path", check.Path)
	}
	c.hostPort(field+".host", check.Host)
	c.shorter(field+".service", check.Service, maxName)
	c.atMost(field+".expectedStatuses", len(check.ExpectedStatuses), 16)
	for i := range check.ExpectedStatuses {
		c.statusRange(index(field+".expectedStatuses", i), &check.ExpectedStatuses[i])
	}
	c.duration(field+".interval", check.Interval, 100*time.Millisecond)
	c.duration(field+".timeout", check.Timeout, positive)
	between(c, field+".healthyThreshold", check.HealthyThreshold, 1, 100)
	between(c, field+".unhealthyThreshold", check.UnhealthyThreshold, 1, 100)
}

// checkFields refuses fields that belong to another type of check. Where the type follows from the protocol of the Services,
// it is not known yet.
func (c *checker) checkFields(field string, check *ActiveHealthCheck) {
	only := func(name string, set bool, types ...HealthCheckType) {
		if !set || check.Type == "" || slices.Contains(types, check.Type) {
			return
		}
		names := make([]string, len(types))
		for i, t := range types {
			names[i] = string(t)
		}
		c.refuse(api.CodeConflict, field+"."+name, fmt.Sprintf("set the type of the check to %s, or remove %s", orList(names), name),
			"%s means nothing to a check of type %s", name, check.Type)
	}
	only("path", check.Path != "", HealthCheckHTTP)
	only("expectedStatuses", len(check.ExpectedStatuses) > 0, HealthCheckHTTP)
	only("host", check.Host != "", HealthCheckHTTP, HealthCheckGRPC)
	only("service", check.Service != "", HealthCheckGRPC)
}

func (c *checker) statusRange(field string, statuses *StatusRange) {
	between(c, field+".from", &statuses.From, 100, 599)
	between(c, field+".to", statuses.To, 100, 599)
	if statuses.To != nil && *statuses.To < statuses.From {
		c.refuse(api.CodeConflict, field+".to", "set it to from or more, or leave it out", "the range ends at %d, before it begins at %d", *statuses.To, statuses.From)
	}
}

func (c *checker) passiveCheck(check *PassiveHealthCheck) {
	const field = "spec.healthCheck.passive"
	between(c, field+".consecutiveErrors", check.ConsecutiveErrors, 1, 1000)
	c.duration(field+".interval", check.Interval, 100*time.Millisecond)
	c.duration(field+".ejectionTime", check.EjectionTime, time.Second)
	between(c, field+".maxEjectionPercent", check.MaxEjectionPercent, 1, 100)
}
