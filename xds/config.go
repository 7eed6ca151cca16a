package xds

import (
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/podway/podway/api"
)

// Config is what a Server is told. The zero value of each field stands for its default.
type Config struct {
	// Logger is slog.Default() if nil.
	Logger *slog.Logger
	// Registerer takes the metrics; nil keeps them to the server.
	Registerer prometheus.Registerer
	// OnRejected is told of each content that an Envoy rejects, each time that it does. It is called on the stream's
	// goroutine and must not block.
	OnRejected func(api.Rejection)
	// Access is mutual TLS, loaded; nil is plain text, in which a client may say that it is of any Gateway.
	Access *Access
	// Identifier is what Envoys show as control_plane.identifier, "podway" by default; name the version too.
	Identifier string

	// RouteBound is how long a route waits for a cluster that is new to the Envoy: longer than the 15 s that Envoy gives a
	// cluster to warm. 20 s by default.
	RouteBound time.Duration
	// FirstRouteBound is the same for a RouteConfiguration of which the Envoy has no older version. It is shorter than
	// initial_fetch_timeout (15 s), at which a listener starts without its routes. 10 s by default.
	FirstRouteBound time.Duration
	// RemovalGrace is how long a Cluster stays after the last route to it has gone, for requests in flight: 5 s by
	// default, none if negative.
	RemovalGrace time.Duration
	// ShutdownBound is how long Run waits for streams to end once its context has: 5 s by default.
	ShutdownBound time.Duration
	// ShutdownSpread is the time over which streams are closed at shutdown, so that their Envoys do not all move to
	// another replica at once: none by default. It is part of ShutdownBound.
	ShutdownSpread time.Duration
	// StuckBound is how long an Envoy may leave a cluster unanswered that has its endpoints, before it is taken to be stuck at it: 30 s by
	// default, longer than RouteBound and the 15 s that Envoy gives a cluster to warm; never if negative. A cluster with health checks or secrets has
	// three times as long.
	StuckBound time.Duration

	Limits Limits
}

func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Registerer == nil {
		c.Registerer = prometheus.NewRegistry()
	}
	if c.OnRejected == nil {
		c.OnRejected = func(api.Rejection) {}
	}
	if c.Identifier == "" {
		c.Identifier = "podway"
	}
	for _, d := range []struct {
		field  *time.Duration
		preset time.Duration
	}{
		{&c.RouteBound, 20 * time.Second},
		{&c.FirstRouteBound, 10 * time.Second},
		{&c.RemovalGrace, 5 * time.Second},
		{&c.ShutdownBound, 5 * time.Second},
		{&c.StuckBound, 30 * time.Second},
	} {
		if *d.field == 0 {
			*d.field = d.preset
		}
	}
	c.Limits = c.Limits.withDefaults()
	return c
}
