package translator

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/pods"
	"github.com/podway/podway/api/v1alpha1"
)

// readService makes the entry of spec.services[i]. A Problem of severity Error
// comes without an entry: the tunnel works with its other services.
func (p *tunnelPlanner) readService(i int) (*entry, *api.Problem) {
	spec := &p.tunnel.Spec.Services[i]
	field := fmt.Sprintf("spec.services[%d]", i)
	made := &entry{
		key:    pods.ServiceKey{Cluster: spec.Cluster, Namespace: spec.Namespace, Name: spec.Name},
		weight: clampWeight(spec.PodWeight),
	}
	member := p.member(spec.Cluster)
	if problem := p.checkMember(member, spec, field); problem != nil {
		return nil, problem
	}
	made.remembered = p.remembered(spec.Cluster)
	made.drained = member.Spec.TrafficPolicy == v1alpha1.TrafficPolicyDrained
	var contradiction string
	service := p.service(made.key)
	if spec.PodSelector != nil {
		selector, err := metav1.LabelSelectorAsSelector(spec.PodSelector)
		if err != nil {
			return nil, serviceProblem(codeInvalidSelector, field+".podSelector", err.Error(),
				"use the operators In and NotIn with values, Exists and DoesNotExist without")
		}
		made.selector = selector
		if service != nil {
			contradiction = contradicts(service.Selector, spec.PodSelector)
		}
	}
	switch {
	case service == nil && !made.remembered && p.synced(spec.Cluster, spec.Namespace):
		return nil, serviceProblem(codeMissingService, field+".name",
			fmt.Sprintf("cluster %s has no Service %s/%s", spec.Cluster, spec.Namespace, spec.Name), "create the Service, or correct the reference")
	case service == nil:
		made.pending = true
		return made, nil
	case service.ExternalName:
		return nil, serviceProblem(codeExternalNameService, field+".name",
			fmt.Sprintf("Service %s is of type ExternalName and has no Pods", made.key), "name a Service that has Pods, or use spec.addresses")
	case contradiction != "":
		return nil, serviceProblem(codeSelectorContradiction, field+".podSelector",
			"no Pod can match: "+contradiction, "correct podSelector: it narrows the Service's own selector down further")
	}
	port, problem := findPort(service, spec.Port, field+".port")
	if problem != nil {
		return nil, problem
	}
	made.portName = port.Name
	return p.agree(made, port, field+".port")
}

func serviceProblem(code, field, message, remedy string) *api.Problem {
	return &api.Problem{Code: code, Severity: api.Error, Field: field, Message: message, Remedy: remedy}
}

// checkMember says whether the tunnel may use the service's cluster.
func (p *tunnelPlanner) checkMember(member *v1alpha1.MemberCluster, spec *v1alpha1.TunnelService, field string) *api.Problem {
	switch {
	case member == nil:
		return serviceProblem(codeMissingCluster, field+".cluster",
			fmt.Sprintf("there is no MemberCluster %s", spec.Cluster), "create the MemberCluster, or correct the name")
	case !allowed(member, p.name.Namespace, spec.Namespace):
		return serviceProblem(codeNamespaceNotAllowed, field+".namespace",
			fmt.Sprintf("MemberCluster %s does not let tunnels of namespace %s use its namespace %s", spec.Cluster, p.name.Namespace, spec.Namespace),
			fmt.Sprintf("have {from: [%s], to: [%s]} added to the MemberCluster's spec.allowedTunnels", p.name.Namespace, spec.Namespace))
	case p.tunnel.Spec.Network != "" && member.Spec.Network != p.tunnel.Spec.Network:
		return serviceProblem(codeNetworkMismatch, field+".cluster",
			fmt.Sprintf("the tunnel's network is %s, that of MemberCluster %s %s", p.tunnel.Spec.Network, spec.Cluster, networkName(member.Spec.Network)),
			"use a cluster of the tunnel's network, or correct spec.network of one of the two")
	}
	return nil
}

func networkName(network string) string {
	if network == "" {
		return "is not set"
	}
	return "is " + network
}

// allowed is true where tunnels of one namespace may use another of the cluster.
func allowed(member *v1alpha1.MemberCluster, from, to string) bool {
	has := func(namespaces []string, name string) bool {
		return slices.Contains(namespaces, name) || slices.Contains(namespaces, "*")
	}
	return slices.ContainsFunc(member.Spec.AllowedTunnels, func(rule v1alpha1.AllowedTunnels) bool {
		return has(rule.From, from) && has(rule.To, to)
	})
}

// findPort finds a Service's port by number or name. Of two with the same number, the one of TCP.
func findPort(service *pods.Service, want intstr.IntOrString, field string) (*pods.ServicePort, *api.Problem) {
	var other *pods.ServicePort
	for i := range service.Ports {
		port := &service.Ports[i]
		if want.Type == intstr.Int && port.Port != want.IntVal || want.Type == intstr.String && port.Name != want.StrVal {
			continue
		}
		if port.Protocol == "TCP" || port.Protocol == "" {
			return port, nil
		}
		other = port
	}
	if other != nil {
		return nil, serviceProblem(codePortNotTCP, field,
			fmt.Sprintf("port %s of Service %s is %s", want.String(), service.Key, other.Protocol), "name a TCP port: "+portList(service))
	}
	remedy := "name one that it has: " + portList(service)
	if _, err := strconv.Atoi(want.StrVal); want.Type == intstr.String && err == nil {
		remedy = "write a number without quotes; " + remedy
	}
	return nil, serviceProblem(codeMissingPort, field, fmt.Sprintf("Service %s has no port %s", service.Key, want.String()), remedy)
}

// portList is the TCP ports of a Service, in its order: 80 (http), 443 (https).
func portList(service *pods.Service) string {
	var list []string
	for _, port := range service.Ports {
		if port.Protocol != "TCP" && port.Protocol != "" {
			continue
		}
		text := strconv.Itoa(int(port.Port))
		if port.Name != "" {
			text += " (" + port.Name + ")"
		}
		list = append(list, text)
	}
	if len(list) == 0 {
		return "it has none"
	}
	return strings.Join(list, ", ")
}

// agree holds the services of a tunnel to one protocol: the spec's, or else
// that of the first service whose port is known. One that says another is left
// out: its Pods would not understand the requests. A cluster that has not synced has no say.
func (p *tunnelPlanner) agree(made *entry, port *pods.ServicePort, field string) (*entry, *api.Problem) {
	if p.tunnel.Spec.Protocol != "" {
		return made, nil
	}
	protocol, known := protocolOf(port.AppProtocol)
	if p.protocol == "" {
		p.protocol, p.protocolOf = protocol, field
	}
	if p.protocol != protocol {
		return nil, serviceProblem(codeProtocolMismatch, field,
			fmt.Sprintf("appProtocol %q of Service %s means %s, that of %s %s", port.AppProtocol, made.key, protocol, p.protocolOf, p.protocol),
			"set spec.protocol, or make the Services' appProtocols agree")
	}
	if !known {
		return made, &api.Problem{
			Code: codeUnknownAppProtocol, Severity: api.Warning, Field: field,
			Message: fmt.Sprintf("appProtocol %q of Service %s is not known, and taken for HTTP", port.AppProtocol, made.key),
			Remedy:  "set spec.protocol",
		}
	}
	return made, nil
}

// protocolOf reads an appProtocol, and says whether it is known.
func protocolOf(appProtocol string) (v1alpha1.Protocol, bool) {
	switch strings.ToLower(appProtocol) {
	case "kubernetes.io/h2c", "h2c", "http2", "h2":
		return v1alpha1.ProtocolHTTP2, true
	case "grpc":
		return v1alpha1.ProtocolGRPC, true
	case "", "http", "https", "kubernetes.io/ws", "kubernetes.io/wss", "ws", "wss":
		return v1alpha1.ProtocolHTTP, true
	}
	return v1alpha1.ProtocolHTTP, false
}
