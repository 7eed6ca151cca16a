package xds

import (
	"maps"
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
)

// request is what any variant asks, in its own fields.
type request struct {
	// size is that of the message, in bytes.
	size    int
	typeURL string
	node    *corev3.Node
	nonce   string
	// rejected is true for a NACK, and message is why.
	rejected bool
	message  string

	subscribe, unsubscribe []string
	initial                map[string]string

	names   []string
	version string

	// manySubscribe and manyNames stand for subscribe and names, until they are decoded.
	manySubscribe, manyNames encodedNames
}

// maxHeard is how much of a NACK's message is looked at, in bytes. Envoy cuts its own at 4 KiB.
const maxHeard = 16 << 10

func heard(message string) string { return message[:min(len(message), maxHeard)] }

// count is how many names are in a request.
func (r *request) count() int {
	return r.manySubscribe.count + r.manyNames.count + len(r.subscribe) + len(r.unsubscribe) + len(r.initial) + len(r.names)
}

// check refuses what a request may not name.
func (r *request) check(limits Limits) error {
	for _, names := range [][]string{r.subscribe, r.unsubscribe, r.names} {
		if err := limits.checkNames(names); err != nil {
			return err
		}
	}
	if len(r.initial) == 0 {
		return nil
	}
	return limits.checkNames(slices.Collect(maps.Keys(r.initial)))
}
