package v1alpha1

import (
	"path"
	"slices"
	"strings"
	"time"

	"github.com/podway/podway/api"
)

// Validate returns what is wrong with a member cluster whose defaults are set,
// as far as it alone can tell: an Error refuses it as a whole. It does not look at
// metadata, nor at any file.
func (m *MemberCluster) Validate() []api.Problem {
	c := newChecker(KindMemberCluster, &m.ObjectMeta)
	c.network(m.Spec.Network)
	c.shorter("spec.clusterUID", m.Spec.ClusterUID, 64)
	oneOf(c, "spec.trafficPolicy", m.Spec.TrafficPolicy, TrafficPolicyActive, TrafficPolicyDrained)
	c.source(&m.Spec.Source)
	c.atMost("spec.allowedTunnels", len(m.Spec.AllowedTunnels), 256)
	for i := range m.Spec.AllowedTunnels {
		field := index("spec.allowedTunnels", i)
		c.namespaces(field+".from", m.Spec.AllowedTunnels[i].From, "namespaces of tunnels")
		c.namespaces(field+".to", m.Spec.AllowedTunnels[i].To, "namespaces of this cluster")
	}
	if m.Spec.Brake != nil {
		c.brake("spec.brake", m.Spec.Brake)
	}
	return c.problems
}

// maxBrakeLimit is how long Pods that are not ready may be kept: an outage of a day is no half-truth any more.
const maxBrakeLimit = 24 * time.Hour

func (c *checker) brake(field string, brake *Brake) {
	between(c, field+".percent", brake.Percent, 1, 100)
	between(c, field+".minPods", brake.MinPods, 1, 100000)
	c.duration(field+".limit", brake.Limit, positive)
	if brake.Limit == nil {
		return
	}
	if limit, err := ParseDuration(*brake.Limit); err == nil && limit > maxBrakeLimit {
		c.refuse(api.CodeOutOfRange, field+".limit", "set it to at most 24h", "the duration %s is more than 24h", string(*brake.Limit))
	}
}

// source checks that the field that the type names is set, and no other.
func (c *checker) source(source *ClusterSource) {
	const field = "spec.source"
	if !c.required(field+".type", string(source.Type), "Kubeconfig or Objects") {
		return
	}
	oneOf(c, field+".type", source.Type, ClusterSourceKubeconfig, ClusterSourceObjects)
	switch source.Type {
	case ClusterSourceKubeconfig:
		if source.Kubeconfig == nil {
			c.refuse(api.CodeMissingField, field+".kubeconfig", "set file or secretRef in it", "type Kubeconfig needs the field kubeconfig")
		}
		c.otherSource(field+".objects", source.Objects != nil, source.Type)
	case ClusterSourceObjects:
		if source.Objects == nil {
			c.refuse(api.CodeMissingField, field+".objects", "set directory in it", "type Objects needs the field objects")
		}
		c.otherSource(field+".kubeconfig", source.Kubeconfig != nil, source.Type)
	}
	if source.Kubeconfig != nil {
		c.kubeconfig(field+".kubeconfig", source.Kubeconfig)
	}
	if source.Objects != nil {
		if c.required(field+".objects.directory", source.Objects.Directory, "a directory below the configuration directory") {
			c.relativePath(field+".objects.directory", source.Objects.Directory)
		}
	}
}

func (c *checker) otherSource(field string, set bool, kind ClusterSourceType) {
	if set {
		c.refuse(api.CodeConflict, field, "remove it, or change spec.source.type", "the field is set, but the type of the source is %s", kind)
	}
}

func (c *checker) kubeconfig(field string, source *KubeconfigSource) {
	switch {
	case source.File == "" && source.SecretRef == nil:
		c.refuse(api.CodeMissingField, field, "set file or secretRef", "nothing says where the kubeconfig is")
	case source.File != "" && source.SecretRef != nil:
		c.refuse(api.CodeConflict, field, "keep one of them", "file and secretRef exclude each other")
	}
	if source.File != "" {
		c.relativePath(field+".file", source.File)
	}
	if ref := source.SecretRef; ref != nil {
		c.label(field+".secretRef.namespace", ref.Namespace, "the name of a namespace")
		c.subdomain(field+".secretRef.name", ref.Name, "the name of a Secret")
		c.shorter(field+".secretRef.key", ref.Key, maxName)
	}
}

// relativePath refuses paths that leave the configuration directory.
func (c *checker) relativePath(field, value string) {
	const remedy = "use a path below the configuration directory, such as clusters/east"
	c.shorter(field, value, 4096)
	switch {
	case strings.ContainsRune(value, 0):
		c.refuse(api.CodeInvalidValue, field, remedy, "the path has a NUL character")
	case path.IsAbs(value):
		c.refuse(api.CodeInvalidValue, field, remedy, "the path %q is absolute", value)
	case slices.Contains(strings.Split(value, "/"), ".."):
		c.refuse(api.CodeInvalidValue, field, remedy, "the path %q has '..' in it", value)
	case path.Clean(value) == ".":
		c.refuse(api.CodeInvalidValue, field, remedy, "the path %q is the configuration directory itself", value)
	}
}

func (c *checker) namespaces(field string, names []string, what string) {
	if len(names) == 0 {
		c.refuse(api.CodeTooFew, field, `list `+what+`, or "*" for all`, "the list is empty, so that the entry allows nothing")
	}
	c.atMost(field, len(names), 64)
	for i, name := range names {
		switch {
		case name == "*" && len(names) > 1:
			c.warn(api.CodeDuplicateEntry, index(field, i), `keep "*" alone, or remove it`, `"*" is all namespaces, so that the others say nothing`)
		case name == "*":
		case strings.Contains(name, "*"):
			c.refuse(api.CodeInvalidValue, index(field, i), `use "*" alone for all, or the whole name of a namespace`, "%q is a pattern, and patterns are not supported", name)
		default:
			c.label(index(field, i), name, "the name of a namespace")
		}
	}
}
