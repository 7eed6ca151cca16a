package kubetest

import (
	"context"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// minimumLifetime is what the API server asks for at least in a TokenRequest.
const minimumLifetime = 10 * time.Minute

// Grant is what somebody may do: in one namespace, or, with none, in all of them and with what has no namespace.
type Grant struct {
	Namespace string
	Rules     []rbacv1.PolicyRule
}

// Reader is what podway needs to watch: get, list and watch on Services, EndpointSlices and Pods, in each of the namespaces; in all of them with none.
func Reader(namespaces ...string) []Grant {
	rules := []rbacv1.PolicyRule{
		Rule([]string{"get", "list", "watch"}, "", "services", "pods"),
		Rule([]string{"get", "list", "watch"}, "discovery.k8s.io", "endpointslices"),
	}
	if len(namespaces) == 0 {
		return []Grant{{Rules: rules}}
	}
	var grants []Grant
	for _, namespace := range namespaces {
		grants = append(grants, Grant{Namespace: namespace, Rules: rules})
	}
	return grants
}

// Rule allows verbs on resources of one API group; the core group is "".
func Rule(verbs []string, group string, resources ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{Verbs: verbs, APIGroups: []string{group}, Resources: resources}
}

// Account creates a ServiceAccount that may do what is granted, and returns who it is, for Allow and Deny.
func (c *Cluster) Account(namespace, name string, grants ...Grant) rbacv1.Subject {
	c.t.Helper()
	c.Create(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}})
	subject := rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: name}
	c.Allow(subject, grants...)
	return subject
}

// User is one of Options.Users, for Allow and Deny.
func User(name string) rbacv1.Subject {
	return rbacv1.Subject{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: name}
}

// Allow lets somebody do what is granted. In each namespace, and beside them, it puts itself in the place of what Allow granted there before.
func (c *Cluster) Allow(who rbacv1.Subject, grants ...Grant) {
	c.t.Helper()
	ctx, cancel := c.limited()
	defer cancel()
	for _, grant := range grants {
		for _, o := range grant.objects(who) {
			err := c.create(ctx, o)
			if apierrors.IsAlreadyExists(err) {
				o.SetResourceVersion("")
				err = c.put(ctx, o, "")
			}
			if err != nil {
				c.t.Fatalf("%s: granting %s %q: %v", c.Name, who.Kind, who.Name, err)
			}
		}
	}
}

// Deny takes back what Allow has granted. An API server obeys within milliseconds; a watch that is open stays open.
func (c *Cluster) Deny(who rbacv1.Subject, grants ...Grant) {
	c.t.Helper()
	for _, grant := range grants {
		objects := grant.objects(who)
		c.Delete(objects[1], objects[0])
	}
}

// objects are the Role and its binding.
func (g Grant) objects(who rbacv1.Subject) []Object {
	named := metav1.ObjectMeta{Namespace: g.Namespace, Name: "test-" + who.Name}
	if g.Namespace == "" {
		return []Object{
			&rbacv1.ClusterRole{ObjectMeta: named, Rules: g.Rules},
			&rbacv1.ClusterRoleBinding{
				ObjectMeta: named, Subjects: []rbacv1.Subject{who},
				RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: named.Name},
			},
		}
	}
	return []Object{
		&rbacv1.Role{ObjectMeta: named, Rules: g.Rules},
		&rbacv1.RoleBinding{
			ObjectMeta: named, Subjects: []rbacv1.Subject{who},
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: named.Name},
		},
	}
}

// Token is one of a ServiceAccount: by TokenRequest, if it is to live for 10 minutes or more; else signed here, as by SignToken, since no API
// server gives out such a short one.
func (c *Cluster) Token(who rbacv1.Subject, lifetime time.Duration) string {
	c.t.Helper()
	if lifetime < minimumLifetime {
		return c.SignToken(who, time.Now().Add(lifetime))
	}
	ctx, cancel := c.limited()
	defer cancel()
	token, err := c.requestToken(ctx, who, lifetime)
	if err != nil {
		c.t.Fatalf("%s: a token for ServiceAccount %s/%s: %v", c.Name, who.Namespace, who.Name, err)
	}
	return token
}

func (c *Cluster) requestToken(ctx context.Context, who rbacv1.Subject, lifetime time.Duration) (string, error) {
	seconds := int64(lifetime / time.Second)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}
	answer, err := c.Client().CoreV1().ServiceAccounts(who.Namespace).CreateToken(ctx, who.Name, request, metav1.CreateOptions{})
	if err != nil {
		return "", err
	}
	return answer.Status.Token, nil
}
