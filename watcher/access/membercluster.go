package access

import (
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/api/v1alpha1"
)

// Member says what a MemberCluster is to be.
type Member struct {
	// Name of the MemberCluster.
	Name string
	// Network of its Pods, or empty.
	Network string
	// KubeconfigFile is relative to the configuration directory.
	KubeconfigFile string
	// ClusterUID is pinned.
	ClusterUID string
	// AllowFrom are the namespaces of tunnels that may use the cluster: none, some, or "*".
	AllowFrom []string
	// Namespaces are those of the cluster that they may use; none means all.
	Namespaces []string
}

// Object is the MemberCluster.
func (m Member) Object() *v1alpha1.MemberCluster {
	return &v1alpha1.MemberCluster{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: v1alpha1.KindMemberCluster},
		ObjectMeta: metav1.ObjectMeta{Name: m.Name},
		Spec: v1alpha1.MemberClusterSpec{
			Network:        m.Network,
			Source:         v1alpha1.ClusterSource{Type: v1alpha1.ClusterSourceKubeconfig, Kubeconfig: &v1alpha1.KubeconfigSource{File: m.KubeconfigFile}},
			ClusterUID:     m.ClusterUID,
			AllowedTunnels: m.allowed(),
		},
	}
}

// Scope is what podway may read.
func (m Member) Scope() *snapshot.Scope {
	if len(m.Namespaces) == 0 {
		return snapshot.Everything
	}
	return &snapshot.Scope{Namespaces: slices.Compact(slices.Sorted(slices.Values(m.Namespaces)))}
}

// ScopeOf is what a MemberCluster lets tunnels use, and podway has to read.
func ScopeOf(cluster *v1alpha1.MemberCluster) *snapshot.Scope {
	var namespaces []string
	for _, allowed := range cluster.Spec.AllowedTunnels {
		if slices.Contains(allowed.To, "*") {
			return snapshot.Everything
		}
		namespaces = append(namespaces, allowed.To...)
	}
	return &snapshot.Scope{Namespaces: slices.Compact(slices.Sorted(slices.Values(namespaces)))}
}

// allowed lets the namespaces of tunnels use those of the cluster, in entries that are no longer than they may be.
func (m Member) allowed() []v1alpha1.AllowedTunnels {
	const most = 64
	to := m.Namespaces
	if len(to) == 0 {
		to = []string{"*"}
	}
	var out []v1alpha1.AllowedTunnels
	for from := range slices.Chunk(m.AllowFrom, most) {
		for part := range slices.Chunk(to, most) {
			out = append(out, v1alpha1.AllowedTunnels{From: from, To: part})
		}
	}
	return out
}

// YAML is the MemberCluster as a file of the configuration. Where no tunnel may use it, a comment says how one could.
func (m Member) YAML() ([]byte, error) {
	text, err := yaml.Marshal(m.Object())
	if err != nil {
		return nil, fmt.Errorf("encoding MemberCluster %s: %w", m.Name, err)
	}
	if len(m.AllowFrom) > 0 {
		return text, nil
	}
	hint := m
	hint.AllowFrom = []string{"NAMESPACE"}
	example := "  # No tunnel may use this cluster yet. To let those of a namespace use it:\n  # allowedTunnels:\n"
	for _, entry := range hint.allowed() {
		example += fmt.Sprintf("  # - {from: [%s], to: %s}\n", entry.From[0], flow(entry.To))
	}
	return append(text, example...), nil
}

// flow is a list in one line of YAML.
func flow(names []string) string {
	text := "["
	for i, name := range names {
		if i > 0 {
			text += ", "
		}
		if name == "*" {
			name = `"*"`
		}
		text += name
	}
	return text + "]"
}
