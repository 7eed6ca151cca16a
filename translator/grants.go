package translator

import "github.com/podway/podway/api/snapshot"

// grants answers which references across namespaces are allowed.
type grants struct{ cfg *snapshot.Config }

func newGrants(cfg *snapshot.Config) *grants { return &grants{cfg} }

// allows is true where a ReferenceGrant lets one kind of one namespace refer to
// an object of another; within a namespace it always is. An empty toGroup is Kubernetes' core.
func (g *grants) allows(fromGroup, fromKind, fromNamespace, toGroup, toKind, toNamespace, toName string) bool {
	if fromNamespace == toNamespace {
		return true
	}
	for name, grant := range g.cfg.ReferenceGrants {
		if name.Namespace != toNamespace {
			continue
		}
		from, to := false, false
		for _, f := range grant.Spec.From {
			from = from || string(f.Group) == fromGroup && string(f.Kind) == fromKind && string(f.Namespace) == fromNamespace
		}
		for _, t := range grant.Spec.To {
			to = to || string(t.Group) == toGroup && string(t.Kind) == toKind && (t.Name == nil || string(*t.Name) == toName)
		}
		if from && to {
			return true
		}
	}
	return false
}
