package translator

import (
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api/pods"
	"github.com/podway/podway/api/v1alpha1"
)

// reads is all that a tunnel's plan was made from, its own object aside. While
// each of them would be read the same, the plan need not be made again.
type reads struct {
	values []readValue
	// from and until bound the time in which certificates' dates are judged the same; zero: not bounded.
	from, until time.Time
}

// readValue is one thing that was looked up, and what was found: a pointer to
// an object of the picture (nil where it was missing), or a bool.
type readValue struct {
	key   readKey
	value any
}

type readKind uint8

const (
	readMember readKind = iota
	readSynced
	readRemembered
	readService
	readSecret
	readConfigMap
	readSecretGrant
	readConfigMapGrant
)

// readKey says what is looked up. There are four of each service of a tunnel, so it has no field that only few need: of the name, not all is of
// use to all kinds, and of a grant the Cluster is the namespace that it is asked for.
type readKey struct {
	kind readKind
	name pods.ServiceKey
}

// look finds the current value of a key.
func (in *input) look(key readKey) any {
	name := types.NamespacedName{Namespace: key.name.Namespace, Name: key.name.Name}
	switch key.kind {
	case readMember:
		return in.cfg.MemberClusters[key.name.Cluster]
	case readSynced:
		return in.cfg.Synced[key.name.Cluster].Covers(key.name.Namespace)
	case readRemembered:
		return in.cfg.Synced[key.name.Cluster].IsRemembered()
	case readService:
		return in.cfg.Services[key.name]
	case readSecret:
		return in.cfg.Secrets[name]
	case readConfigMap:
		return in.cfg.ConfigMaps[name]
	case readSecretGrant:
		return in.grants.allows(v1alpha1.Group, v1alpha1.KindTunnel, key.name.Cluster, "", kindSecret, name.Namespace, name.Name)
	case readConfigMapGrant:
		return in.grants.allows(v1alpha1.Group, v1alpha1.KindTunnel, key.name.Cluster, "", kindConfigMap, name.Namespace, name.Name)
	}
	return nil
}

// unchanged is true where everything would be read as it was.
func (r *reads) unchanged(in *input) bool {
	now := in.cfg.Now
	if now.Before(r.from) || (!r.until.IsZero() && !now.Before(r.until)) {
		return false
	}
	if in.surroundingsStay {
		return true
	}
	for _, read := range r.values {
		if in.look(read.key) != read.value {
			return false
		}
	}
	return true
}

// dates notes that certificates' dates were compared with now.
func (r *reads) dates(now time.Time, boundaries ...time.Time) {
	for _, boundary := range boundaries {
		if boundary.After(now) {
			if r.until.IsZero() || boundary.Before(r.until) {
				r.until = boundary
			}
		} else if boundary.After(r.from) {
			r.from = boundary
		}
	}
}

// reader reads for one tunnel, and remembers what.
type reader struct {
	in   *input
	read reads
}

func (r *reader) note(key readKey) any {
	value := r.in.look(key)
	r.read.values = append(r.read.values, readValue{key, value})
	return value
}

func (r *reader) member(name string) *v1alpha1.MemberCluster {
	return r.note(readKey{kind: readMember, name: pods.ServiceKey{Cluster: name}}).(*v1alpha1.MemberCluster)
}

func (r *reader) synced(cluster, namespace string) bool {
	return r.note(readKey{kind: readSynced, name: pods.ServiceKey{Cluster: cluster, Namespace: namespace}}).(bool)
}

func (r *reader) remembered(cluster string) bool {
	return r.note(readKey{kind: readRemembered, name: pods.ServiceKey{Cluster: cluster}}).(bool)
}

func (r *reader) service(key pods.ServiceKey) *pods.Service {
	return r.note(readKey{kind: readService, name: key}).(*pods.Service)
}

// granted is true where a tunnel in that namespace may use the object, a Secret or ConfigMap.
func (r *reader) granted(from, kind string, to types.NamespacedName) bool {
	key := readKey{kind: readConfigMapGrant, name: pods.ServiceKey{Cluster: from, Namespace: to.Namespace, Name: to.Name}}
	if kind == kindSecret {
		key.kind = readSecretGrant
	}
	return r.note(key).(bool)
}

// object notes that a Secret or ConfigMap is read, which input.pem then does.
func (r *reader) object(kind string, name types.NamespacedName) {
	key := readKey{kind: readConfigMap, name: pods.ServiceKey{Namespace: name.Namespace, Name: name.Name}}
	if kind == kindSecret {
		key.kind = readSecret
	}
	r.note(key)
}
