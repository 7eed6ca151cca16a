// Package fakeapi stands in for the API servers of many clusters, where as many real ones would not fit on the machine that measures: over TLS and
// HTTP/2, in protobuf, with lists, streaming lists, watches and bookmarks of the objects that package scene makes. A test holds it to what a
// real API server sends. It can fail like one.
package fakeapi
