package controlplane

import (
	"context"
	"time"
)

// nowAndThen calls check at intervals, with the time, until the context ends, and then returns nil. However long a check takes, checks take no more
// of the time than one part in share.
func nowAndThen(ctx context.Context, every time.Duration, share int64, check func(now time.Time)) error {
	timer := time.NewTimer(every)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-timer.C:
			check(now)
			timer.Reset(max(every, time.Duration(share)*time.Since(now)))
		}
	}
}
