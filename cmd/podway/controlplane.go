package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"syscall"
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

// controlPlane is what a running serve consists of.
type controlPlane struct {
	cfg      serveConfig
	source   *files.Source
	lanes    *watcher.Lanes
	fleet    *fleet.Fleet
	brake    *brake.Brake
	memory   remembering
	clusters *clusterBoard
	behind   *behindWatch
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

// serve runs the control plane until the context ends, which is no error.
func serve(ctx context.Context, cfg serveConfig) error {
	access, err := cfg.XDS.openAccess(cfg.InsecureXDS)
	if err != nil {
		return err
	}
	if err := checkXDSAddress(cfg.XDSAddress, cfg.InsecureXDS || access != nil); err != nil {
		return err
	}
	cfg.access = access
	if err := checkPaths([]string{cfg.Directory}); err != nil {
		return fmt.Errorf("--config: %w", err)
	}
	if info, err := os.Stat(cfg.Directory); err == nil && !info.IsDir() {
		return fmt.Errorf("--config: %s is a file; name the directory that it is in", cfg.Directory)
	}
	adminListener, err := listen(ctx, "--admin-address", cfg.AdminAddress)
	if err != nil {
		return err
	}
	remember, err := openMemory(cfg)
	if err != nil {
		return err
	}
	defer remember.close(cfg.Log)
	return newControlPlane(cfg, remember).run(ctx, adminListener)
}

func newControlPlane(cfg serveConfig, remember remembering) *controlPlane {
	board := newProblemBoard(cfg.Log)
	c := &controlPlane{cfg: cfg, board: board, memory: remember}
	c.told.Store(&[]api.Problem{})
	rejected := newRejections(board)
	registry := newRegistry(&c.ready, board)
	c.brake = brake.New(brake.Config{Defaults: cfg.Brake, Registerer: registry, OnChange: func(keys []pods.ServiceKey) { c.lanes.Touch(keys) }})
	c.lanes = watcher.NewLanes(c.brake.Observe)
	c.server = xds.New(xds.Config{
		Access: cfg.access, Limits: cfg.XDS.Limits, ShutdownSpread: cfg.XDS.ShutdownSpread, ShutdownBound: cfg.XDS.ShutdownSpread + shutdownGrace,
		Logger: cfg.Log, Registerer: registry, OnRejected: rejected.Add, Identifier: "podway " + readVersion().Version,
	})
	c.pipeline = newPipeline(c.server, board, rejected, cfg.Log)
	c.pipeline.brake, c.pipeline.lag, c.pipeline.onApplied = c.brake, newLag(registry), c.planned
	c.memory.start(cfg.Log, registry)
	c.memory.restore(c.brake, c.pipeline.back, cfg.Log)
	c.fleet = fleet.New(fleet.Config{
		Directory: cfg.Directory, Lanes: c.lanes, Store: c.memory.store, Keeper: c.memory.keeper, UserAgent: userAgent(),
		OnProblems: c.clusterProblems, Registerer: registry, Logger: cfg.Log,
	})
	c.clusters = &clusterBoard{fleet: c.fleet, brake: c.brake, live: c.lanes.Live, config: &c.pipeline.applied, begun: time.Now()}
	c.ready.pipeline = c.pipeline
	c.source = files.New(files.Config{Directory: cfg.Directory, Options: cfg.Limits, Logger: cfg.Log, OnState: func(state files.State) {
		if state.Config != c.configured {
			c.configured = state.Config
			c.fleet.Configure(state.Config)
		}
		c.lanes.Put(state.Config, state.Changed, state.Gone)
	}})
	c.behind = newBehindWatch(c.server.Behind, c.locate, func(problems []api.Problem) { board.set(partBehind, problems) }, registry)
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
	group.Go(func() error { return c.clashes.run(parts) })
	group.Go(func() error { return c.runFleet(parts) })
	group.Go(func() error {
		followCertificates(parts, c.cfg.access, c.board)
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
		c.cfg.Log.Info("Ended")
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
	go func() { kept <- c.memory.run(keepCtx, c.brake, c.pipeline.back, c.cfg.Log) }()
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
	c.cfg.Log.Info("Ready", "xds", xdsAddress, "admin", admin)
	if c.cfg.OnReady != nil {
		c.cfg.OnReady(xdsAddress, admin)
	}
	return c.server.Run(ctx, listener)
}

// checkXDSAddress refuses what would hand private keys to a network without having been told to.
func checkXDSAddress(address string, insecure bool) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return usagef("--xds-address %q: want HOST:PORT", address)
	}
	if ip, err := netip.ParseAddr(host); insecure || host == "localhost" || err == nil && ip.IsLoopback() {
		return nil
	}
	return usagef("--xds-address %s is not a loopback address: xDS is plain text, and whoever reaches it can read the private keys of "+
		"HTTPS listeners; use a loopback address, ask for certificates with --xds-cert (podway certs makes some for development), or say --insecure-xds if the network is trusted", address)
}

// listen opens a port. flag is named where that fails.
func listen(ctx context.Context, flag, address string) (net.Listener, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	switch {
	case err == nil:
		return listener, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s %s: the address is in use, perhaps by another podway; choose another one or end that", flag, address)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("%s %s: not allowed to open this port; choose one above 1023", flag, address)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("%s %s: this host has no such address", flag, address)
	}
	return nil, fmt.Errorf("%s %s: %w", flag, address, err)
}
