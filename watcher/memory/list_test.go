package memory

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestAListThatTakesLongToSaveIsSavedLessOften: holds of 80,000 Pods, one of which changes all the time, would keep a processor and a disk busy.
func TestAListThatTakesLongToSaveIsSavedLessOften(t *testing.T) {
	for took, want := range map[time.Duration]int{0: 60, 30 * time.Millisecond: 20, 300 * time.Millisecond: 6} {
		synctest.Test(t, func(t *testing.T) {
			changed, saves, now := make(chan struct{}, 1), 0, 0
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			go func() {
				for ctx.Err() == nil {
					select {
					case changed <- struct{}{}:
					case <-ctx.Done():
					}
				}
			}()
			require.NoError(t, Kept[int]{
				What: "numbers", Changed: changed, Logger: slog.New(slog.DiscardHandler),
				Now: func() []int { now++; return []int{now} },
				Save: func([]int) error {
					saves++
					<-time.After(took)
					return nil
				},
			}.Run(ctx))
			require.InDelta(t, want, saves-1, 1, "saves that take %s, but for the last", took)
		})
	}
}
