package translator

import (
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/podway/podway/api/snapshot"
)

// grants answers whether a reference across namespaces is allowed.
type grants struct {
	allowed map[grant]bool
}

// grant is one allowed pair; an empty toName allows all names.
type grant struct {
	fromGroup, fromKind, fromNamespace   string
	toGroup, toKind, toNamespace, toName string
}

// newGrants indexes the ReferenceGrants of a configuration.
func newGrants(cfg *snapshot.Config) *grants {
	g := &grants{allowed: map[grant]bool{}}
	for name, object := range cfg.ReferenceGrants {
		for _, from := range object.Spec.From {
			for _, to := range object.Spec.To {
				g.allowed[grant{
					fromGroup: string(from.Group), fromKind: string(from.Kind), fromNamespace: string(from.Namespace),
					toGroup: string(to.Group), toKind: string(to.Kind), toNamespace: name.Namespace,
					toName: string(orDefault(to.Name, gatewayv1.ObjectName(""))),
				}] = true
			}
		}
	}
	return g
}

// allows reports whether an object may refer to another: always within one
// namespace, else where a ReferenceGrant beside the target says so.
func (g *grants) allows(fromGroup, fromKind, fromNamespace, toGroup, toKind, toNamespace, toName string) bool {
	if fromNamespace == toNamespace {
		return true
	}
	key := grant{fromGroup, fromKind, fromNamespace, toGroup, toKind, toNamespace, toName}
	if g.allowed[key] {
		return true
	}
	key.toName = ""
	return g.allowed[key]
}
