package access

import (
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"
)

// permitted are all rules of the manifests, one a line: which role, where, may do what.
func permitted(t *testing.T, manifests []Manifest) string {
	t.Helper()
	var lines []string
	add := func(who string, rules []rbacv1.PolicyRule) {
		for _, rule := range rules {
			text, err := yaml.Marshal(rule)
			if err != nil {
				t.Fatal(err)
			}
			lines = append(lines, who+": "+strings.Join(strings.Fields(string(text)), " "))
		}
	}
	for _, m := range manifests {
		switch object := m.Object.(type) {
		case *rbacv1.Role:
			add(m.String(), object.Rules)
		case *rbacv1.ClusterRole:
			add(m.String(), object.Rules)
			if object.AggregationRule != nil {
				t.Errorf("%s aggregates", m)
			}
		}
	}
	return strings.Join(lines, "\n")
}

// This is all that podway may do in a cluster. Whoever changes it asks every cluster's owner for more.
func TestExactRules(t *testing.T) {
	const own = `ClusterRole podway-east-identity: apiGroups: - "" resourceNames: - kube-system resources: - namespaces verbs: - get
Role podway-access/podway-east-renewal: apiGroups: - "" resourceNames: - podway-east resources: - serviceaccounts/token verbs: - create
`
	reader := func(role string) string {
		return role + `: apiGroups: - "" resources: - services - pods verbs: - get - list - watch` + "\n" +
			role + `: apiGroups: - discovery.k8s.io resources: - endpointslices verbs: - get - list - watch`
	}
	for name, test := range map[string]struct {
		namespaces []string
		want       string
	}{
		"Cluster":    {nil, own + reader("ClusterRole podway-east-reader")},
		"Namespaces": {[]string{"b", "a", "b"}, own + reader("Role a/podway-east-reader") + "\n" + reader("Role b/podway-east-reader")},
	} {
		manifests, err := Manifests(Options{Cluster: "east", Namespaces: test.namespaces})
		if err != nil {
			t.Fatal(err)
		}
		if got := permitted(t, manifests); got != test.want {
			t.Errorf("%s:\n%s\nwant:\n%s", name, got, test.want)
		}
	}
}

// Every role is bound once, under its own name, to the ServiceAccount alone.
func TestBindings(t *testing.T) {
	manifests, err := Manifests(Options{Cluster: "east", Namespaces: []string{"shop"}})
	if err != nil {
		t.Fatal(err)
	}
	bound := map[string]bool{}
	check := func(m Manifest, ref rbacv1.RoleRef, subjects []rbacv1.Subject) {
		bound[ref.Kind+" "+m.meta.Namespace+"/"+ref.Name] = true
		if ref.Name != m.meta.Name || len(subjects) != 1 || subjects[0] != (rbacv1.Subject{Kind: "ServiceAccount", Namespace: "podway-access", Name: "podway-east"}) {
			t.Errorf("%s binds %v to %v", m, ref, subjects)
		}
	}
	total := 0
	for _, m := range manifests {
		switch object := m.Object.(type) {
		case *rbacv1.RoleBinding:
			check(m, object.RoleRef, object.Subjects)
		case *rbacv1.ClusterRoleBinding:
			check(m, object.RoleRef, object.Subjects)
		case *rbacv1.Role, *rbacv1.ClusterRole:
			total++
			if !bound[m.resource.kind+" "+m.meta.Namespace+"/"+m.meta.Name] {
				defer func() {
					if !bound[m.resource.kind+" "+m.meta.Namespace+"/"+m.meta.Name] {
						t.Errorf("%s is not bound", m)
					}
				}()
			}
		}
	}
	if total != 3 {
		t.Errorf("%d roles, want 3", total)
	}
}

func TestEverythingIsLabelled(t *testing.T) {
	manifests, err := Manifests(Options{Cluster: "east", Namespaces: []string{"shop"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range manifests {
		if m.meta.Labels["app.kubernetes.io/managed-by"] != "podway" || (m.meta.Labels["podway.dev/member-cluster"] != "east") != (m.resource == namespaces) {
			t.Errorf("%s has the labels %v", m, m.meta.Labels)
		}
	}
}

func TestLongNamesOfClusters(t *testing.T) {
	long := strings.Repeat("a", 100) + "." + strings.Repeat("b", 100)
	one, err := Manifests(Options{Cluster: long})
	if err != nil {
		t.Fatal(err)
	}
	other, err := Manifests(Options{Cluster: long + "b"})
	if err != nil {
		t.Fatal(err)
	}
	label := one[1].meta.Labels[LabelMemberCluster]
	if len(label) > 63 || label == other[1].meta.Labels[LabelMemberCluster] || one[1].meta.Name == other[1].meta.Name {
		t.Errorf("the label is %s, the ServiceAccounts %s and %s", label, one[1].meta.Name, other[1].meta.Name)
	}
}

func TestOptionsThatCannotBe(t *testing.T) {
	for want, options := range map[string]Options{
		`"East" cannot be the name of a MemberCluster: `:                     {Cluster: "East"},
		`"" cannot be the name of a MemberCluster: `:                         {},
		`"a_b" cannot be the name of a ServiceAccount: `:                     {Cluster: "east", ServiceAccount: "a_b"},
		`"*" cannot be the name of a namespace: `:                            {Cluster: "east", Namespaces: []string{"*"}},
		`"a.b" cannot be the name of a namespace: `:                          {Cluster: "east", Namespace: "a.b"},
		"the lifetime of a token must be 10m to 365 days, but is 9m":         {Cluster: "east", TokenLifetime: 9 * time.Minute},
		"the lifetime of a token must be 10m to 365 days, but is 400 days":   {Cluster: "east", TokenLifetime: 400 * 24 * time.Hour},
		"the server must be https://HOST:PORT, without a user or a password": {Cluster: "east", Server: "https://u:p@host"},
	} {
		if _, err := Manifests(options); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestSpell(t *testing.T) {
	for d, want := range map[time.Duration]string{
		30 * 24 * time.Hour: "30 days", 47 * time.Hour: "47h", 90 * time.Minute: "1h30m", 10 * time.Minute: "10m", 61 * time.Second: "1m",
		1500 * time.Microsecond: "2ms", 2500 * time.Millisecond: "2.5s", -time.Minute: "-1m0s",
	} {
		if got := Spell(d); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
