package translator

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/podway/podway/api/pods"
)

// side is a cluster with one Pod, and the tunnel of its name that takes it.
type side struct {
	cluster, network string
	// pod is what an endpoint has beside its targetRef's kind, namespace and name.
	address, conditions, uid string
	port                     int
	selector                 string
}

func (s side) yaml() string {
	family := "IPv4"
	if strings.Contains(s.address, ":") {
		family = "IPv6"
	}
	if s.port == 0 {
		s.port = 80
	}
	return fmt.Sprintf(`
kind: MemberCluster
metadata: {name: %[1]s}
spec:
  network: %[2]q
  source: {type: Objects, objects: {directory: %[1]s}}
  allowedTunnels: [{from: [edge], to: [default]}]
---
kind: Service
metadata: {name: web, namespace: default, annotations: {podway.dev/cluster: %[1]s}}
spec: {selector: {app: web}, ports: [{name: http, port: 8000}], ipFamilies: [%[3]s]}
---
kind: EndpointSlice
metadata: {name: web, namespace: default, labels: {kubernetes.io/service-name: web}, annotations: {podway.dev/cluster: %[1]s}}
addressType: %[3]s
ports: [{name: http, port: %[4]d}]
endpoints:
- {addresses: [%[5]q], conditions: {%[6]s}, targetRef: {kind: Pod, namespace: default, name: web-%[1]s, uid: %[7]q}}
---
kind: Pod
metadata: {name: web-%[1]s, namespace: default, labels: {version: v1}, annotations: {podway.dev/cluster: %[1]s}}
---
kind: Tunnel
metadata: {name: %[1]s, namespace: edge}
spec: {services: [{cluster: %[1]s, namespace: default, name: web, port: 8000, %[8]s}]}
---
`, s.cluster, s.network, family, s.port, s.address, s.conditions, s.uid, s.selector)
}

// sharedGateway leads to both tunnels.
const sharedGateway = `
kind: GatewayClass
metadata: {name: podway}
spec: {controllerName: podway.dev/gateway-controller}
---
kind: Gateway
metadata: {name: front, namespace: edge}
spec: {gatewayClassName: podway, listeners: [{name: http, port: 8080, protocol: HTTP}]}
---
kind: HTTPRoute
metadata: {name: both, namespace: edge}
spec:
  parentRefs: [{name: front}]
  rules: [{backendRefs: [{group: podway.dev, kind: Tunnel, name: east}, {group: podway.dev, kind: Tunnel, name: west}]}]
`

func TestPodsOfTwoClustersWithOneAddress(t *testing.T) {
	east := side{cluster: "east", address: "10.1.0.1"}
	for name, c := range map[string]struct {
		west  side
		more  string
		clash bool
	}{
		"one address":               {west: side{address: "10.1.0.1"}, clash: true},
		"written as IPv6":           {west: side{address: "::ffff:10.1.0.1"}, clash: true},
		"another address":           {west: side{address: "10.1.0.2"}},
		"another port":              {west: side{address: "10.1.0.1", port: 81}},
		"not ready":                 {west: side{address: "10.1.0.1", conditions: "ready: false"}, clash: true},
		"terminating":               {west: side{address: "10.1.0.1", conditions: "ready: false, terminating: true"}},
		"selected":                  {west: side{address: "10.1.0.1", selector: "podSelector: {matchLabels: {version: v1}}"}, clash: true},
		"not selected":              {west: side{address: "10.1.0.1", selector: "podSelector: {matchLabels: {version: v2}}"}},
		"of weight 0":               {west: side{address: "10.1.0.1", selector: "podWeight: 0"}},
		"one network of two":        {west: side{address: "10.1.0.1", network: "vpc-2"}, clash: true},
		"the same Pod":              {west: side{address: "10.1.0.1", uid: "u"}},
		"networks apart":            {west: side{address: "10.1.0.1", network: "vpc-2", uid: "other"}},
		"networks apart, one front": {west: side{address: "10.1.0.1", network: "vpc-2", uid: "other"}, more: sharedGateway, clash: true},
	} {
		t.Run(name, func(t *testing.T) {
			east, west := east, c.west
			west.cluster = "west"
			if west.uid != "" {
				east.uid = "u"
			}
			if west.uid == "other" {
				east.network = "vpc-1"
			}
			p := mustPicture(t, []byte(east.yaml()+west.yaml()+c.more))
			plan := Translate(p.cfg, nil)
			clashes := plan.Clashes(p.live, nil)
			if !c.clash {
				require.Empty(t, clashes)
				return
			}
			require.Equal(t, []Clash{
				{
					Tunnel: edge("east"), Other: edge("west"), Address: netip.MustParseAddrPort("10.1.0.1:80"),
					Pod: PodName{"east", "default", "web-east"}, OtherPod: PodName{"west", "default", "web-west"},
				},
				{
					Tunnel: edge("west"), Other: edge("east"), Address: netip.MustParseAddrPort("10.1.0.1:80"),
					Pod: PodName{"west", "default", "web-west"}, OtherPod: PodName{"east", "default", "web-east"},
				},
			}, clashes)
			require.Equal(t, "warning AmbiguousAddress: Tunnel edge/east spec.services: 10.1.0.1:80 is the address of Pod default/web-east in cluster east and of "+
				"Pod default/web-west in cluster west, which Tunnel edge/west uses: its requests reach whichever of the two the Envoys' network leads to; "+
				"give the clusters address ranges that do not overlap; where they are in networks apart, each with Gateways of its own, say so in the network of "+
				"MemberClusters and GatewayParameters, and use a tunnel for each", plan.ClashProblems(clashes)[0].String())
		})
	}
}

func TestClashOfIPv6(t *testing.T) {
	p := mustPicture(t, []byte(side{cluster: "east", address: "fd00::1"}.yaml()+side{cluster: "west", address: "fd00::1"}.yaml()))
	clashes := Translate(p.cfg, nil).Clashes(p.live, nil)
	require.Len(t, clashes, 2)
	require.Equal(t, "[fd00::1]:80", clashes[0].Address.String())
}

// fleetOf has a tunnel for each of two clusters, with so many Pods each; those from the number on have the addresses of the other cluster's.
func fleetOf(tb testing.TB, count, from int) *picture {
	tb.Helper()
	p := mustPicture(tb, []byte(side{cluster: "east", address: "10.1.0.1"}.yaml()+side{cluster: "west", address: "10.1.0.1"}.yaml()))
	for key, set := range p.sets {
		template, names := set.Pods[0], make([]string, count)
		set.Pods = nil
		for i := range count {
			pod := template
			names[i] = fmt.Sprintf("%s-%06d", key.Cluster, i)
			high := byte(10)
			if key.Cluster == "west" && i < from {
				high = 11
			}
			pod.Address = pods.AddressOf(netip.AddrFrom4([4]byte{high, byte(i >> 16), byte(i >> 8), byte(i)}))
			set.Pods = append(set.Pods, pod)
		}
		pods.GiveNames(set.Pods, names)
	}
	return p
}

func TestTheClashThatWasToldStays(t *testing.T) {
	p := fleetOf(t, 10, 5)
	plan := Translate(p.cfg, nil)
	first := plan.Clashes(p.live, nil)
	require.Equal(t, "10.0.0.5:80", first[0].Address.String())
	told := plan.Clashes(fleetOf(t, 10, 7).live, nil)
	require.Equal(t, "10.0.0.7:80", told[0].Address.String())
	require.Equal(t, told, plan.Clashes(p.live, told), "an earlier address clashes too now: that is no news")
	require.Equal(t, first, plan.Clashes(p.live, plan.Clashes(fleetOf(t, 10, 10).live, nil)))
}

func BenchmarkClashes(b *testing.B) {
	for _, overlap := range []int{0, 50_000} {
		b.Run(fmt.Sprintf("pods=100000/clashes=%d", overlap), func(b *testing.B) {
			p := fleetOf(b, 50_000, 50_000-overlap)
			plan := Translate(p.cfg, nil)
			b.ReportAllocs()
			for b.Loop() {
				plan.Clashes(p.live, nil)
			}
		})
	}
}
