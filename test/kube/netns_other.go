//go:build unix && !linux

package kubetest

import (
	"errors"
	"net/netip"
	"syscall"
)

const namespaceRemedy = "run them on Linux"

var errNoNamespaces = errors.New("this system has none: run the tests on Linux")

func namespaceAttributes() (*syscall.SysProcAttr, error) { return nil, errNoNamespaces }

func loopbackUp([]netip.Prefix) error { return errNoNamespaces }
