package credential

import (
	"fmt"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/v1alpha1"
)

// The codes of Problems that a credential has.
const (
	// CodeInvalidKubeconfig is a kubeconfig that podway does not connect with.
	CodeInvalidKubeconfig = "InvalidKubeconfig"
	// CodeCredentialExpired is a token or a client certificate whose time is over.
	CodeCredentialExpired = "CredentialExpired"
	// CodeInsecureKubeconfig is a kubeconfig by which anybody can pass for the cluster.
	CodeInsecureKubeconfig = "InsecureKubeconfig"
)

// Source is a kind of place.
type Source int

// The places that a kubeconfig comes from.
const (
	// FromFile is a file of whoever runs podway.
	FromFile Source = iota
	// FromSecret is a Secret: who writes it need not be who runs podway, so that less is allowed.
	FromSecret
)

// Origin is where a kubeconfig comes from.
type Origin struct {
	// Cluster is the name of the MemberCluster.
	Cluster string
	// Generation of the MemberCluster, or 0.
	Generation int64
	Source     Source
}

// OriginOf is the origin of a MemberCluster's kubeconfig.
func OriginOf(cluster *v1alpha1.MemberCluster) Origin {
	origin := Origin{Cluster: cluster.Name, Generation: cluster.Generation}
	if source := cluster.Spec.Source.Kubeconfig; source != nil && source.SecretRef != nil {
		origin.Source = FromSecret
	}
	return origin
}

func (o Origin) problem(code, remedy, format string, args ...any) api.Problem {
	field := "spec.source.kubeconfig.file"
	if o.Source == FromSecret {
		field = "spec.source.kubeconfig.secretRef"
	}
	return api.Problem{
		Code: code, Severity: api.Error,
		Object:     api.ObjectRef{Group: v1alpha1.Group, Kind: v1alpha1.KindMemberCluster, Name: o.Cluster},
		Generation: o.Generation, Field: field,
		Message: fmt.Sprintf(format, args...), Remedy: remedy,
	}
}

// authorize is the command that makes a credential of which nothing is refused.
func (o Origin) authorize() string {
	return "podway clusters authorize " + o.Cluster + " --kubeconfig ADMIN"
}
