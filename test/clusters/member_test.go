//go:build clusters

package clusters

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/stretchr/testify/require"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kubetest "github.com/podway/podway/test/kube"
	"github.com/podway/podway/watcher/credential"
)

// namespace is where all is that has no reason to be elsewhere.
const namespace = "shop"

// viewer is the user whose token is in the kubeconfig, unless a test puts another one there.
const viewer = "viewer"

// memberConfig says what a member cluster is like.
type memberConfig struct {
	name string
	// network is the second number of the addresses of its Pods, from 71 to 78.
	network int
	// controllers make EndpointSlices of Pods; without, the test writes them.
	controllers bool
	// proxied has podway reach it through a Proxy, fronted through a Front.
	proxied, fronted bool
	// unpinned leaves out spec.clusterUID.
	unpinned bool
	// spec is further lines of the MemberCluster.
	spec []string
	// flags are further ones of its API server.
	flags []string
}

// everything is what podway needs for all namespaces and a pinned cluster.
func everything() []kubetest.Grant {
	grants := kubetest.Reader()
	grants[0].Rules = append(grants[0].Rules, kubetest.Rule([]string{"get"}, "", "namespaces"))
	return grants
}

func (w *world) startMembers(configs []memberConfig) {
	w.Helper()
	var options []kubetest.Options
	for _, config := range configs {
		o := kubetest.Options{
			Name: config.name, Users: []string{viewer},
			// Without, it would wait a minute for watches to end when it is asked to.
			ServerFlags: append([]string{"--shutdown-watch-termination-grace-period=1s"}, config.flags...),
		}
		if config.controllers {
			o.Controllers = []string{kubetest.EndpointSlices}
		}
		options = append(options, o)
	}
	for i, cluster := range kubetest.StartAll(w.T, options...) {
		m := &member{Cluster: cluster, memberConfig: configs[i], w: w}
		w.members[m.name] = m
		w.secret(cluster.AdminToken())
		m.Create(kubetest.Namespace(namespace))
		m.Allow(kubetest.User(viewer), everything()...)
		target := cluster.Address()
		if m.fronted {
			m.front = kubetest.NewFront(w.T, cluster)
			target = m.front.Address()
		}
		if m.proxied {
			m.proxy = kubetest.NewProxy(w.T, target)
		}
		m.authorize(cluster.TokenOf(viewer))
		m.configure()
	}
}

// configure writes the MemberCluster anew.
func (m *member) configure(spec ...string) {
	m.w.Helper()
	lines := slices.Concat(m.spec, spec)
	if !m.unpinned {
		lines = append(lines, "clusterUID: "+string(m.ClusterUID()))
	}
	m.w.write(m.name+".yaml", memberYAML(m.name, lines...))
}

// url is where podway reaches the API server.
func (m *member) url() string {
	switch {
	case m.proxied:
		return m.proxy.URL()
	case m.fronted:
		return m.front.URL()
	}
	return m.URL()
}

// authorize has podway use a token.
func (m *member) authorize(token string) {
	m.w.Helper()
	m.w.secret(token)
	m.writeKubeconfig(m.KubeconfigAt(m.url(), token))
}

// kubeconfig is the path of the file that the MemberCluster names.
func (m *member) kubeconfig() string { return filepath.Join(m.w.directory, m.name+".kubeconfig") }

func (m *member) writeKubeconfig(content []byte) {
	m.w.Helper()
	require.NoError(m.w, credential.WriteFile(m.kubeconfig(), content))
}

// cut closes all connections that podway has to the API server.
func (m *member) cut() {
	if m.front != nil {
		m.front.Cut()
	}
	if m.proxy != nil {
		m.proxy.Cut()
	}
}

// address is that of the next Pod: no two Pods of a world share one unless a test says so.
func (m *member) address() string {
	m.next++
	return fmt.Sprintf("10.%d.%d.%d", m.network, m.next/200, m.next%200+1)
}

// awaitRight waits until the API server lets a ServiceAccount of the namespace shop do something, or refuses it.
func (m *member) awaitRight(account, verb, group, resource, in string, allowed bool) {
	m.w.Helper()
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User:               "system:serviceaccount:" + namespace + ":" + account,
		ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: verb, Group: group, Resource: resource, Namespace: in},
	}}
	m.w.eventually(fmt.Sprintf("%s may %s %s: %t", account, verb, resource, allowed), func() bool {
		answer, err := m.Client().AuthorizationV1().SubjectAccessReviews().Create(m.w.Context(), review, metav1.CreateOptions{})
		return err == nil && answer.Status.Allowed == allowed
	})
}
