package scene

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// WholePod is a Pod of a Deployment with one small container, as its controller, the scheduler and a kubelet make it. Its metadata is that of Pod.
func WholePod(cluster, service, pod, generation int) *corev1.Pod {
	at := endpoint(cluster, service, pod, generation)
	grace, seconds, mode, enableLinks := int64(30), int64(300), int32(420), true
	priority, never := int32(0), corev1.PreemptLowerPriority
	const volume = "kube-api-access-x7k2p"
	return &corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: Pod(cluster, service, pod, generation).ObjectMeta,
		Spec: corev1.PodSpec{
			NodeName: *at.NodeName, ServiceAccountName: ServiceName(service), DeprecatedServiceAccount: ServiceName(service),
			RestartPolicy: corev1.RestartPolicyAlways, DNSPolicy: corev1.DNSClusterFirst, SchedulerName: corev1.DefaultSchedulerName,
			TerminationGracePeriodSeconds: &grace, SecurityContext: &corev1.PodSecurityContext{}, EnableServiceLinks: &enableLinks,
			Priority: &priority, PreemptionPolicy: &never,
			Tolerations: []corev1.Toleration{
				{Key: "node.kubernetes.io/not-ready", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: &seconds},
				{Key: "node.kubernetes.io/unreachable", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: &seconds},
			},
			Volumes:    []corev1.Volume{{Name: volume, VolumeSource: corev1.VolumeSource{Projected: apiAccess(&mode)}}},
			Containers: []corev1.Container{container(service, volume)},
		},
		Status: podStatus(service, at.Addresses[0]),
	}
}

// apiAccess is the volume that every Pod has for its ServiceAccount.
func apiAccess(mode *int32) *corev1.ProjectedVolumeSource {
	expires := int64(3607)
	return &corev1.ProjectedVolumeSource{DefaultMode: mode, Sources: []corev1.VolumeProjection{
		{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{ExpirationSeconds: &expires, Path: "token"}},
		{ConfigMap: &corev1.ConfigMapProjection{
			LocalObjectReference: corev1.LocalObjectReference{Name: "kube-root-ca.crt"}, Items: []corev1.KeyToPath{{Key: "ca.crt", Path: "ca.crt"}},
		}},
		{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{
			{Path: "namespace", FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.namespace"}},
		}}},
	}}
}

func image(service int) string {
	return "registry.example.com/shop/" + ServiceName(service) + ":2.14.3"
}

func container(service int, volume string) corev1.Container {
	probe := func(path string) *corev1.Probe {
		return &corev1.Probe{
			ProbeHandler:   corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromString("web"), Scheme: corev1.URISchemeHTTP}},
			TimeoutSeconds: 1, PeriodSeconds: 10, SuccessThreshold: 1, FailureThreshold: 3,
		}
	}
	return corev1.Container{
		Name: "web", Image: image(service), ImagePullPolicy: corev1.PullIfNotPresent,
		Ports: []corev1.ContainerPort{{Name: "web", ContainerPort: 8080, Protocol: corev1.ProtocolTCP}},
		Env: []corev1.EnvVar{
			{Name: "LOG_LEVEL", Value: "info"},
			{Name: "DATABASE", Value: "postgres://" + ServiceName(service) + ".db.svc:5432/shop"},
			{Name: "POD_NAME", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.name"}}},
		},
		Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("128Mi")},
			Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("256Mi")},
		},
		VolumeMounts:  []corev1.VolumeMount{{Name: volume, ReadOnly: true, MountPath: "/var/run/secrets/kubernetes.io/serviceaccount"}},
		LivenessProbe: probe("/healthz"), ReadinessProbe: probe("/readyz"),
		TerminationMessagePath: corev1.TerminationMessagePathDefault, TerminationMessagePolicy: corev1.TerminationMessageReadFile,
	}
}

func podStatus(service int, address string) corev1.PodStatus {
	began, started := metav1.NewTime(Made), true
	status := corev1.PodStatus{
		Phase: corev1.PodRunning, HostIP: "10.0.0.1", HostIPs: []corev1.HostIP{{IP: "10.0.0.1"}}, PodIP: address, PodIPs: []corev1.PodIP{{IP: address}},
		StartTime: &began, QOSClass: corev1.PodQOSBurstable,
		ContainerStatuses: []corev1.ContainerStatus{{
			Name: "web", Ready: true, Started: &started, Image: image(service), State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: began}},
			ImageID: "registry.example.com/shop/" + ServiceName(service) + "@sha256:" + hash(64, service), ContainerID: "containerd://" + hash(64, service, 1),
		}},
	}
	for _, is := range []corev1.PodConditionType{corev1.PodReadyToStartContainers, corev1.PodInitialized, corev1.PodReady, corev1.ContainersReady, corev1.PodScheduled} {
		status.Conditions = append(status.Conditions, corev1.PodCondition{Type: is, Status: corev1.ConditionTrue, LastTransitionTime: began})
	}
	return status
}
