package translator

// The codes of the Problems of tunnels, certificates, Gateways, routes and references. Each is an
// Error unless it says otherwise. Those that package api has too mean the same there; more are in api/pki.
const (
	// codeMissingCluster: a tunnel's service names a MemberCluster that is not there.
	codeMissingCluster = "MissingCluster"
	// codeNamespaceNotAllowed: the MemberCluster does not let the tunnel's namespace use the service's.
	codeNamespaceNotAllowed = "NamespaceNotAllowed"
	// codeNetworkMismatch: the networks of the tunnel and the MemberCluster differ.
	codeNetworkMismatch = "NetworkMismatch"
	// codeMissingService: the member cluster has no such Service.
	codeMissingService = "MissingService"
	// codeExternalNameService: the Service has no Pods.
	codeExternalNameService = "ExternalNameService"
	// codeMissingPort: the Service has no such port.
	codeMissingPort = "MissingPort"
	// codePortNotTCP: the Service's port is UDP or SCTP.
	codePortNotTCP = "PortNotTCP"
	// codeInvalidSelector: a podSelector is not one.
	codeInvalidSelector = "InvalidSelector"
	// codeSelectorContradiction: no Pod can match the Service's selector and podSelector.
	codeSelectorContradiction = "SelectorContradiction"
	// codeProtocolMismatch: the ports of a tunnel's Services say different protocols.
	codeProtocolMismatch = "ProtocolMismatch"
	// codeUnknownAppProtocol: a port's appProtocol is not known (Warning).
	codeUnknownAppProtocol = "UnknownAppProtocol"
	// codeHealthCheckNotSupported: the check does not work with the tunnel's protocol.
	codeHealthCheckNotSupported = "HealthCheckNotSupported"
	// codeInvalidTunnel: Envoy would refuse the tunnel.
	codeInvalidTunnel = "InvalidTunnel"
	// codeInvalidReference: a reference names a kind that it cannot.
	codeInvalidReference = "InvalidReference"
	// codeReferenceNotGranted: no ReferenceGrant allows a reference across namespaces.
	codeReferenceNotGranted = "ReferenceNotGranted"
	// codeMissingSecret: a Secret that is referred to is not there.
	codeMissingSecret = "MissingSecret"
	// codeMissingConfigMap: a ConfigMap that is referred to is not there.
	codeMissingConfigMap = "MissingConfigMap"
	// codeCertificateExpired: a certificate is out of date (Warning).
	codeCertificateExpired = "CertificateExpired"
	// codeCertificateNotYetValid: a certificate is not valid yet (Warning).
	codeCertificateNotYetValid = "CertificateNotYetValid"
	// codeEmptyTunnel: no Pod can take a request of the tunnel (Warning).
	codeEmptyTunnel = "EmptyTunnel"
	// codeAmbiguousAddress: Pods of two clusters have one address (Warning).
	codeAmbiguousAddress = "AmbiguousAddress"
	// codeUnknownGatewayClass: a Gateway names a GatewayClass that is not there.
	codeUnknownGatewayClass = "UnknownGatewayClass"
	// codeMissingGatewayParameters: a Gateway or its class names GatewayParameters that are not there.
	codeMissingGatewayParameters = "MissingGatewayParameters"
	// codeUnsupported: podway does not serve a field or a value yet; its listener or rule is not in force.
	codeUnsupported = "Unsupported"
	// codeNoMatchingParent: an HTTPRoute names a listener that is not in force.
	codeNoMatchingParent = "NoMatchingParent"
	// codeNotAllowedByListeners: no listener takes HTTPRoutes of that namespace.
	codeNotAllowedByListeners = "NotAllowedByListeners"
	// codeNoMatchingListenerHostname: a route's hostnames are none of the listeners'.
	codeNoMatchingListenerHostname = "NoMatchingListenerHostname"
	// codeMissingGateway: an HTTPRoute names a Gateway that is not there.
	codeMissingGateway = "MissingGateway"
	// codeMissingTunnel: an HTTPRoute names a Tunnel that is not in force.
	codeMissingTunnel = "MissingTunnel"
	// codeRefusedTunnel: an HTTPRoute names a Tunnel that is refused as a whole.
	codeRefusedTunnel = "RefusedTunnel"
	// codeInvalidRegularExpression: a regular expression is not one of RE2's.
	codeInvalidRegularExpression = "InvalidRegularExpression"
)
