package controlplane

import (
	"context"
	"errors"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/podway/podway/api"
	"github.com/podway/podway/holdback"
	"github.com/podway/podway/watcher/brake"
	"github.com/podway/podway/watcher/files"
	"github.com/podway/podway/watcher/memory"
)

// remembering is what keeps the last good Pods, and what is held; its zero value keeps none.
type remembering struct {
	store  *memory.Store
	keeper *memory.Keeper
	// files is what is kept of the configuration, nil where nothing is.
	files *files.Memory
	// together is there once what was held is restored.
	together *memory.Together
}

// openMemory opens the state directory. One that another podway has is a mistake on the command line; with any other trouble podway runs
// without, and says so: it must not be down for want of a memory.
func openMemory(cfg Config) (remembering, error) {
	if cfg.State == "" {
		return remembering{}, nil
	}
	store, err := memory.Open(cfg.State)
	switch {
	case errors.Is(err, memory.ErrLocked):
		return remembering{}, err
	case err != nil:
		cfg.Logger.Warn("Nothing is remembered", "error", err)
		return remembering{}, nil
	}
	return remembering{store: store}, nil
}

// start makes the keeper, which does nothing before run.
func (r *remembering) start(log *slog.Logger, registry prometheus.Registerer) {
	if r.store != nil {
		r.keeper = memory.NewKeeper(memory.KeeperConfig{
			Store: r.store, Before: func(cluster string) error { return r.together.Cover(cluster) }, Logger: log, Registerer: registry,
		})
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
	r.together = memory.NewTogether(r.store, r.keeper, b.Kept, holds)
	held, err := r.store.LoadHoldbacks()
	if err != nil {
		log.Warn("What Envoys rejected before the restart is tried again", "error", err)
	}
	back.Restore(held)
	kept, err := r.store.LoadConfiguration()
	if err != nil {
		log.Warn("Nothing stands in for a file of the configuration that is broken", "error", err)
	}
	r.files = files.NewMemory(kept)
}

// run keeps what is noted, and what is held, until the context ends.
func (r *remembering) run(ctx context.Context, b *brake.Brake, back *holdback.Holdbacks, log *slog.Logger) error {
	if r.keeper == nil {
		return nil
	}
	var group errgroup.Group
	group.Go(func() error { return r.keeper.Run(ctx) })
	group.Go(func() error { return b.Keep(ctx, r.together.Save, log) })
	group.Go(func() error { return r.keepHoldbacks(ctx, back, log) })
	group.Go(func() error {
		return memory.Kept[memory.File]{What: "configuration", Changed: r.files.Changed(), Now: r.files.Now, Save: r.store.SaveConfiguration, Logger: log}.Run(ctx)
	})
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
