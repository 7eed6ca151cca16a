package translator

import (
	"cmp"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/v1alpha1"
)

// activeCheck has Envoy ask each Pod. A check that cannot work is a Problem,
// and the tunnel works without it, by the Pods' readiness alone.
func (p *tunnelPlanner) activeCheck(cluster *clusterv3.Cluster, check *v1alpha1.ActiveHealthCheck) {
	if check == nil {
		return
	}
	interval := above(check.Interval, v1alpha1.DefaultHealthInterval)
	made := &corev3.HealthCheck{
		Timeout:            above(check.Timeout, v1alpha1.DefaultHealthTimeout),
		Interval:           interval,
		HealthyThreshold:   count(check.HealthyThreshold, v1alpha1.DefaultHealthyThreshold, 100),
		UnhealthyThreshold: count(check.UnhealthyThreshold, v1alpha1.DefaultUnhealthyThreshold, 100),
		// By default, Envoys ask once a minute while a tunnel has had no requests.
		NoTrafficInterval: interval,
	}
	kind := check.Type
	if kind == "" {
		kind = v1alpha1.HealthCheckHTTP
		if p.protocol == v1alpha1.ProtocolGRPC {
			kind = v1alpha1.HealthCheckGRPC
		}
	}
	switch kind {
	case v1alpha1.HealthCheckTCP:
		// Nothing is sent: a connection that opens is a pass.
		made.HealthChecker = &corev3.HealthCheck_TcpHealthCheck_{TcpHealthCheck: &corev3.HealthCheck_TcpHealthCheck{}}
	case v1alpha1.HealthCheckGRPC:
		if p.protocol == v1alpha1.ProtocolHTTP {
			p.report(api.Problem{
				Code: codeHealthCheckNotSupported, Severity: api.Error, Field: "spec.healthCheck.active.type",
				Message: "a gRPC health check needs HTTP/2, and the tunnel's protocol is HTTP",
				Remedy:  "set spec.protocol to GRPC or HTTP2, or the type of the check to HTTP or TCP",
			})
			return
		}
		made.HealthChecker = &corev3.HealthCheck_GrpcHealthCheck_{GrpcHealthCheck: &corev3.HealthCheck_GrpcHealthCheck{
			ServiceName: check.Service, Authority: p.checkHost(check),
		}}
	default:
		made.HealthChecker = &corev3.HealthCheck_HttpHealthCheck_{HttpHealthCheck: p.httpCheck(check)}
	}
	cluster.HealthChecks = []*corev3.HealthCheck{made}
}

func (p *tunnelPlanner) checkHost(check *v1alpha1.ActiveHealthCheck) string {
	return cmp.Or(check.Host, p.tunnel.Spec.HostHeader, p.name.Name)
}

func (p *tunnelPlanner) httpCheck(check *v1alpha1.ActiveHealthCheck) *corev3.HealthCheck_HttpHealthCheck {
	made := &corev3.HealthCheck_HttpHealthCheck{
		Host: p.checkHost(check), Path: cmp.Or(check.Path, v1alpha1.DefaultHealthPath),
		CodecClientType: typev3.CodecClientType_HTTP1,
	}
	if p.protocol != v1alpha1.ProtocolHTTP {
		made.CodecClientType = typev3.CodecClientType_HTTP2
	}
	statuses := check.ExpectedStatuses
	if len(statuses) == 0 {
		statuses = []v1alpha1.StatusRange{{From: v1alpha1.DefaultHealthStatus}}
	}
	for _, status := range statuses {
		// Envoy's ranges leave their end out.
		made.ExpectedStatuses = append(made.ExpectedStatuses, &typev3.Int64Range{
			Start: int64(status.From), End: int64(orDefault(status.To, status.From)) + 1,
		})
	}
	return made
}

// passiveCheck takes a Pod out after errors in a row, for the same time each
// time. Envoy would lengthen the time with every ejection, and also eject by comparing Pods' success rates: neither was asked for.
func passiveCheck(cluster *clusterv3.Cluster, check *v1alpha1.PassiveHealthCheck) {
	if check == nil {
		return
	}
	time := above(check.EjectionTime, v1alpha1.DefaultEjectionTime)
	cluster.OutlierDetection = &clusterv3.OutlierDetection{
		Consecutive_5Xx:          count(check.ConsecutiveErrors, v1alpha1.DefaultConsecutiveErrors, 1000),
		EnforcingConsecutive_5Xx: wrapperspb.UInt32(100),
		EnforcingSuccessRate:     wrapperspb.UInt32(0),
		Interval:                 above(check.Interval, v1alpha1.DefaultEjectionInterval),
		BaseEjectionTime:         time,
		MaxEjectionTime:          time,
		MaxEjectionPercent:       count(check.MaxEjectionPercent, v1alpha1.DefaultMaxEjectionPercent, 100),
		// A Pod whose health checks pass may fail real requests all the same: it stays out for its time.
		SuccessfulActiveHealthCheckUnejectHost: wrapperspb.Bool(false),
	}
}

// count is a number from 1 to most.
func count(value *int32, fallback, most int32) *wrapperspb.UInt32Value {
	return wrapperspb.UInt32(uint32(min(max(orDefault(value, fallback), 1), most)))
}
