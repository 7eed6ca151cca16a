// Package xds measures podway's xDS server next to go-control-plane's LinearCache and to a floor: a server that writes the same bytes with nothing
// in between. README.md says how to run it.
package xds
