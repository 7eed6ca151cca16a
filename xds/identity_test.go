package xds

import (
	"context"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

func TestOperatorsAreThoseThatAreNamed(t *testing.T) {
	const operator = "spiffe://example.org/operator/dashboard"
	s := newSecureWorld(t, quick(), func(c *AccessConfig) { c.Operators = []string{operator} })
	// A call as it comes from a client with that certificate.
	call := func(uri string) context.Context {
		info := clientInfo{}
		info.identity, info.denial = s.access.identities.of(s.client(uri).Leaf)
		return peer.NewContext(t.Context(), &peer.Peer{Addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, AuthInfo: info})
	}
	require.NoError(t, s.server.AuthorizeOperator(call(operator)))
	for uri, says := range map[string]string{
		gatewayIdentity:                           "the identity spiffe://example.org/gateway/edge/public is not named as operator",
		"spiffe://example.org/operator/other":     "stands for no Gateway and no operator",
		"spiffe://example.com/operator/dashboard": "is not of the trust domain example.org",
	} {
		err := s.server.AuthorizeOperator(call(uri))
		require.Equal(t, codes.PermissionDenied, status.Code(err))
		require.ErrorContains(t, err, says)
	}
	require.Equal(t, 1.0, s.count("podway_xds_refused_streams_total", string(reasonNoOperator)))

	c := s.over(s.client(operator))
	c.subscribe(clusterType)
	require.ErrorContains(t, c.ends(), `the identity spiffe://example.org/operator/dashboard is an operator's and no Gateway's; it cannot be given what the Gateway "edge/public" has`)
}

func TestOperatorsInPlainTextAreOnThisHost(t *testing.T) {
	w := newWorld(t, quick())
	call := func(address string) error {
		return w.server.AuthorizeOperator(peer.NewContext(t.Context(), &peer.Peer{Addr: &net.TCPAddr{IP: net.ParseIP(address)}}))
	}
	require.NoError(t, call("127.0.0.1"))
	require.NoError(t, call("::1"))
	require.ErrorContains(t, call("192.0.2.1"), "without mTLS only clients on podway's own host are operators, and 192.0.2.1 is none")
}

func TestStreamsOfOneIdentityAreLimited(t *testing.T) {
	config := quick()
	config.Limits = Limits{MaxStreamsPerPeer: 1}
	d := newDoorman(config.withDefaults().Limits)
	leave, refused := d.admit(client{address: "192.0.2.1", identity: &identity{uri: gatewayIdentity}})
	require.Nil(t, refused)
	_, refused = d.admit(client{address: "192.0.2.2", identity: &identity{uri: gatewayIdentity}})
	require.Equal(t, reasonMaxStreamsPerPeer, refused.reason)
	require.ErrorContains(t, refused.err, "spiffe://example.org/gateway/edge/public already has 1 streams, the limit for one identity")
	leave()
	_, refused = d.admit(client{address: "192.0.2.2", identity: &identity{uri: gatewayIdentity}})
	require.Nil(t, refused)
}

func TestOneThatOpensStreamsInALoopLeavesRoomForOthers(t *testing.T) {
	config := Config{Limits: Limits{StreamRate: 0.001, StreamBurst: 10}}
	d := newDoorman(config.withDefaults().Limits)
	let := 0
	for range 100 {
		if leave, refused := d.admit(client{address: "192.0.2.1"}); refused == nil {
			let++
			leave()
		}
	}
	require.Equal(t, 5, let)
	_, refused := d.admit(client{address: "192.0.2.2"})
	require.Nil(t, refused)
}

func TestCallersThatHaveGoneAreForgotten(t *testing.T) {
	d := newDoorman(Limits{}.withDefaults())
	d.limits.StreamRatePerPeer = 1e9 // full again at once
	for i := range 10 * sweepAbove {
		leave, refused := d.admit(client{address: net.IPv4(10, 0, byte(i>>8), byte(i)).String()})
		if refused == nil {
			leave()
		}
	}
	require.LessOrEqual(t, len(d.callers), 2*sweepAbove)
}
