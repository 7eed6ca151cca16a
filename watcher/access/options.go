package access

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
)

// Options say what access is wanted.
type Options struct {
	// Cluster is the name of the MemberCluster.
	Cluster string
	// Namespaces are those that podway may read; none means all of the cluster.
	Namespaces []string
	// ServiceAccount is what podway will be; default podway-CLUSTER.
	ServiceAccount string
	// Namespace is where the ServiceAccount is; default DefaultNamespace. It is made where it is not there.
	Namespace string
	// TokenLifetime is MinTokenLifetime to MaxTokenLifetime; 0 is DefaultTokenLifetime. The API server may give less.
	TokenLifetime time.Duration
	// Server is the URL that podway is to reach the API server by; empty for the administrator's own.
	Server string
	// ClusterUID is the UID that the cluster must have; empty where any will do.
	ClusterUID string
	// Force takes over fields of the manifests that somebody else has set.
	Force bool
}

// Account is the ServiceAccount that podway will be.
func (o Options) Account() types.NamespacedName {
	name, namespace := o.ServiceAccount, o.Namespace
	if name == "" {
		name = defaultServiceAccount(o.Cluster)
	}
	if namespace == "" {
		namespace = DefaultNamespace
	}
	return types.NamespacedName{Namespace: namespace, Name: name}
}

const subdomain = "use 1 to 240 of a to z, 0 to 9, - and ."

// complete sets the defaults and checks the rest.
func (o Options) complete() (Options, error) {
	if len(validation.IsDNS1123Subdomain(o.Cluster)) > 0 {
		return o, fmt.Errorf("%q cannot be the name of a MemberCluster: %s", o.Cluster, subdomain)
	}
	account := o.Account()
	o.Namespace, o.ServiceAccount = account.Namespace, account.Name
	// Its roles are named after it.
	if len(validation.IsDNS1123Subdomain(o.ServiceAccount+suffixIdentity)) > 0 {
		return o, fmt.Errorf("%q cannot be the name of a ServiceAccount: %s", o.ServiceAccount, subdomain)
	}
	o.Namespaces = slices.Compact(slices.Sorted(slices.Values(o.Namespaces)))
	for _, namespace := range append([]string{o.Namespace}, o.Namespaces...) {
		if len(validation.IsDNS1123Label(namespace)) > 0 {
			return o, fmt.Errorf("%q cannot be the name of a namespace: use 1 to 63 of a to z, 0 to 9 and -", namespace)
		}
	}
	if o.TokenLifetime == 0 {
		o.TokenLifetime = DefaultTokenLifetime
	}
	if o.TokenLifetime < MinTokenLifetime || o.TokenLifetime > MaxTokenLifetime {
		return o, fmt.Errorf("the lifetime of a token must be %s to %s, but is %s", Spell(MinTokenLifetime), Spell(MaxTokenLifetime), Spell(o.TokenLifetime))
	}
	if strings.Contains(o.Server, "@") {
		return o, errors.New("the server must be https://HOST:PORT, without a user or a password")
	}
	return o, nil
}

// Spell writes a duration as a person would: 30 days, 10m, 1h30m.
func Spell(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d >= 2*day:
		return fmt.Sprintf("%d days", int(math.Round(d.Hours()/24)))
	case d >= time.Minute:
		d = d.Round(time.Minute)
		text := strings.TrimSuffix(d.String(), "0s")
		if strings.HasSuffix(text, "h0m") {
			text = strings.TrimSuffix(text, "0m")
		}
		return text
	}
	return d.Round(time.Millisecond).String()
}
