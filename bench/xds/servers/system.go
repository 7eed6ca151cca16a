// Package servers has the servers that are measured: podway's, go-control-plane's LinearCache, and a floor that writes the
// same bytes with nothing in between.
package servers

import (
	"context"
	"fmt"
	"net"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// Gateway is the node.cluster of all clients.
const Gateway = "edge/public"

// Kinds of servers.
const (
	Floor = "floor"
	// FloorByTurns sends a stream one publication at a time, as LinearCache and podway do: the latest.
	FloorByTurns = "floor by turns"
	Podway       = "podway"
	LinearCache  = "linear"
)

// System is a server under test, listening.
type System struct {
	Address string
	// Publish changes the endpoints of the cluster with the given number; no two calls have the same seed.
	Publish func(cluster, seed int) error
	// Stop ends the server.
	Stop func() error
}

// Start starts a server of a kind on a loopback address. It serves clusters small assignments, named by Names.
func Start(kind string, clusters int) (*System, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	all := Names(clusters)
	switch kind {
	case Floor:
		return startFloor(listener, all, false)
	case FloorByTurns:
		return startFloor(listener, all, true)
	case Podway:
		return startPodway(listener, all), nil
	case LinearCache:
		return startLinear(listener, all), nil
	}
	return nil, fmt.Errorf("no server is called %q: use %s, %s, %s or %s", kind, Floor, FloorByTurns, Podway, LinearCache)
}

// Names are those of the first clusters.
func Names(count int) []string {
	all := make([]string, count)
	for i := range all {
		all[i] = name(i)
	}
	return all
}

func name(i int) string { return fmt.Sprintf("tunnel/edge/service-%04d", i) }

// Stamp comes before the time of publication in a changed assignment, in nanoseconds since 1970, of StampDigits digits.
const (
	Stamp       = "published-"
	StampDigits = 19
)

// assignment has 100 endpoints, of which the seed changes one. It says when it was made.
func assignment(name string, seed int) *endpointv3.ClusterLoadAssignment {
	locality := &endpointv3.LocalityLbEndpoints{}
	for i := range 100 {
		port := 1 + i
		if i == 0 {
			port = 1000 + seed%60_000
		}
		locality.LbEndpoints = append(locality.LbEndpoints, &endpointv3.LbEndpoint{
			HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{
				Address: &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
					Address: "10.0.0.1", PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(port)},
				}}},
			}},
		})
	}
	locality.LbEndpoints[0].GetEndpoint().Hostname = fmt.Sprintf("%s%0*d", Stamp, StampDigits, time.Now().UnixNano())
	return &endpointv3.ClusterLoadAssignment{ClusterName: name, Endpoints: []*endpointv3.LocalityLbEndpoints{locality}}
}

// AssignmentBytes is the size of a changed assignment.
func AssignmentBytes() int { return proto.Size(assignment(name(0), 0)) }

func small(name string) *endpointv3.ClusterLoadAssignment {
	return &endpointv3.ClusterLoadAssignment{ClusterName: name}
}

func serve(listener net.Listener, server *grpc.Server, publish func(cluster, seed int) error, cancel context.CancelFunc) *System {
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	return &System{Address: listener.Addr().String(), Publish: publish, Stop: func() error {
		cancel()
		server.Stop()
		return <-done
	}}
}
