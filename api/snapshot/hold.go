package snapshot

// Hold is what is made instead of a part that an Envoy rejected.
type Hold struct {
	// Form is the last accepted form: a pointer as in Config or, of a Gateway, a *gatewayv1.Listener. nil where none is
	// known: then the part is left out as if it were not there; a Tunnel is refused; GatewayParameters say no more than their network.
	Form any
	// Refused is for an HTTPRoute without a Form that is not left out: what it matches is answered 500, so that it does not
	// fall to another rule.
	Refused bool
}
