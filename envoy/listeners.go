package envoy

import (
	"context"
	"net/netip"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
)

// Listeners are the addresses that the Envoy listens on, by the listener's
// name: with the port that the kernel chose, where its configuration has port 0. A
// listener that is still warming is not among them.
func (a *Admin) Listeners(ctx context.Context) (map[string]netip.AddrPort, error) {
	answer := &adminv3.Listeners{}
	if err := a.message(ctx, "/listeners", map[string][]string{"format": {"json"}}, answer); err != nil {
		return nil, err
	}
	listeners := make(map[string]netip.AddrPort, len(answer.ListenerStatuses))
	for _, status := range answer.ListenerStatuses {
		socket := status.LocalAddress.GetSocketAddress()
		if ip, err := netip.ParseAddr(socket.GetAddress()); err == nil {
			listeners[status.Name] = netip.AddrPortFrom(ip, uint16(socket.GetPortValue()))
		}
	}
	return listeners, nil
}
