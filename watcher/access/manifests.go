package access

import (
	"bytes"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// The roles of a ServiceAccount are called after it and after what they are for.
const (
	suffixReader   = "-reader"
	suffixIdentity = "-identity"
	suffixRenewal  = "-renewal"
)

// Manifest is an object of a member cluster that podway makes.
type Manifest struct {
	resource resource
	meta     *metav1.ObjectMeta
	// Object is a pointer to a ServiceAccount, Role, RoleBinding, ClusterRole or ClusterRoleBinding, or to the metadata of a Namespace.
	Object any
}

// Manifests are all objects of the access that is wanted, in an order in which they can be made. The first is the Namespace of
// the ServiceAccount.
func Manifests(options Options) ([]Manifest, error) {
	o, err := options.complete()
	if err != nil {
		return nil, err
	}
	return o.manifests(), nil
}

// YAML are the manifests as one text.
func YAML(manifests []Manifest) ([]byte, error) {
	var out bytes.Buffer
	for i, m := range manifests {
		text, err := yaml.Marshal(m.Object)
		if err != nil {
			return nil, fmt.Errorf("encoding %s: %w", m, err)
		}
		if i > 0 {
			out.WriteString("---\n")
		}
		out.Write(text)
	}
	return out.Bytes(), nil
}

// String is the kind and the name.
func (m Manifest) String() string { return m.resource.describe(m.meta.Namespace, m.meta.Name) }

// manifests makes them of complete options.
func (o Options) manifests() []Manifest {
	out := []Manifest{o.namespace(), o.serviceAccount()}
	out = append(out, o.clusterRole(suffixIdentity, identityRules())...)
	out = append(out, o.role(o.Namespace, suffixRenewal, o.renewalRules())...)
	if len(o.Namespaces) == 0 {
		return append(out, o.clusterRole(suffixReader, readerRules())...)
	}
	for _, namespace := range o.Namespaces {
		out = append(out, o.role(namespace, suffixReader, readerRules())...)
	}
	return out
}

// readerRules are all that podway reads of Services and their Pods. Of Pods it asks for the metadata only, which RBAC cannot say.
func readerRules() []rbacv1.PolicyRule {
	read := []string{"get", "list", "watch"}
	return []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"services", "pods"}, Verbs: read},
		{APIGroups: []string{"discovery.k8s.io"}, Resources: []string{"endpointslices"}, Verbs: read},
	}
}

// identityRules let podway see which cluster it is connected to.
func identityRules() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"namespaces"}, ResourceNames: []string{uidNamespace}, Verbs: []string{"get"}}}
}

// renewalRules let the ServiceAccount make tokens for itself, and for nobody else.
func (o Options) renewalRules() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"serviceaccounts/token"}, ResourceNames: []string{o.ServiceAccount}, Verbs: []string{"create"}}}
}

// namespace has the label of no MemberCluster: several may share it.
func (o Options) namespace() Manifest {
	object := &metav1.PartialObjectMetadata{
		TypeMeta:   namespaces.typeMeta(),
		ObjectMeta: metav1.ObjectMeta{Name: o.Namespace, Labels: map[string]string{LabelManagedBy: ManagedBy}},
	}
	return Manifest{resource: namespaces, meta: &object.ObjectMeta, Object: object}
}

func (o Options) serviceAccount() Manifest {
	never := false
	object := &corev1.ServiceAccount{
		TypeMeta: serviceAccounts.typeMeta(), ObjectMeta: o.meta(o.Namespace, o.ServiceAccount),
		AutomountServiceAccountToken: &never, // No Pod is podway.
	}
	return Manifest{resource: serviceAccounts, meta: &object.ObjectMeta, Object: object}
}

func (o Options) clusterRole(suffix string, rules []rbacv1.PolicyRule) []Manifest {
	name := o.ServiceAccount + suffix
	role := &rbacv1.ClusterRole{TypeMeta: clusterRoles.typeMeta(), ObjectMeta: o.meta("", name), Rules: rules}
	binding := &rbacv1.ClusterRoleBinding{
		TypeMeta: clusterRoleBindings.typeMeta(), ObjectMeta: o.meta("", name),
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
		Subjects: o.subjects(),
	}
	return []Manifest{
		{resource: clusterRoles, meta: &role.ObjectMeta, Object: role},
		{resource: clusterRoleBindings, meta: &binding.ObjectMeta, Object: binding},
	}
}

func (o Options) role(namespace, suffix string, rules []rbacv1.PolicyRule) []Manifest {
	name := o.ServiceAccount + suffix
	role := &rbacv1.Role{TypeMeta: roles.typeMeta(), ObjectMeta: o.meta(namespace, name), Rules: rules}
	binding := &rbacv1.RoleBinding{
		TypeMeta: roleBindings.typeMeta(), ObjectMeta: o.meta(namespace, name),
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
		Subjects: o.subjects(),
	}
	return []Manifest{
		{resource: roles, meta: &role.ObjectMeta, Object: role},
		{resource: roleBindings, meta: &binding.ObjectMeta, Object: binding},
	}
}

func (o Options) subjects() []rbacv1.Subject {
	return []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: o.ServiceAccount, Namespace: o.Namespace}}
}

func (o Options) meta(namespace, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: namespace, Name: name,
		Labels: map[string]string{LabelManagedBy: ManagedBy, LabelMemberCluster: labelOf(o.Cluster)},
	}
}
