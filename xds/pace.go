package xds

import (
	"context"
	"time"

	"golang.org/x/time/rate"
)

// namesPerToken is how many names in a request count as much as one more request. A SotW client repeats all its names with each ACK.
const namesPerToken = 256

// reader slows a client down that asks for more than its stream's share of a core, or whose peer does on all its streams together: it is read
// from later, and gRPC's flow control has it wait. Nothing is refused for it.
type reader struct{ buckets []*rate.Limiter }

func newReader(limits Limits, peers []*rate.Limiter) reader {
	return reader{append(peers, rate.NewLimiter(rate.Limit(limits.RequestRate), limits.RequestBurst))}
}

// pause waits until the next request may be read after one with so many names. It returns early, with the reason, once the context ends.
func (r reader) pause(ctx context.Context, names int) error {
	now := time.Now()
	var delay time.Duration
	for _, bucket := range r.buckets {
		delay = max(delay, bucket.ReserveN(now, min(1+names/namesPerToken, bucket.Burst())).DelayFrom(now))
	}
	if delay == 0 {
		return nil
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
