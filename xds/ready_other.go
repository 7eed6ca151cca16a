//go:build !unix

package xds

import "net"

// asReady is the intake as it is: it cannot say when there is something to read.
func asReady(in *intake) net.Conn { return in }
