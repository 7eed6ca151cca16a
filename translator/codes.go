package translator

// The codes of the Problems of tunnels, certificates and references. Each is an
// Error unless it says otherwise. Those that package api has too mean the same there.
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
	// codeMissingKey: a Secret or ConfigMap lacks a key.
	codeMissingKey = "MissingKey"
	// codeInvalidSecretType: a Secret is not of type kubernetes.io/tls.
	codeInvalidSecretType = "InvalidSecretType"
	// codeInvalidCertificate: PEM that should be a certificate is not.
	codeInvalidCertificate = "InvalidCertificate"
	// codeInvalidKey: PEM that should be a private key is not.
	codeInvalidKey = "InvalidKey"
	// codeMismatchedKeyPair: a key is not that of the certificate beside it.
	codeMismatchedKeyPair = "MismatchedKeyPair"
	// codeUnsupportedKey: Envoy refuses keys of that type or size.
	codeUnsupportedKey = "UnsupportedKey"
	// codeCertificateExpired: a certificate is out of date (Warning).
	codeCertificateExpired = "CertificateExpired"
	// codeCertificateNotYetValid: a certificate is not valid yet (Warning).
	codeCertificateNotYetValid = "CertificateNotYetValid"
	// codeEmptyTunnel: no Pod can take a request of the tunnel (Warning).
	codeEmptyTunnel = "EmptyTunnel"
	// codeAmbiguousAddress: Pods of two clusters have one address (Warning).
	codeAmbiguousAddress = "AmbiguousAddress"
)
