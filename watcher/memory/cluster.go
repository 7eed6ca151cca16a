package memory

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/podway/podway/api/pods"
	"github.com/podway/podway/api/snapshot"
)

// Cluster is what is remembered of one member cluster.
type Cluster struct {
	// Name of the MemberCluster: a DNS subdomain, as all names of objects.
	Name string
	// UID of the cluster's kube-system namespace, "" where it is not known. Whoever loads a Cluster compares it with the one that
	// is pinned: of another cluster's Pods nothing may be served.
	UID string
	// Source is a fingerprint of what the credential points to, such as a hash of the server's URL and CA; never a
	// secret. Whoever loads a Cluster compares it: behind another server may be another cluster.
	Source string
	// Saved is when this was last known to be true, in UTC after loading. Save takes the present where it is zero.
	Saved time.Time
	// Scope says of which namespaces Services are known.
	Scope *snapshot.Scope
	// Services and Sets are all that is known, and Sets what was published. A Key comes once in each, and its Cluster
	// is Name. They are sorted by Key after loading; Save takes any order.
	Services []*pods.Service
	Sets     []*pods.Set
}

// sorted returns the Services and Sets by their keys, and an error where they are not those of one cluster.
func (c *Cluster) sorted() ([]*pods.Service, []*pods.Set, error) {
	services, err := sortByKey(c.Name, "Service", c.Services, func(s *pods.Service) *pods.ServiceKey {
		if s == nil {
			return nil
		}
		return &s.Key
	})
	if err != nil {
		return nil, nil, err
	}
	sets, err := sortByKey(c.Name, "Set", c.Sets, func(s *pods.Set) *pods.ServiceKey {
		if s == nil {
			return nil
		}
		return &s.Key
	})
	return services, sets, err
}

func sortByKey[T any](cluster, what string, list []T, keyOf func(T) *pods.ServiceKey) ([]T, error) {
	if len(list) > maxServices {
		return nil, fmt.Errorf("it has %d Services; at most %d of a cluster are remembered", len(list), maxServices)
	}
	for _, item := range list {
		switch key := keyOf(item); {
		case key == nil:
			return nil, fmt.Errorf("a %s is nil", what)
		case key.Cluster != cluster:
			return nil, fmt.Errorf("the %s of %s is another cluster's", what, key)
		}
	}
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b T) int { return keyOf(a).Compare(*keyOf(b)) })
	for i := 1; i < len(list); i++ {
		if key := keyOf(list[i]); *key == *keyOf(list[i-1]) {
			return nil, fmt.Errorf("the %s of %s comes twice", what, key)
		}
	}
	return list, nil
}

// checkName refuses what cannot be the name of a MemberCluster: a name becomes a file's. A DNS subdomain has no
// separator, does not begin with a dot, and has at most 253 characters, which fit into a file name of 255.
func checkName(name string) error {
	if problems := validation.IsDNS1123Subdomain(name); len(problems) > 0 {
		const shown = 64
		return fmt.Errorf("cluster %.*q: is not a name of a MemberCluster, so nothing is remembered of it: %s", shown, name, strings.Join(problems, "; "))
	}
	return nil
}
