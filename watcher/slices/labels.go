package slices

import (
	"slices"

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
		for slice := range x.slices.All() {
			if name, ok := slice.Of(); ok && slice.Namespace == namespace {
				x.learn(x.entry(name), slice)
			}
		}
	} else {
		delete(x.labeled, namespace)
		for _, pod := range x.pods[namespace] {
			x.release(pod.shared)
		}
		delete(x.pods, namespace)
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
	for e := range x.entries.All() {
		if e.name.Namespace == namespace && e.service != nil {
			x.dirty[e.name] = struct{}{}
		}
	}
}

// PutLabels takes up a Pod's labels; NoLabels says that there is no such Pod any more. Pods of namespaces whose labels are not followed are left out.
func (x *Index) PutLabels(name types.NamespacedName, labels LabelSet) {
	if followed, _ := x.follows(name.Namespace); !followed {
		return
	}
	pod := x.pods[name.Namespace][name.Name]
	if pod.labels() == labels {
		return
	}
	x.release(pod.shared)
	if pod.shared = nil; labels != NoLabels {
		pod.shared = x.share(labels)
	}
	for user := range pod.users() {
		x.dirty[user.name] = struct{}{}
	}
	x.keep(name, pod)
}

// keep notes what is known of a Pod, or forgets it where that is nothing.
func (x *Index) keep(name types.NamespacedName, pod podLabels) {
	in := x.pods[name.Namespace]
	if pod.shared == nil && pod.user == nil {
		delete(in, name.Name)
		if len(in) == 0 {
			delete(x.pods, name.Namespace)
		}
		return
	}
	if in == nil {
		in = map[string]podLabels{}
		x.pods[name.Namespace] = in
	}
	in[name.Name] = pod
}

// PodNames are the names of the Pods of a namespace whose labels are known.
func (x *Index) PodNames(namespace string) []types.NamespacedName {
	var out []types.NamespacedName
	for name, pod := range x.pods[namespace] {
		if pod.shared != nil {
			out = append(out, types.NamespacedName{Namespace: namespace, Name: name})
		}
	}
	return out
}

func (x *Index) labels(name types.NamespacedName) map[string]string {
	if shared := x.pods[name.Namespace][name.Name].shared; shared != nil {
		return shared.labels
	}
	return nil
}

// learn notes that a Service's slice names Pods whose labels are followed.
func (x *Index) learn(service *entry, slice *Slice) {
	if followed, _ := x.follows(slice.Namespace); !followed {
		return
	}
	for i := range slice.Pods {
		if !slice.Pods[i].HasName() {
			continue
		}
		name := types.NamespacedName{Namespace: slice.Pods[i].Namespace, Name: slice.Pods[i].Name()}
		pod := x.pods[name.Namespace][name.Name]
		if pod.use(service) {
			x.keep(name, pod)
		}
	}
}

// forget lets go of the Pods of a slice that went, unless another slice of the Service names them.
func (x *Index) forget(service *entry, slice *Slice) {
	if followed, _ := x.follows(slice.Namespace); !followed {
		return
	}
	for i := range slice.Pods {
		name := types.NamespacedName{Namespace: slice.Pods[i].Namespace, Name: slice.Pods[i].Name()}
		pod, known := x.pods[name.Namespace][name.Name]
		if !known || slices.ContainsFunc(service.slices, func(s *Slice) bool { return s.has(&slice.Pods[i]) }) {
			continue
		}
		pod.leave(service)
		x.keep(name, pod)
	}
}

// share returns the one copy of labels that many Pods have: those of a Deployment differ in nothing.
func (x *Index) share(labels LabelSet) *sharedLabels {
	found := x.sets[labels]
	if found == nil {
		found = &sharedLabels{of: labels, labels: labels.unpack()}
		x.sets[labels] = found
	}
	found.users++
	return found
}

func (x *Index) release(shared *sharedLabels) {
	if shared == nil {
		return
	}
	if shared.users--; shared.users == 0 {
		delete(x.sets, shared.of)
	}
}
