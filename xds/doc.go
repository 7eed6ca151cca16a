// Package xds brings every Envoy up to date. It knows which resources each
// Gateway's Envoys should have, what each connected Envoy has acknowledged,
// and in which order a change may reach it. It must not know what a Tunnel or
// a Pod is, where resources come from, or how they were made.
//
// A resource is an immutable record, encoded once and shared by all views. A
// view is what the Envoys of one Gateway should have, and a log of what changed
// in it. A stream is one connected Envoy: a place in that log, what it
// subscribes to, and entries for the names of which it does not yet have the view's present state. A name
// without an entry is up to date, so that an Envoy at rest costs little, and so that there is no queue: a
// stream that is slow finds the latest state when it comes back.
//
// Access says who may connect: with mutual TLS, a client's certificate says which Gateway its streams may be. The doorman bounds how
// many streams there are, and how fast they come.
package xds
