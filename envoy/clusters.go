package envoy

import (
	"context"
	"net/netip"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
)

// Host is one endpoint of a cluster, as an Envoy sees it.
type Host struct {
	// Address is where requests go. It is not valid for a host that is not an IP address and port, such as a Unix socket.
	Address netip.AddrPort
	// Weight is 1 or more.
	Weight uint32
	// Healthy is false where the control plane, an active health check or outlier detection says so.
	Healthy bool
	// Removed is true for a host that the control plane has removed and that is kept while its health checks pass.
	Removed bool
	// Requests counts from when the host was added or its cluster changed, whichever was last; see rq_total in Envoy's documentation.
	Requests uint64
	// Errors counts 5xx answers and failures to connect or to get an answer, over the same time.
	Errors uint64
	// Active is how many requests it has now.
	Active uint64
}

// Clusters are the hosts of each cluster, by its name, in Envoy's order. A
// cluster that is still warming is not among them.
func (a *Admin) Clusters(ctx context.Context) (map[string][]Host, error) {
	answer := &adminv3.Clusters{}
	if err := a.message(ctx, "/clusters", map[string][]string{"format": {"json"}}, answer); err != nil {
		return nil, err
	}
	clusters := make(map[string][]Host, len(answer.ClusterStatuses))
	for _, cluster := range answer.ClusterStatuses {
		hosts := make([]Host, len(cluster.HostStatuses))
		for i, status := range cluster.HostStatuses {
			hosts[i] = host(status)
		}
		clusters[cluster.Name] = hosts
	}
	return clusters, nil
}

func host(status *adminv3.HostStatus) Host {
	h := Host{Weight: status.Weight, Healthy: healthy(status.HealthStatus), Removed: status.HealthStatus.GetPendingDynamicRemoval()}
	if socket := status.Address.GetSocketAddress(); socket != nil {
		if ip, err := netip.ParseAddr(socket.Address); err == nil {
			h.Address = netip.AddrPortFrom(ip, uint16(socket.GetPortValue()))
		}
	}
	for _, metric := range status.Stats {
		switch metric.Name {
		case "rq_total":
			h.Requests = metric.Value
		case "rq_error":
			h.Errors = metric.Value
		case "rq_active":
			h.Active = metric.Value
		}
	}
	return h
}

func healthy(status *adminv3.HostHealthStatus) bool {
	if status.GetFailedActiveHealthCheck() || status.GetFailedOutlierCheck() {
		return false
	}
	switch status.GetEdsHealthStatus() {
	case corev3.HealthStatus_UNKNOWN, corev3.HealthStatus_HEALTHY, corev3.HealthStatus_DEGRADED:
		return true
	default:
		return false
	}
}
