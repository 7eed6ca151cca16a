package translator

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/snapshot"
)

// TestAMinorityHasWhatItsGatewayWouldHaveWithTheSameHolds changes all routes at once and holds each of them back in turn, for a minority alone.
func TestAMinorityHasWhatItsGatewayWouldHaveWithTheSameHolds(t *testing.T) {
	p, first := goodPicture(t)
	after := withObjects(p.cfg, nil)
	for name, route := range after.HTTPRoutes {
		after.HTTPRoutes[name] = changed(route, "/changed")
	}
	all := Translate(after, first)
	for name, route := range p.cfg.HTTPRoutes {
		for _, hold := range []snapshot.Hold{{Form: route}, {}, {Refused: true}} {
			want := Translate(withObjects(after, everywhere(first, routePart(route), hold)), nil)
			held := withObjects(after, map[snapshot.HoldKey]snapshot.Hold{})
			held.Minorities = map[string]struct{}{}
			for _, gateway := range first.Gateways() {
				few := api.Minority(gateway.String())
				held.Minorities[few] = struct{}{}
				held.Holds[snapshot.HoldKey{View: few, Part: routePart(route)}] = hold
			}
			for _, prev := range []*Plan{nil, first, all} {
				got := Translate(held, prev)
				require.Equal(t, first.Gateways(), got.Gateways())
				require.Len(t, got.Views(), 2*len(got.Gateways()))
				require.Equal(t, all.Problems(), got.Problems(), "of %s", name)
				sameResources(t, all, got)
				for _, gateway := range first.Gateways() {
					few := viewNamed(api.Minority(gateway.String()))
					requireShared(t, want.Resources(gateway), got.Resources(few), got.Resources(gateway))
					require.Equal(t, want.Tunnels(gateway), got.Tunnels(few))
				}
				again := Translate(next(held), got)
				for _, view := range got.Views() {
					require.Equal(t, got.Resources(view), again.Resources(view))
					require.Same(t, got.gateways[view], again.gateways[view], "nothing is made again")
				}
				sameResources(t, all, Translate(after, got))
				require.Equal(t, first.Gateways(), Translate(after, got).Views())
			}
		}
	}
}

// requireShared says that resources have these bytes, and are those of the Gateway where they are the same.
func requireShared(t *testing.T, want, got, own []*api.Resource) {
	t.Helper()
	byKey := map[api.ResourceKey]*api.Resource{}
	for _, resource := range own {
		byKey[resource.ResourceKey] = resource
	}
	require.Len(t, got, len(want))
	for i := range want {
		require.True(t, proto.Equal(want[i].Message, got[i].Message), "%s %s", want[i].Type, want[i].Name)
		if proto.Equal(want[i].Message, messageOf(byKey[want[i].ResourceKey])) {
			require.True(t, got[i].Shares(byKey[want[i].ResourceKey]), "%s %s", want[i].Type, want[i].Name)
		}
	}
}

// TestAMinorityOfAMinorityHasItsOwnHolds and one of a Gateway that is not there is nothing.
func TestAMinorityOfAMinorityHasItsOwnHolds(t *testing.T) {
	p, first := goodPicture(t)
	gateway := first.Gateways()[0]
	few := api.Minority(gateway.String())
	fewest := api.Minority(few)
	later := withObjects(p.cfg, map[snapshot.HoldKey]snapshot.Hold{})
	later.Minorities = map[string]struct{}{few: {}, fewest: {}, api.Minority("edge/gone"): {}}
	for _, route := range p.cfg.HTTPRoutes {
		later.Holds[snapshot.HoldKey{View: fewest, Part: routePart(route)}] = snapshot.Hold{}
	}
	got := Translate(later, first)
	require.Len(t, got.Views(), len(first.Gateways())+2)
	require.Equal(t, got.Resources(gateway), got.Resources(viewNamed(few)))
	require.NotEqual(t, got.Resources(gateway), got.Resources(viewNamed(fewest)))
}

func messageOf(resource *api.Resource) proto.Message {
	if resource == nil {
		return nil
	}
	return resource.Message
}
