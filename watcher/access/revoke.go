package access

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// object is something in a member cluster.
type object struct {
	resource        resource
	namespace, name string
}

func (o object) String() string { return o.resource.describe(o.namespace, o.name) }

// Revoke removes all that Authorize made for a MemberCluster, in all namespaces, whichever they were. It can be done again. The
// namespace of the ServiceAccount goes too where podway has made it and nothing else is in it. With dryRun it only says what it
// would remove. Only Cluster, ClusterUID, ServiceAccount and Namespace of the options matter. On an error, the changes are those made by then.
func Revoke(ctx context.Context, admin *rest.Config, options Options, dryRun bool) ([]Change, error) {
	options.Namespaces, options.TokenLifetime = nil, 0
	o, err := options.complete()
	if err != nil {
		return nil, err
	}
	c, err := newClient(admin)
	if err != nil {
		return nil, err
	}
	defer c.close()
	if o.ClusterUID != "" {
		if _, err := c.rightCluster(ctx, o); err != nil {
			return nil, err
		}
	}
	owned, err := c.owned(ctx, o)
	if err != nil {
		return nil, asAdmin(err)
	}
	namespace, err := c.ownNamespace(ctx, o, owned)
	if err != nil {
		return nil, asAdmin(err)
	}
	if dryRun {
		var changes []Change
		for _, one := range owned {
			changes = append(changes, Change{Done: "removed", Object: one.String()})
		}
		return append(changes, namespace...), nil
	}
	changes, err := c.remove(ctx, owned, nil)
	if err != nil {
		return changes, asAdmin(err)
	}
	if len(namespace) > 0 && namespace[0].Done == "removed" {
		removed, err := c.remove(ctx, []object{{resource: namespaces, name: o.Namespace}}, nil)
		return append(changes, removed...), asAdmin(err)
	}
	return append(changes, namespace...), nil
}

// owned lists what there is of a MemberCluster's access. The ServiceAccount comes first: without it, its tokens are worth nothing.
func (c *client) owned(ctx context.Context, o Options) ([]object, error) {
	selector := LabelManagedBy + "=" + ManagedBy + "," + LabelMemberCluster + "=" + labelOf(o.Cluster)
	names := []string{o.ServiceAccount, o.ServiceAccount + suffixReader, o.ServiceAccount + suffixIdentity, o.ServiceAccount + suffixRenewal}
	var out []object
	for _, r := range []resource{serviceAccounts, clusterRoleBindings, roleBindings, clusterRoles, roles} {
		found, err := c.list(ctx, r, "", selector, maxObjects)
		if err != nil {
			return nil, err
		}
		for _, meta := range found {
			// Another podway may call the cluster by the same name, and be another ServiceAccount in it.
			if slices.Contains(names, meta.Name) {
				out = append(out, object{r, meta.Namespace, meta.Name})
			}
		}
	}
	return out, nil
}

// maxObjects bounds what is listed of one kind: two of each namespace.
const maxObjects = 100_000

// without are the objects that are not among the manifests.
func without(objects []object, manifests []Manifest) []object {
	return slices.DeleteFunc(objects, func(one object) bool {
		return slices.ContainsFunc(manifests, func(m Manifest) bool {
			return m.resource == one.resource && m.meta.Namespace == one.namespace && m.meta.Name == one.name
		})
	})
}

// remove deletes objects, and adds that to changes. One that is gone already is no error.
func (c *client) remove(ctx context.Context, objects []object, changes []Change) ([]Change, error) {
	for _, one := range objects {
		err := c.do(ctx, request{method: http.MethodDelete, path: one.resource.path(one.namespace, one.name)}, nil)
		switch {
		case err == nil:
			changes = append(changes, Change{Done: "removed", Object: one.String()})
		case !apierrors.IsNotFound(err):
			return changes, fmt.Errorf("removing %s: %w", one, err)
		}
	}
	return changes, nil
}

// ownNamespace says what is to become of the namespace of the ServiceAccount: nothing is said of one that is not podway's.
func (c *client) ownNamespace(ctx context.Context, o Options, owned []object) ([]Change, error) {
	var answer struct {
		Metadata metav1.ObjectMeta `json:"metadata"`
	}
	err := c.do(ctx, request{method: http.MethodGet, path: namespaces.path("", o.Namespace)}, &answer)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("looking at Namespace %s: %w", o.Namespace, err)
	case answer.Metadata.Labels[LabelManagedBy] != ManagedBy || answer.Metadata.DeletionTimestamp != nil:
		return nil, nil
	}
	name := namespaces.describe("", o.Namespace)
	for _, r := range []resource{serviceAccounts, pods, secrets, configMaps, roles} {
		found, err := c.list(ctx, r, o.Namespace, "", pageSize)
		if err != nil {
			return nil, err
		}
		for _, meta := range found {
			if !ofKubernetes(r, meta.Name) && !slices.Contains(owned, object{r, meta.Namespace, meta.Name}) {
				return []Change{{Done: "kept", Object: name, Why: r.describe(meta.Namespace, meta.Name) + " is in it"}}, nil
			}
		}
	}
	return []Change{{Done: "removed", Object: name}}, nil
}

// ofKubernetes says whether an object is in every namespace.
func ofKubernetes(r resource, name string) bool {
	return r == serviceAccounts && name == "default" || r == configMaps && name == "kube-root-ca.crt"
}
