package slices

import (
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"
)

// FollowAllLabels has the labels of all namespaces asked for and known: what is not there, there is not. Call it first.
func (x *Index) FollowAllLabels() { x.allLabels = true }

// follows says whether the labels of a namespace's Pods are asked for, and whether they are known.
func (x *Index) follows(namespace string) (followed, known bool) {
	if x.allLabels {
		return true, true
	}
	known, followed = x.labeled[namespace]
	return followed, known
}

// FollowLabels says whether the labels of a namespace's Pods are asked for. While they are asked for and not known (LabelsKnown),
// the Sets of the namespace are Unlabeled.
func (x *Index) FollowLabels(namespace string, follow bool) {
	if followed, _ := x.follows(namespace); followed == follow {
		return
	}
	if follow {
		x.labeled[namespace] = false
		for _, slice := range x.slices {
			if name, ok := slice.Of(); ok && slice.Namespace == namespace {
				x.learn(name, slice)
			}
		}
	} else {
		delete(x.labeled, namespace)
		for name, pod := range x.pods {
			if name.Namespace == namespace {
				x.release(pod)
				delete(x.pods, name)
			}
		}
	}
	x.touchNamespace(namespace)
}

// LabelsKnown says that all labels of a namespace's Pods have been put.
func (x *Index) LabelsKnown(namespace string) {
	if followed, known := x.follows(namespace); followed && !known {
		x.labeled[namespace] = true
		x.touchNamespace(namespace)
	}
}

func (x *Index) touchNamespace(namespace string) {
	for name, e := range x.entries {
		if name.Namespace == namespace && e.service != nil {
			x.dirty[name] = struct{}{}
		}
	}
}

// PutLabels takes up a Pod's labels; nil says that there is no such Pod any more. Pods of namespaces whose labels are not followed are left out.
func (x *Index) PutLabels(name types.NamespacedName, labels map[string]string) {
	if followed, _ := x.follows(name.Namespace); !followed {
		return
	}
	pod := x.pods[name]
	if labels == nil && (pod == nil || pod.shared == nil) {
		return
	}
	if pod != nil && pod.shared != nil && labels != nil && maps.Equal(pod.shared.labels, labels) {
		return
	}
	if pod == nil {
		pod = &podLabels{}
		x.pods[name] = pod
	}
	x.release(pod)
	if labels != nil {
		pod.shared = x.share(labels)
	}
	for _, user := range pod.users {
		x.dirty[user] = struct{}{}
	}
	if pod.shared == nil && len(pod.users) == 0 {
		delete(x.pods, name)
	}
}

// PodNames are the names of the Pods of a namespace whose labels are known.
func (x *Index) PodNames(namespace string) []types.NamespacedName {
	var out []types.NamespacedName
	for name, pod := range x.pods {
		if name.Namespace == namespace && pod.shared != nil {
			out = append(out, name)
		}
	}
	return out
}

func (x *Index) labels(name types.NamespacedName) map[string]string {
	if pod := x.pods[name]; pod != nil && pod.shared != nil {
		return pod.shared.labels
	}
	return nil
}

// learn notes that a Service's slice names Pods whose labels are followed.
func (x *Index) learn(service types.NamespacedName, slice *Slice) {
	if followed, _ := x.follows(slice.Namespace); !followed {
		return
	}
	for i := range slice.Pods {
		if slice.Pods[i].Name == "" {
			continue
		}
		name := types.NamespacedName{Namespace: slice.Pods[i].Namespace, Name: slice.Pods[i].Name}
		pod := x.pods[name]
		if pod == nil {
			pod = &podLabels{}
			x.pods[name] = pod
		}
		if !slices.Contains(pod.users, service) {
			pod.users = append(pod.users, service)
		}
	}
}

// forget lets go of the Pods of a slice that went, unless another slice of the Service names them.
func (x *Index) forget(service types.NamespacedName, slice *Slice) {
	if followed, _ := x.follows(slice.Namespace); !followed {
		return
	}
	rest := x.entry(service).slices
	for i := range slice.Pods {
		name := types.NamespacedName{Namespace: slice.Pods[i].Namespace, Name: slice.Pods[i].Name}
		pod := x.pods[name]
		if pod == nil || slices.ContainsFunc(rest, func(s *Slice) bool { return s.has(&slice.Pods[i]) }) {
			continue
		}
		pod.users = slices.DeleteFunc(pod.users, func(user types.NamespacedName) bool { return user == service })
		if len(pod.users) == 0 && pod.shared == nil {
			delete(x.pods, name)
		}
	}
}

// share returns the one copy of labels that many Pods have: those of a Deployment differ in nothing.
func (x *Index) share(labels map[string]string) *sharedLabels {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		b.WriteString(key)
		b.WriteByte('=')
		b.WriteString(labels[key])
		b.WriteByte(',')
	}
	found := x.sets[b.String()]
	if found == nil {
		found = &sharedLabels{key: b.String(), labels: make(map[string]string, len(labels))}
		for key, value := range labels {
			found.labels[shared(key)] = shared(value)
		}
		x.sets[found.key] = found
	}
	found.users++
	return found
}

func (x *Index) release(pod *podLabels) {
	if pod.shared == nil {
		return
	}
	if pod.shared.users--; pod.shared.users == 0 {
		delete(x.sets, pod.shared.key)
	}
	pod.shared = nil
}
