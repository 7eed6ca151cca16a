package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Group is the API group of podway's kinds.
const Group = "podway.dev"

// ControllerName is the controllerName of the GatewayClasses that podway serves.
const ControllerName = "podway.dev/gateway-controller"

// The names of podway's kinds.
const (
	KindTunnel            = "Tunnel"
	KindMemberCluster     = "MemberCluster"
	KindGatewayParameters = "GatewayParameters"
)

// GroupVersion is podway.dev/v1alpha1.
var GroupVersion = schema.GroupVersion{Group: Group, Version: "v1alpha1"}

// AddToScheme adds podway's kinds to a scheme.
func AddToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion,
		&Tunnel{}, &TunnelList{}, &MemberCluster{}, &MemberClusterList{}, &GatewayParameters{}, &GatewayParametersList{})
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
