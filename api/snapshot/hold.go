package snapshot

import "github.com/podway/podway/api"

// HoldKey is a part that is held back, and where.
type HoldKey struct {
	// View is the one view, of a Gateway or of a minority of its Envoys, whose Envoys rejected the part. What others have of it does not change. It
	// is empty for what all of them share, a Tunnel's Cluster and endpoints, and a Secret.
	View string
	api.Part
}

// Hold is what is made instead of a part that an Envoy rejected.
type Hold struct {
	// Form is the last accepted form: a pointer as in Config or, of a Gateway, a *gatewayv1.Listener. nil where none is
	// known: then the part is left out as if it were not there; the routes to a Tunnel answer 500; GatewayParameters say no more than their
	// network.
	Form any
	// Refused is for an HTTPRoute without a Form that is not left out: what it matches is answered 500, so that it does not
	// fall to another rule.
	Refused bool
}
