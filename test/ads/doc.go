// Package ads is, for tests, a client of an xDS server that takes, acknowledges and remembers what it is sent, and an address that stands for
// several servers. It knows the protocol, and must not know of podway.
package ads
