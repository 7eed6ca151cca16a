package controlplane

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
)

// listen opens a port. flag is named where that fails.
func listen(ctx context.Context, flag, address string) (net.Listener, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	switch {
	case err == nil:
		return listener, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s %s: the address is in use, perhaps by another podway; choose another one or end that", flag, address)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("%s %s: not allowed to open this port; choose one above 1023", flag, address)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("%s %s: this host has no such address", flag, address)
	}
	return nil, fmt.Errorf("%s %s: %w", flag, address, err)
}
