package controlplane

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/pods"
	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/translator"
	"github.com/podway/podway/watcher"
	"github.com/podway/podway/watcher/brake"
	"github.com/podway/podway/watcher/files"
	"github.com/podway/podway/watcher/fleet"
	"github.com/podway/podway/xds"
)

// checkDatesEvery is how late a certificate that expires while nothing changes is told of.
const checkDatesEvery = 10 * time.Minute

// shutdownGrace is how long the end of the streams may take beyond the time over which they are closed.
const shutdownGrace = 5 * time.Second

// Config is what a control plane needs.
type Config struct {
	// Directory of the configuration, which must be there.
	Directory    string
	XDSAddress   string
	AdminAddress string
	// Access says who may connect to the xDS port; nil is plain text for everybody who reaches it.
	Access *xds.Access
	// XDSLimits are what clients may cost; zero fields have their defaults.
	XDSLimits xds.Limits
	// ShutdownSpread is the time over which streams are closed at the end; 0 for all at once.
	ShutdownSpread time.Duration
	Pprof          bool
	// State is the directory in which the last good Pods of each cluster, what is held back, and the files of the configuration are kept; "" for nowhere.
	State string
	// Brake says when Pods that lose readiness together stay in a tunnel; zero fields have their defaults.
	Brake  brake.Settings
	Logger *slog.Logger
	// LostLogLines, if not nil, says how many lines of the log could not be written so far.
	LostLogLines func() uint64
	// Files are the limits of what is read; the zero value has the defaults.
	Files files.Options
	// Version of podway, for those who are told who it is.
	Version string
	// OnReady, if not nil, is called once, when the first complete state is served, with the addresses that the ports are open on.
	OnReady func(xds, admin string)
}

// controlPlane is a control plane that runs, or will.
type controlPlane struct {
	cfg      Config
	source   *files.Source
	lanes    *watcher.Lanes
	fleet    *fleet.Fleet
	brake    *brake.Brake
	memory   remembering
	clusters *clusterBoard
	behind   *behindWatch
	gateways []*gatewayWatch
	clashes  *clashWatch
	board    *problemBoard
	pipeline *pipeline
	server   *xds.Server
	ready    readiness
	admin    http.Handler
	// configured is the configuration that the fleet has; it belongs to the source's goroutine.
	configured *snapshot.Config
	// told are the Problems of clusters as the fleet last told them.
	told atomic.Pointer[[]api.Problem]
}

// Run runs a control plane until the context ends, which is no error.
func Run(ctx context.Context, cfg Config) error {
	adminListener, err := listen(ctx, "--admin-address", cfg.AdminAddress)
	if err != nil {
		return err
	}
	remember, err := openMemory(cfg)
	if err != nil {
		return err
	}
	defer remember.close(cfg.Logger)
	return newControlPlane(cfg, remember).run(ctx, adminListener)
}

func newControlPlane(cfg Config, remember remembering) *controlPlane {
	board := newProblemBoard(cfg.Logger)
	c := &controlPlane{cfg: cfg, board: board, memory: remember}
	c.told.Store(&[]api.Problem{})
	rejected := newRejections(board)
	registry := newRegistry(&c.ready, board)
	registerLostLogLines(registry, cfg.LostLogLines)
	c.brake = brake.New(brake.Config{Defaults: cfg.Brake, Registerer: registry, OnChange: func(keys []pods.ServiceKey) { c.lanes.Touch(keys) }})
	c.lanes = watcher.NewLanes(c.brake.Observe)
	c.server = xds.New(xds.Config{
		Access: cfg.Access, Limits: cfg.XDSLimits, ShutdownSpread: cfg.ShutdownSpread, ShutdownBound: cfg.ShutdownSpread + shutdownGrace,
		Logger: cfg.Logger, Registerer: registry, OnRejected: rejected.Add, Identifier: "podway " + cfg.Version,
	})
	c.pipeline = newPipeline(pipelineConfig{
		server: c.server, board: board, rejected: rejected, brake: c.brake, lag: newLag(registry), onApplied: c.planned,
		version: cfg.Version, log: cfg.Logger,
	})
	c.memory.start(cfg.Logger, registry)
	c.memory.restore(c.brake, c.pipeline.back, cfg.Logger)
	c.fleet = fleet.New(fleet.Config{
		Directory: cfg.Directory, Lanes: c.lanes, Store: c.memory.store, Keeper: c.memory.keeper, UserAgent: "podway/" + cfg.Version,
		OnProblems: c.clusterProblems, Registerer: registry, Logger: cfg.Logger,
	})
	c.clusters = &clusterBoard{fleet: c.fleet, brake: c.brake, live: c.lanes.Live, config: &c.pipeline.applied, begun: time.Now()}
	c.ready.pipeline = c.pipeline
	cfg.Files.Memory = c.memory.files
	c.source = files.New(files.Config{Directory: cfg.Directory, Options: cfg.Files, Logger: cfg.Logger, OnState: func(state files.State) {
		if state.Config != c.configured {
			c.configured = state.Config
			c.fleet.Configure(state.Config)
		}
		c.lanes.Put(state.Config, state.Changed, state.Gone)
	}})
	c.behind = newBehindWatch(c.server.Behind, c.locate, func(problems []api.Problem) { board.set(partBehind, problems) }, registry)
	c.gateways = []*gatewayWatch{
		newOutdatedWatch(c.server.Releases).on(board, partOutdated, c.locate), newSharedWatch(c.server.SharedNodes).on(board, partShared, c.locate),
	}
	c.clashes = &clashWatch{live: c.lanes.Live, served: &c.pipeline.state, tell: func(problems []api.Problem) { board.set(partAddresses, problems) }}
	c.admin = adminHandler(&c.ready, board, c.clusters, &envoyBoard{server: c.server, rejected: rejected}, registry, cfg.Pprof)
	return c
}

// planned hands on what a plan asks of the clusters.
func (c *controlPlane) planned(plan *translator.Plan) {
	c.fleet.Follow(plan.Labeled())
	c.clashes.plan.Store(plan)
	c.clusterProblems(*c.told.Load())
}

// clusterProblems puts the Problems of clusters on the board, with the places of their objects.
func (c *controlPlane) clusterProblems(problems []api.Problem) {
	c.told.Store(&problems)
	located := slices.Clone(problems)
	for i := range located {
		located[i] = c.locate(located[i])
	}
	c.board.set(partClusters, located)
}

// locate says where a Problem's object is in the configuration that was applied last.
func (c *controlPlane) locate(problem api.Problem) api.Problem {
	if cfg := c.pipeline.applied.Load(); cfg != nil {
		return cfg.Locate(problem)
	}
	return problem
}

// run ends when the context does, or when a part fails. The other parts go on until the xDS server has let go of its last Envoy, which is kept
// current meanwhile, and the admin interface outlives them, so that whoever asks learns that this is ending.
func (c *controlPlane) run(ctx context.Context, adminListener net.Listener) error {
	adminCtx, endAdmin := context.WithCancel(context.WithoutCancel(ctx))
	defer endAdmin()
	group, ctx := errgroup.WithContext(ctx)
	parts, endParts := context.WithCancel(context.WithoutCancel(ctx))
	defer endParts()
	adminEnded := make(chan error, 1)
	go func() { adminEnded <- runAdmin(adminCtx, adminListener, c.admin) }()
	group.Go(func() error { return c.source.Run(parts) })
	group.Go(func() error { return c.brake.Run(parts) })
	group.Go(func() error { return c.behind.run(parts) })
	for _, watch := range c.gateways {
		group.Go(func() error { return watch.run(parts) })
	}
	group.Go(func() error { return c.clashes.run(parts) })
	group.Go(func() error { return c.runFleet(parts) })
	group.Go(func() error {
		if access := c.cfg.Access; access != nil {
			access.Run(parts, func(problems []api.Problem) { c.board.set(partAccess, slices.Clone(problems)) })
		}
		return nil
	})
	first := make(chan struct{})
	group.Go(func() error {
		c.pipeline.run(parts, c.lanes, first)
		return nil
	})
	group.Go(func() error { return c.giveBack(parts) })
	group.Go(func() error {
		defer endParts()
		return c.runXDS(ctx, first, adminListener.Addr().String())
	})
	group.Go(func() error {
		select {
		case err := <-adminEnded:
			adminEnded <- err
			return err
		case <-ctx.Done():
			c.ready.ending.Store(true)
			return nil
		}
	})
	err := group.Wait()
	endAdmin()
	if adminErr := <-adminEnded; err == nil {
		err = adminErr
	}
	if err == nil {
		c.cfg.Logger.Info("Ended")
	}
	return err
}

// giveBackAfter is when the first sync is taken to be over though a cluster is away.
const giveBackAfter = time.Minute

// giveBack returns to the system what the first sync took beyond what is kept, once: by itself the collector takes many minutes for it.
func (c *controlPlane) giveBack(ctx context.Context) error {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	begun := time.Now()
	for synced := false; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if synced || time.Since(begun) > giveBackAfter {
			runtime.GC() // what lies in a sync.Pool outlives one collection
			debug.FreeOSMemory()
			return nil
		}
		state := c.pipeline.state.Load()
		synced = state != nil && len(state.Unsynced) == 0 && state.Partial == 0 // and for a moment, the last buffers are still in use
	}
}

// runFleet follows the clusters, and keeps what it learns of them until the last of it is kept.
func (c *controlPlane) runFleet(ctx context.Context) error {
	keepCtx, endKeeping := context.WithCancel(context.WithoutCancel(ctx))
	defer endKeeping()
	kept := make(chan error, 1)
	go func() { kept <- c.memory.run(keepCtx, c.brake, c.pipeline.back, c.cfg.Logger) }()
	err := c.fleet.Run(ctx)
	endKeeping()
	return errors.Join(err, <-kept)
}

// runXDS waits for the first state, opens the xDS port and serves it until the context ends.
func (c *controlPlane) runXDS(ctx context.Context, first <-chan struct{}, admin string) error {
	select {
	case <-ctx.Done():
		return nil
	case <-first:
	}
	listener, err := listen(ctx, "--xds-address", c.cfg.XDSAddress)
	if err != nil {
		return err
	}
	xdsAddress := listener.Addr().String()
	c.ready.serving.Store(true)
	c.cfg.Logger.Info("Ready", "xds", xdsAddress, "admin", admin)
	if c.cfg.OnReady != nil {
		c.cfg.OnReady(xdsAddress, admin)
	}
	return c.server.Run(ctx, listener)
}
