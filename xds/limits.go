package xds

import (
	"context"
	"net"
	"sync"

	"golang.org/x/time/rate"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// Limits bound what clients can cost. The zero value of each stands for its default.
type Limits struct {
	// MaxStreams is how many streams are open at a time: 10,000.
	MaxStreams int
	// MaxStreamsPerPeer is the same for one client address: 2,000.
	MaxStreamsPerPeer int
	// StreamRate is how many streams may be opened in a second, after a burst of StreamBurst: 500 and 2,000.
	StreamRate  float64
	StreamBurst int
	// MaxRequestBytes is the size of a request: 4 MiB.
	MaxRequestBytes int
	// MaxNames is how many names a stream may subscribe to, and claim to have, of one type: 20,000.
	MaxNames int
	// MaxNameBytes is the length of a name that a client sends: 1,024.
	MaxNameBytes int
	// MaxResponseBytes is where a response is split, below the 4 MiB that many clients accept: 2 MiB. One resource is
	// never split, nor are SotW answers of clusters and listeners, which must be complete.
	MaxResponseBytes int
	// WindowResponses and WindowBytes bound what a stream is sent of one type before it acknowledges: 64 and 8 MiB.
	// Clusters are never held back for it, but come at most once a second.
	WindowResponses int
	WindowBytes     int
}

// maxTypes is how many types a stream may ask for: more than Envoy has.
const maxTypes = 32

func (l Limits) withDefaults() Limits {
	for _, f := range []struct {
		field  *int
		preset int
	}{
		{&l.MaxStreams, 10_000},
		{&l.MaxStreamsPerPeer, 2_000},
		{&l.StreamBurst, 2_000},
		{&l.MaxRequestBytes, 4 << 20},
		{&l.MaxNames, 20_000},
		{&l.MaxNameBytes, 1024},
		{&l.MaxResponseBytes, 2 << 20},
		{&l.WindowResponses, 64},
		{&l.WindowBytes, 8 << 20},
	} {
		if *f.field <= 0 {
			*f.field = f.preset
		}
	}
	if l.StreamRate <= 0 {
		l.StreamRate = 500
	}
	return l
}

// doorman decides who may open a stream.
type doorman struct {
	limits Limits
	bucket *rate.Limiter

	mu    sync.Mutex
	total int
	peers map[string]int
}

func newDoorman(limits Limits) *doorman {
	return &doorman{
		limits: limits,
		bucket: rate.NewLimiter(rate.Limit(limits.StreamRate), limits.StreamBurst),
		peers:  map[string]int{},
	}
}

// admit lets a stream in, or says why not. The caller calls leave when the stream ends.
func (d *doorman) admit(address string) (leave func(), err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.total >= d.limits.MaxStreams:
		return nil, status.Errorf(codes.ResourceExhausted, "this podway already has %d streams, its limit; try another replica, or again later", d.total)
	case d.peers[address] >= d.limits.MaxStreamsPerPeer:
		return nil, status.Errorf(codes.ResourceExhausted, "%s already has %d streams, the limit for one address", address, d.peers[address])
	case !d.bucket.Allow():
		return nil, status.Error(codes.ResourceExhausted, "too many streams are being opened at once; try again in a second")
	}
	d.total++
	d.peers[address]++
	return func() { d.left(address) }, nil
}

func (d *doorman) left(address string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.total--
	if d.peers[address]--; d.peers[address] == 0 {
		delete(d.peers, address)
	}
}

// peerAddress is the client's address without its port.
func peerAddress(ctx context.Context) string {
	p, ok := peer.FromContext(ctx)
	if !ok || p.Addr == nil {
		return "unknown"
	}
	host, _, err := net.SplitHostPort(p.Addr.String())
	if err != nil {
		return p.Addr.String()
	}
	return host
}

// checkNames refuses what a request may not name.
func (l Limits) checkNames(names []string) error {
	if len(names) > l.MaxNames {
		return status.Errorf(codes.InvalidArgument, "%d names in one request; at most %d are allowed", len(names), l.MaxNames)
	}
	for _, name := range names {
		if len(name) > l.MaxNameBytes {
			return status.Errorf(codes.InvalidArgument, "a resource name of %d bytes; at most %d are allowed", len(name), l.MaxNameBytes)
		}
	}
	return nil
}
