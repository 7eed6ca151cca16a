package kubetest

import (
	"context"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Run creates Pods and writes their status, as a kubelet would.
func (c *Cluster) Run(pods ...*corev1.Pod) {
	c.t.Helper()
	c.each("running", objects(pods), func(ctx context.Context, o Object) error {
		pod := o.(*corev1.Pod)
		status := pod.Status.DeepCopy()
		if err := c.create(ctx, pod); err != nil {
			return err
		}
		pod.Status = *status
		return c.put(ctx, pod, "status")
	})
}

// SetReady writes whether Pods are ready, as a kubelet would after a probe.
func (c *Cluster) SetReady(ready bool, pods ...*corev1.Pod) {
	c.t.Helper()
	status := corev1.ConditionFalse
	if ready {
		status = corev1.ConditionTrue
	}
	c.each("setting the readiness of", objects(pods), func(ctx context.Context, o Object) error {
		return c.modifyStatus(ctx, o.(*corev1.Pod), func(pod *corev1.Pod) {
			for i := range pod.Status.Conditions {
				condition := &pod.Status.Conditions[i]
				if (condition.Type == corev1.PodReady || condition.Type == corev1.ContainersReady) && condition.Status != status {
					condition.Status, condition.LastTransitionTime = status, metav1.NewTime(time.Now())
				}
			}
		})
	})
}

func (c *Cluster) modifyStatus(ctx context.Context, pod *corev1.Pod, change func(*corev1.Pod)) error {
	for {
		if err := c.get(ctx, pod); err != nil {
			return err
		}
		change(pod)
		if err := c.put(ctx, pod, "status"); !apierrors.IsConflict(err) || ctx.Err() != nil {
			return err
		}
	}
}

// Terminate asks Pods to end: they are terminating, and still ready if they were, until Delete takes them away as a kubelet does in the end.
func (c *Cluster) Terminate(pods ...*corev1.Pod) {
	c.t.Helper()
	grace := int64(600)
	c.each("terminating", objects(pods), func(ctx context.Context, o Object) error {
		return c.delete(ctx, o, metav1.DeleteOptions{GracePeriodSeconds: &grace})
	})
}

// WaitEndpoints blocks until the EndpointSlices of a Service name exactly these addresses as ready, in any order.
func (c *Cluster) WaitEndpoints(service *corev1.Service, addresses ...string) {
	c.t.Helper()
	ctx, cancel := c.limited()
	defer cancel()
	want := slices.Sorted(slices.Values(addresses))
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		have, err := c.readyAddresses(ctx, service)
		if err == nil && slices.Equal(have, want) {
			return
		}
		select {
		case <-ctx.Done():
			c.t.Fatalf("%s: waiting for the endpoints of Service %s/%s: want %v, have %v (%v)", c.Name, service.Namespace, service.Name, want, have, err)
		case <-poll.C:
		}
	}
}

// readyAddresses are those of all slices of a Service, sorted, each once.
func (c *Cluster) readyAddresses(ctx context.Context, service *corev1.Service) ([]string, error) {
	list, err := c.Client().DiscoveryV1().EndpointSlices(service.Namespace).List(ctx, metav1.ListOptions{
		LabelSelector: discoveryv1.LabelServiceName + "=" + service.Name,
	})
	if err != nil {
		return nil, err
	}
	var have []string
	for _, slice := range list.Items {
		for _, endpoint := range slice.Endpoints {
			if ready := endpoint.Conditions.Ready; ready == nil || *ready {
				have = append(have, endpoint.Addresses...)
			}
		}
	}
	slices.Sort(have)
	return slices.Compact(have), nil
}

func objects[T Object](of []T) []Object {
	all := make([]Object, len(of))
	for i, o := range of {
		all[i] = o
	}
	return all
}
