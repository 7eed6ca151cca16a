package xds

import (
	"math"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// The defaults of Limits that are flags of podway serve, for a fleet of 1000 Envoys.
const (
	DefaultMaxStreams        = 10_000
	DefaultMaxStreamsPerPeer = 2_000
	DefaultStreamRate        = 500
	DefaultMaxRequestBytes   = 4 << 20
	DefaultPingInterval      = 30 * time.Second
)

// Limits bound what clients can cost. The zero value of each stands for its default.
type Limits struct {
	// MaxStreams is how many streams are open at a time: 10,000. An Envoy needs one.
	MaxStreams int
	// MaxConnections is how many connections are open at a time: twice MaxStreams, which is also the most. Fewer are for a process that may not open so many
	// files.
	MaxConnections int
	// MaxStreamsPerPeer is the same for one client address, and for one identity, which all Envoys of a Gateway share: 2,000. An address may have twice as
	// many connections.
	MaxStreamsPerPeer int
	// StreamRate is how many streams may be opened in a second, after a burst of StreamBurst: 500, and 4 seconds' worth.
	StreamRate  float64
	StreamBurst int
	// StreamRatePerPeer and StreamBurstPerPeer are the same for one address, and for one identity: a fifth of the rate and
	// half of the burst, so that one that opens streams in a loop leaves room for the others.
	StreamRatePerPeer  float64
	StreamBurstPerPeer int
	// PingInterval is how long a connection may be silent before it is asked whether its peer is there, and PingTimeout, how long
	// that may take to answer before it counts as dead: 30 s and 10 s. 1 s is the least.
	PingInterval time.Duration
	PingTimeout  time.Duration
	// MaxRequestBytes is the size of a request: 4 MiB.
	MaxRequestBytes int
	// MaxNames is how many names a stream may subscribe to, and claim to have, of one type: 20,000.
	MaxNames int
	// MaxNameBytes is the length of a name that a client sends: 1,024.
	MaxNameBytes int
	// MaxSubscriptionBytes is how many bytes the names of a stream's subscriptions have, and the versions that it claims to have, in all: 8 MiB.
	MaxSubscriptionBytes int
	// MaxUnknownBytesPerPeer is how much one client address, and one identity, may have podway remember of names that the view has never had, on
	// all its streams, in bytes of memory: 256 MiB, of which a name takes about 120, and one that the client says it has, 400 until
	// it acknowledges the removal. A set of names that its streams share counts once.
	MaxUnknownBytesPerPeer int
	// MaxIntakeBytesPerPeer is how much of requests that are on their way in podway keeps for one client address, and for one identity, in
	// bytes: 256 MiB. What is larger than 64 KiB waits until it finds room; a smaller request needs none.
	MaxIntakeBytesPerPeer int
	// RequestRate is how many requests of a stream are read in a second, after a burst of RequestBurst: 1,000 and 10,000. Each 256 names in one
	// count as one more. A client that sends more is not refused, but waits.
	RequestRate  float64
	RequestBurst int
	// RequestRatePerPeer and RequestBurstPerPeer are the same for all streams of one address, and of one identity, which a thousand Envoys may
	// share: 20 times as many.
	RequestRatePerPeer  float64
	RequestBurstPerPeer int
	// MaxResponseBytes is where a response is split, below the 4 MiB that many clients accept: 2 MiB. One resource is
	// never split, nor are SotW answers of clusters and listeners, which must be complete.
	MaxResponseBytes int
	// WindowResponses and WindowBytes bound what a stream is sent of one type before it acknowledges: 64 and 8 MiB.
	// Clusters are never held back for it, but come at most once a second.
	WindowResponses int
	WindowBytes     int
}

// peerShare is how many streams of one peer may send as much at a time as one alone may.
const peerShare = 20

// maxTypes is how many types a stream may ask for: more than Envoy has.
const maxTypes = 32

func (l Limits) withDefaults() Limits {
	l = l.withRates()
	for _, f := range []struct {
		field  *int
		preset int
	}{
		{&l.MaxStreams, DefaultMaxStreams},
		{&l.MaxStreamsPerPeer, DefaultMaxStreamsPerPeer},
		{&l.MaxRequestBytes, DefaultMaxRequestBytes},
		{&l.MaxNames, 20_000},
		{&l.MaxNameBytes, 1024},
		{&l.MaxSubscriptionBytes, 8 << 20},
		{&l.MaxUnknownBytesPerPeer, 256 << 20},
		{&l.MaxIntakeBytesPerPeer, 256 << 20},
		{&l.RequestBurst, 10_000},
		{&l.MaxResponseBytes, 2 << 20},
		{&l.WindowResponses, 64},
		{&l.WindowBytes, 8 << 20},
	} {
		if *f.field <= 0 {
			*f.field = f.preset
		}
	}
	if most := connectionsPerStream * l.MaxStreams; l.MaxConnections <= 0 || l.MaxConnections > most {
		l.MaxConnections = most
	}
	if l.RequestBurstPerPeer <= 0 {
		l.RequestBurstPerPeer = peerShare * l.RequestBurst
	}
	if l.PingInterval <= 0 {
		l.PingInterval = DefaultPingInterval
	}
	if l.PingTimeout <= 0 {
		l.PingTimeout = 10 * time.Second
	}
	return l
}

func (l Limits) withRates() Limits {
	if l.StreamRate <= 0 {
		l.StreamRate = DefaultStreamRate
	}
	if l.StreamBurst <= 0 {
		l.StreamBurst = int(math.Ceil(4 * l.StreamRate))
	}
	if l.RequestRate <= 0 {
		l.RequestRate = 1000
	}
	if l.RequestRatePerPeer <= 0 {
		l.RequestRatePerPeer = peerShare * l.RequestRate
	}
	if l.StreamRatePerPeer <= 0 {
		l.StreamRatePerPeer = l.StreamRate / 5
	}
	if l.StreamBurstPerPeer <= 0 {
		l.StreamBurstPerPeer = (l.StreamBurst + 1) / 2
	}
	return l
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
