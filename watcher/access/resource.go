package access

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// resource is a kind of object, and where API servers have it.
type resource struct {
	kind, group, version, plural string
	namespaced                   bool
}

var (
	namespaces          = resource{kind: "Namespace", version: "v1", plural: "namespaces"}
	serviceAccounts     = resource{kind: "ServiceAccount", version: "v1", plural: "serviceaccounts", namespaced: true}
	services            = resource{kind: "Service", version: "v1", plural: "services", namespaced: true}
	pods                = resource{kind: "Pod", version: "v1", plural: "pods", namespaced: true}
	secrets             = resource{kind: "Secret", version: "v1", plural: "secrets", namespaced: true}
	configMaps          = resource{kind: "ConfigMap", version: "v1", plural: "configmaps", namespaced: true}
	endpointSlices      = resource{kind: "EndpointSlice", group: "discovery.k8s.io", version: "v1", plural: "endpointslices", namespaced: true}
	roles               = resource{kind: "Role", group: "rbac.authorization.k8s.io", version: "v1", plural: "roles", namespaced: true}
	roleBindings        = resource{kind: "RoleBinding", group: "rbac.authorization.k8s.io", version: "v1", plural: "rolebindings", namespaced: true}
	clusterRoles        = resource{kind: "ClusterRole", group: "rbac.authorization.k8s.io", version: "v1", plural: "clusterroles"}
	clusterRoleBindings = resource{kind: "ClusterRoleBinding", group: "rbac.authorization.k8s.io", version: "v1", plural: "clusterrolebindings"}
)

func (r resource) typeMeta() metav1.TypeMeta {
	version := r.version
	if r.group != "" {
		version = r.group + "/" + version
	}
	return metav1.TypeMeta{APIVersion: version, Kind: r.kind}
}

// path is that of one object or, without a name, of all of a namespace or, without one, of the cluster.
func (r resource) path(namespace, name string) string {
	parts := []string{"/api", r.version}
	if r.group != "" {
		parts = []string{"/apis", r.group, r.version}
	}
	if r.namespaced && namespace != "" {
		parts = append(parts, "namespaces", namespace)
	}
	parts = append(parts, r.plural)
	if name != "" {
		parts = append(parts, name)
	}
	return strings.Join(parts, "/")
}

// describe is "Kind namespace/name".
func (r resource) describe(namespace, name string) string {
	if namespace != "" {
		name = namespace + "/" + name
	}
	return r.kind + " " + name
}

// qualified is what RBAC calls the resource: endpointslices.discovery.k8s.io.
func (r resource) qualified() string {
	if r.group == "" {
		return r.plural
	}
	return r.plural + "." + r.group
}
