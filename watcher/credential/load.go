package credential

import (
	"crypto/sha256"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/v1alpha1"
)

// defaultKey is the key of a Secret that a kubeconfig is in.
const defaultKey = "kubeconfig"

// Load reads the kubeconfig that a MemberCluster of type Kubeconfig names: a file below the directory, or one of the Secrets. There is a
// Credential if and only if no Problem is an Error.
func Load(cluster *v1alpha1.MemberCluster, directory string, secrets map[types.NamespacedName]*corev1.Secret) (*Credential, []api.Problem) {
	data, problem := read(cluster, directory, secrets)
	if problem != nil {
		return nil, []api.Problem{*problem}
	}
	return Parse(data, OriginOf(cluster))
}

// Reader is Load for somebody who calls it again and again: a kubeconfig that is as it was the last time is not parsed again. The zero value is
// ready. It belongs to one goroutine.
type Reader struct {
	// last is what was read last, if all was well with it; nil otherwise. source and read are where it came from, and the hash of what it was.
	last   *Credential
	source Source
	read   [sha256.Size]byte
}

// Load is the function of that name.
func (r *Reader) Load(cluster *v1alpha1.MemberCluster, directory string, secrets map[types.NamespacedName]*corev1.Secret) (*Credential, []api.Problem) {
	data, problem := read(cluster, directory, secrets)
	if problem != nil {
		return nil, []api.Problem{*problem}
	}
	origin, hash := OriginOf(cluster), sha256.Sum256(data)
	if r.last != nil && r.source == origin.Source && r.read == hash && (r.last.Expires.IsZero() || r.last.Expires.After(time.Now())) {
		return r.last, nil
	}
	found, problems := Parse(data, origin)
	*r = Reader{source: origin.Source, read: hash}
	if len(problems) == 0 {
		r.last = found
	}
	return found, problems
}

func read(cluster *v1alpha1.MemberCluster, directory string, secrets map[types.NamespacedName]*corev1.Secret) ([]byte, *api.Problem) {
	source, origin := cluster.Spec.Source.Kubeconfig, OriginOf(cluster)
	if source == nil {
		problem := origin.problem(api.CodeMissingField, "set file or secretRef in spec.source.kubeconfig", "the cluster has no kubeconfig")
		problem.Field = "spec.source.kubeconfig"
		return nil, &problem
	}
	if source.SecretRef != nil {
		return readSecret(source.SecretRef, origin, secrets)
	}
	data, err := ReadFile(directory, source.File)
	if err != nil {
		problem := origin.problem(api.CodeUnreadable, "put a kubeconfig there, below the configuration directory, or make it: "+origin.authorize(),
			"the kubeconfig %s cannot be read: %v", source.File, err)
		return nil, &problem
	}
	return data, nil
}

func readSecret(ref *v1alpha1.SecretKeyReference, origin Origin, secrets map[types.NamespacedName]*corev1.Secret) ([]byte, *api.Problem) {
	name := types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name}
	key := ref.Key
	if key == "" {
		key = defaultKey
	}
	secret := secrets[name]
	if secret == nil {
		problem := origin.problem("MissingSecret", "create it, or correct the reference", "there is no Secret %s", name)
		return nil, &problem
	}
	if data, ok := secret.Data[key]; ok {
		return data, nil
	}
	if text, ok := secret.StringData[key]; ok {
		return []byte(text), nil
	}
	problem := origin.problem("MissingKey", "put the kubeconfig under that key, or name the key that it is under", "the Secret %s has no key %s", name, key)
	return nil, &problem
}
