package xds

import (
	"context"
	"net"
	"net/netip"
	"sync"

	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
)

// sweepAbove is how many callers are remembered before those that have gone are looked for.
const sweepAbove = 1024

// doorman decides who may open a stream, and what the streams of one caller may cost.
type doorman struct {
	limits Limits
	bucket *rate.Limiter

	mu    sync.Mutex
	total int
	// connections counts them, whether there are streams on them or not.
	connections int
	callers     map[callerKey]*caller
	// sweepAt is the number of callers at which those that have gone are forgotten.
	sweepAt int
}

// callerKey is what streams are counted by: an address, and where there is one, an identity.
type callerKey struct{ kind, name string }

type caller struct {
	streams int
	// connections are counted by address alone.
	connections int
	bucket      *rate.Limiter
	// nameBytes is what the names of its streams cost, see tab; sets are those that count among them.
	nameBytes int
	sets      map[*nameSet]heldSet
	// requests are those on all its streams, as they are read.
	requests *rate.Limiter
	// intake has room for requests that are on their way, in bytes.
	intake *semaphore.Weighted
}

func newDoorman(limits Limits) *doorman {
	return &doorman{
		limits:  limits,
		bucket:  rate.NewLimiter(rate.Limit(limits.StreamRate), limits.StreamBurst),
		callers: map[callerKey]*caller{},
		sweepAt: sweepAbove,
	}
}

// admit lets a stream in, or says why not. Whoever is let in calls leave when the stream ends. RESOURCE_EXHAUSTED makes an Envoy wait
// longer with each attempt, and for a random part of that time: a herd spreads.
func (d *doorman) admit(who client) (leave func(), refused *denial) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.total >= d.limits.MaxStreams {
		return nil, deny(reasonMaxStreams, codes.ResourceExhausted, "this podway already has %d streams, its limit; try another replica, or again later", d.total)
	}
	keys := who.keys()
	for _, key := range keys {
		if c := d.caller(key); c.streams >= d.limits.MaxStreamsPerPeer {
			return nil, deny(reasonMaxStreamsPerPeer, codes.ResourceExhausted, "%s already has %d streams, the limit for one %s", short(key.name), c.streams, key.kind)
		}
	}
	// The caller's own rate comes first: what is refused by it takes nothing from the others.
	for _, key := range keys {
		if !d.caller(key).bucket.Allow() {
			return nil, deny(reasonRatePerPeer, codes.ResourceExhausted, "%s opens too many streams at once; try again in a second", short(key.name))
		}
	}
	if !d.bucket.Allow() {
		return nil, deny(reasonRate, codes.ResourceExhausted, "too many streams are being opened at once; try again in a second")
	}
	d.total++
	for _, key := range keys {
		d.caller(key).streams++
	}
	return func() { d.left(keys) }, nil
}

func (who client) keys() []callerKey {
	keys := []callerKey{{kind: "address", name: who.address}}
	if who.identity != nil {
		keys = append(keys, callerKey{kind: "identity", name: who.identity.uri})
	}
	return keys
}

// caller finds or makes one. d.mu is held.
func (d *doorman) caller(key callerKey) *caller {
	c := d.callers[key]
	if c == nil {
		d.sweep()
		c = &caller{
			bucket:   rate.NewLimiter(rate.Limit(d.limits.StreamRatePerPeer), d.limits.StreamBurstPerPeer),
			requests: rate.NewLimiter(rate.Limit(d.limits.RequestRatePerPeer), d.limits.RequestBurstPerPeer),
			intake:   semaphore.NewWeighted(int64(d.limits.MaxIntakeBytesPerPeer)),
		}
		d.callers[key] = c
	}
	return c
}

// sweep forgets callers that have gone and that may do as much as a new one. d.mu is held.
func (d *doorman) sweep() {
	if len(d.callers) < d.sweepAt {
		return
	}
	for key, c := range d.callers {
		idle := c.streams == 0 && c.connections == 0 && c.bucket.Tokens() >= float64(d.limits.StreamBurstPerPeer) &&
			c.requests.Tokens() >= float64(d.limits.RequestBurstPerPeer)
		if idle && c.intake.TryAcquire(int64(d.limits.MaxIntakeBytesPerPeer)) {
			delete(d.callers, key)
		}
	}
	d.sweepAt = max(sweepAbove, 2*len(d.callers))
}

// ofCallers is something that each of the callers has.
func ofCallers[T any](d *doorman, keys []callerKey, has func(*caller) T) []T {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := make([]T, len(keys))
	for i, key := range keys {
		all[i] = has(d.caller(key))
	}
	return all
}

// requestsOf are the buckets of a client for requests.
func (d *doorman) requestsOf(keys []callerKey) []*rate.Limiter {
	return ofCallers(d, keys, func(c *caller) *rate.Limiter { return c.requests })
}

// intakesOf are the budgets of a client for requests that are on their way.
func (d *doorman) intakesOf(keys []callerKey) []*semaphore.Weighted {
	return ofCallers(d, keys, func(c *caller) *semaphore.Weighted { return c.intake })
}

func (d *doorman) left(keys []callerKey) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.total--
	for _, key := range keys {
		d.callers[key].streams--
	}
}

// peerAddress is the client's address without its port.
func peerAddress(ctx context.Context) string {
	address := peerOf(ctx)
	if address == nil {
		return "unknown"
	}
	return hostOf(address)
}

// peerOf is the other end of a stream's connection, nil where there is none.
func peerOf(ctx context.Context) net.Addr {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil
	}
	return p.Addr
}

func hostOf(address net.Addr) string {
	host, _, err := net.SplitHostPort(address.String())
	if err != nil {
		return address.String()
	}
	return host
}

func isLoopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return err == nil && address.Unmap().IsLoopback()
}
