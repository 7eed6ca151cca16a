package main

import (
	"context"
	"errors"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/podway/podway/api"
	"github.com/podway/podway/holdback"
	"github.com/podway/podway/watcher/brake"
	"github.com/podway/podway/watcher/memory"
)

// remembering is what keeps the last good Pods, and what is held; its zero value keeps none.
type remembering struct {
	store  *memory.Store
	keeper *memory.Keeper
}

// openMemory opens the state directory. One that another podway has is a mistake on the command line; with any other trouble podway runs
// without, and says so: it must not be down for want of a memory.
func openMemory(cfg serveConfig) (remembering, error) {
	if cfg.State == "" {
		return remembering{}, nil
	}
	store, err := memory.Open(cfg.State)
	switch {
	case errors.Is(err, memory.ErrLocked):
		return remembering{}, err
	case err != nil:
		cfg.Log.Warn("Nothing is remembered", "error", err)
		return remembering{}, nil
	}
	return remembering{store: store}, nil
}

// start makes the keeper, which does nothing before run.
func (r *remembering) start(log *slog.Logger, registry prometheus.Registerer) {
	if r.store != nil {
		r.keeper = memory.NewKeeper(memory.KeeperConfig{Store: r.store, Logger: log, Registerer: registry})
	}
}

// restore has go on what was held before a restart.
func (r *remembering) restore(b *brake.Brake, back *holdback.Holdbacks, log *slog.Logger) {
	if r.store == nil {
		return
	}
	holds, err := r.store.LoadHolds()
	if err != nil {
		log.Warn("Holds of before the restart do not go on", "error", err)
	}
	b.Restore(holds)
	held, err := r.store.LoadHoldbacks()
	if err != nil {
		log.Warn("What Envoys rejected before the restart is tried again", "error", err)
	}
	back.Restore(held)
}

// run keeps what is noted, and what is held, until the context ends.
func (r *remembering) run(ctx context.Context, b *brake.Brake, back *holdback.Holdbacks, log *slog.Logger) error {
	if r.keeper == nil {
		return nil
	}
	var group errgroup.Group
	group.Go(func() error { return r.keeper.Run(ctx) })
	group.Go(func() error { return b.Keep(ctx, r.store.SaveHolds, log) })
	group.Go(func() error { return r.keepHoldbacks(ctx, back, log) })
	return group.Wait()
}

// keepHoldbacks saves what is held back as it changes. Nothing is saved before something is served: until then what was saved before still counts.
func (r *remembering) keepHoldbacks(ctx context.Context, back *holdback.Holdbacks, log *slog.Logger) error {
	if !back.Served(ctx) {
		return nil
	}
	return memory.Kept[api.Holdback]{What: "holdbacks", Changed: back.Changed(), Now: back.Remember, Save: r.store.SaveHoldbacks, Logger: log}.Run(ctx)
}

func (r *remembering) close(log *slog.Logger) {
	if r.store == nil {
		return
	}
	if err := r.store.Close(); err != nil {
		log.Warn("The state directory could not be closed", "error", err)
	}
}
