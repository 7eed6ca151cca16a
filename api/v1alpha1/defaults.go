package v1alpha1

import gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

// The defaults that the docstrings of the types name.
const (
	DefaultWeight             int32              = 100
	DefaultRetryAttempts      int32              = 3
	DefaultConnectTimeout     gatewayv1.Duration = "1s"
	DefaultIdleTimeout        gatewayv1.Duration = "5m"
	DefaultConnectionIdle     gatewayv1.Duration = "1h"
	DefaultMaxParallelRetries int64              = 1024
	DefaultHealthPath                            = "/"
	DefaultHealthStatus       int32              = 200
	DefaultHealthInterval     gatewayv1.Duration = "5s"
	DefaultHealthTimeout      gatewayv1.Duration = "5s"
	DefaultHealthyThreshold   int32              = 1
	DefaultUnhealthyThreshold int32              = 3
	DefaultConsecutiveErrors  int32              = 5
	DefaultEjectionInterval   gatewayv1.Duration = "1s"
	DefaultEjectionTime       gatewayv1.Duration = "30s"
	DefaultMaxEjectionPercent int32              = 50
	DefaultKubeconfigKey                         = "kubeconfig"
	DefaultListenAddress                         = "0.0.0.0"
	DefaultAccessLogPath                         = "/dev/stdout"
	DefaultCookiePath                            = "/"
	kindConfigMap                                = "ConfigMap"
	kindSecret                                   = "Secret"
)

// SetDefaults fills in what the docstrings name as defaults and what can be
// read off the spec alone. Optional structures that are absent stay absent.
// What depends on the Services' ports (the protocol, and with it the reasons
// for a retry and the type of a health check) stays open. It may be called again.
func (t *Tunnel) SetDefaults() {
	spec := &t.Spec
	for i := range spec.Services {
		setDefault(&spec.Services[i].PodWeight, DefaultWeight)
	}
	for i := range spec.Addresses {
		setDefault(&spec.Addresses[i].Weight, DefaultWeight)
	}
	if spec.TLS != nil {
		spec.TLS.setDefaults(t.Namespace)
	}
	if spec.Retry != nil {
		setDefault(&spec.Retry.Attempts, DefaultRetryAttempts)
	}
	if timeout := spec.Timeout; timeout != nil {
		setDefault(&timeout.Connect, DefaultConnectTimeout)
		setDefault(&timeout.Idle, DefaultIdleTimeout)
		setDefault(&timeout.ConnectionIdle, DefaultConnectionIdle)
	}
	if spec.CircuitBreaker != nil {
		setDefault(&spec.CircuitBreaker.MaxParallelRetries, DefaultMaxParallelRetries)
	}
	if lb := spec.LoadBalancer; lb != nil && lb.ConsistentHash != nil && lb.ConsistentHash.Cookie != nil {
		setEmpty(&lb.ConsistentHash.Cookie.Path, DefaultCookiePath)
	}
	if check := spec.HealthCheck; check != nil {
		if check.Active != nil {
			check.Active.setDefaults(spec.Protocol)
		}
		if check.Passive != nil {
			check.Passive.setDefaults()
		}
	}
}

func (t *TunnelTLS) setDefaults(namespace string) {
	for i := range t.CACertificateRefs {
		setEmpty(&t.CACertificateRefs[i].Kind, kindConfigMap)
		setEmpty(&t.CACertificateRefs[i].Namespace, namespace)
	}
	if ref := t.ClientCertificateRef; ref != nil {
		setEmpty(&ref.Kind, kindSecret)
		setEmpty(&ref.Namespace, namespace)
	}
}

func (c *ActiveHealthCheck) setDefaults(protocol Protocol) {
	switch protocol {
	case ProtocolGRPC:
		setEmpty(&c.Type, HealthCheckGRPC)
	case ProtocolHTTP, ProtocolHTTP2:
		setEmpty(&c.Type, HealthCheckHTTP)
	}
	if c.Type == HealthCheckHTTP {
		setEmpty(&c.Path, DefaultHealthPath)
		if len(c.ExpectedStatuses) == 0 {
			c.ExpectedStatuses = []StatusRange{{From: DefaultHealthStatus}}
		}
	}
	for i := range c.ExpectedStatuses {
		setDefault(&c.ExpectedStatuses[i].To, c.ExpectedStatuses[i].From)
	}
	setDefault(&c.Interval, DefaultHealthInterval)
	setDefault(&c.Timeout, DefaultHealthTimeout)
	setDefault(&c.HealthyThreshold, DefaultHealthyThreshold)
	setDefault(&c.UnhealthyThreshold, DefaultUnhealthyThreshold)
}

func (c *PassiveHealthCheck) setDefaults() {
	setDefault(&c.ConsecutiveErrors, DefaultConsecutiveErrors)
	setDefault(&c.Interval, DefaultEjectionInterval)
	setDefault(&c.EjectionTime, DefaultEjectionTime)
	setDefault(&c.MaxEjectionPercent, DefaultMaxEjectionPercent)
}

// SetDefaults fills in the documented defaults. It may be called again.
func (m *MemberCluster) SetDefaults() {
	setEmpty(&m.Spec.TrafficPolicy, TrafficPolicyActive)
	if kubeconfig := m.Spec.Source.Kubeconfig; kubeconfig != nil && kubeconfig.SecretRef != nil {
		setEmpty(&kubeconfig.SecretRef.Key, DefaultKubeconfigKey)
	}
}

// SetDefaults fills in the documented defaults. An absent access log stays
// absent: that is JSON to standard output. It may be called again.
func (g *GatewayParameters) SetDefaults() {
	setEmpty(&g.Spec.ListenAddress, DefaultListenAddress)
	if log := g.Spec.AccessLog; log != nil {
		setEmpty(&log.Path, DefaultAccessLogPath)
		setEmpty(&log.Format, AccessLogJSON)
	}
}

func setDefault[T any](field **T, value T) {
	if *field == nil {
		*field = &value
	}
}

func setEmpty[T ~string](field *T, value T) {
	if *field == "" {
		*field = value
	}
}
