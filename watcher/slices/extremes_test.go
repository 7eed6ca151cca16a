package slices

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/podway/podway/api/pods"
)

// TestPortsThatCannotBe are left out, and a slice that has no other has no Pods.
func TestPortsThatCannotBe(t *testing.T) {
	made := slice("1", pod("a", "10.0.0.1"))
	numbers := []int32{0, -1, -8080, 65536, math.MaxInt32, math.MinInt32}
	made.Ports = []discoveryv1.EndpointPort{{Name: ptr("all")}}
	for i := range numbers {
		made.Ports = append(made.Ports, discoveryv1.EndpointPort{Name: ptr(fmt.Sprint(i)), Port: &numbers[i]})
	}
	require.Empty(t, NewSlice(made).Pods)
	last := int32(65535)
	made.Ports = append(made.Ports, discoveryv1.EndpointPort{Name: ptr("last"), Port: &last})
	require.Equal(t, []pods.Port{{Name: "last", Number: 65535}}, NewSlice(made).Pods[0].Ports)
}

// TestAddressesThatCannotBe are left out: one endpoint costs no other.
func TestAddressesThatCannotBe(t *testing.T) {
	made := slice("1", pod("a", "10.0.0.1"), pod("b", ""), pod("c", "10.0.0.256"), pod("d", "0.0.0.0"), pod("e", "fe80::1%eth0"), pod("f", "example.com"),
		pod("g", "10.0.0.1:80"), pod("h", "::"))
	made.Endpoints = append(made.Endpoints, discoveryv1.Endpoint{})
	found := NewSlice(made).Pods
	require.Len(t, found, 1)
	require.Equal(t, "a", found[0].Name())
}

// TestTheLargestSlice has as many endpoints as one may have, of which each changes once.
func TestTheLargestSlice(t *testing.T) {
	const most = 1000
	made := slice("1")
	for i := range most {
		made.Endpoints = append(made.Endpoints, pod(fmt.Sprintf("p-%d", most-i), fmt.Sprintf("10.0.%d.%d", i/250, i%250+1)))
	}
	s := newShelf(t)
	s.put(made)
	require.Len(t, s.join().Sets[httpbinKey].Pods, most)
	for i := range made.Endpoints {
		changed := made.DeepCopy()
		changed.Endpoints[i].Conditions.Ready = ptr(false)
		s.put(changed)
		sets := s.join().Sets
		require.Len(t, sets, 1)
		ready := 0
		for _, p := range sets[httpbinKey].Pods {
			if p.Ready {
				ready++
			}
		}
		require.Equal(t, most-1, ready)
	}
}
