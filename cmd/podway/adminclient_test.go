package main

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/podway/podway/api"
)

// TestTheXDSPortIsNotTheAdminPort and its answer, which is of HTTP/2, is not quoted.
func TestTheXDSPortIsNotTheAdminPort(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte("\x00\x00\x18\x04\x00\x00\x00\x00\x00\x00\x05\x00\x00@\x00"))
			_ = conn.Close()
		}
	}()
	address := listener.Addr().String()
	_, err = fetchAdmin[[]api.Problem](t.Context(), address, "/problems", "a list of problems")
	require.EqualError(t, err, address+" does not answer as the --admin-address of podway serve does; is it the --xds-address?")
}
