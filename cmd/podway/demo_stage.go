package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/cmd/podway/controlplane"
	"github.com/podway/podway/demo"
	"github.com/podway/podway/envoy"
)

const (
	// demoGatewayPort is what people expect.
	demoGatewayPort = 8080
	// demoStartLimit bounds the start of each part.
	demoStartLimit = 20 * time.Second
	// demoWorkers is enough to show that shares hold over several.
	demoWorkers = 2
)

// stage is all that runs in a demo.
type stage struct {
	cfg demoConfig
	// root holds config, which is what a person would write, and what Envoy and the control plane say of themselves.
	root, config, envoyDirectory string
	scenario                     demo.Scenario
	clusters                     []*demo.Cluster

	// ctx ends with the command, or with the control plane or Envoy where one of them ends.
	ctx     context.Context
	fail    context.CancelCauseFunc
	log     *os.File
	plane   *demoPlane
	process *envoy.Process

	xdsAddress, adminAddress, envoyVersion string

	background *demo.Running
	// requests counts those that have been sent, but for the background's.
	requests int
}

// demoPlane is the control plane of a demo.
type demoPlane struct {
	end   context.CancelFunc
	ended chan struct{}
}

// newStage makes the directories. close undoes what newStage and open do.
func newStage(ctx context.Context, cfg demoConfig) (*stage, error) {
	if cfg.Envoy == "" {
		path, err := envoy.Find()
		if err != nil {
			return nil, err
		}
		cfg.Envoy = path
	}
	port, err := demoPort(cfg.Port)
	if err != nil {
		return nil, err
	}
	root, err := demoDirectory(cfg.Directory)
	if err != nil {
		return nil, err
	}
	s := &stage{
		cfg: cfg, root: root, config: filepath.Join(root, "config"), envoyDirectory: filepath.Join(root, "envoy"),
		scenario: demo.Scenario{Address: netip.AddrFrom4([4]byte{127, 0, 0, 1}), Port: port},
	}
	s.ctx, s.fail = context.WithCancelCause(ctx)
	return s, nil
}

// demoPort checks that the port is free, or finds one.
func demoPort(wanted uint16) (uint16, error) {
	try := func(port uint16) (uint16, error) {
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port))))
		if err != nil {
			return 0, err
		}
		defer listener.Close()
		return listener.Addr().(*net.TCPAddr).AddrPort().Port(), nil
	}
	if wanted != 0 {
		if _, err := try(wanted); err != nil {
			return 0, fmt.Errorf("--port %d: %w; choose another one", wanted, err)
		}
		return wanted, nil
	}
	if port, err := try(demoGatewayPort); err == nil {
		return port, nil
	}
	port, err := try(0)
	if err != nil {
		return 0, fmt.Errorf("finding a free port for the Gateway: %w", err)
	}
	return port, nil
}

// demoDirectory makes the directory, which must be new or empty: other files in it would be served too.
func demoDirectory(wanted string) (string, error) {
	if wanted == "" {
		root, err := os.MkdirTemp("", "podway-demo-")
		if err != nil {
			return "", fmt.Errorf("making a directory for the demo: %w", err)
		}
		return root, nil
	}
	if err := os.MkdirAll(wanted, 0o755); err != nil {
		return "", fmt.Errorf("--directory: %w", err)
	}
	entries, err := os.ReadDir(wanted)
	if err != nil {
		return "", fmt.Errorf("--directory: %w", err)
	}
	if len(entries) > 0 {
		return "", fmt.Errorf("--directory %s is not empty; choose a new one", wanted)
	}
	return filepath.Abs(wanted)
}

// open starts the clusters, the control plane and Envoy, and returns once requests can be sent.
func (s *stage) open() error {
	for i, name := range []string{"east", "west"} {
		cluster := demo.NewCluster(demo.ClusterConfig{
			Name: name, Directory: filepath.Join(s.config, name), First: netip.AddrFrom4([4]byte{127, 0, byte(i + 1), 1}),
		})
		s.clusters = append(s.clusters, cluster)
		service, err := cluster.NewService(demo.ServiceConfig{Name: demo.ScenarioService})
		if err != nil {
			return err
		}
		s.scenario.Clusters = append(s.scenario.Clusters, &demo.ScenarioCluster{Name: name, Service: service})
	}
	if err := s.firstFiles(); err != nil {
		return err
	}
	if err := s.startPlane(); err != nil {
		return err
	}
	return s.startEnvoy()
}

// startPlane runs the control plane in this process, as podway serve does.
func (s *stage) startPlane() error {
	log, err := os.Create(filepath.Join(s.root, "podway.log"))
	if err != nil {
		return fmt.Errorf("making a log: %w", err)
	}
	s.log = log
	ctx, end := context.WithCancel(context.WithoutCancel(s.ctx))
	s.plane = &demoPlane{end: end, ended: make(chan struct{})}
	ready := make(chan [2]string, 1)
	go func() {
		defer close(s.plane.ended)
		err := serve(ctx, serveConfig{Config: controlplane.Config{
			Directory: s.config, XDSAddress: "127.0.0.1:0", AdminAddress: "127.0.0.1:0",
			Logger:  slog.New(slog.NewTextHandler(log, nil)),
			OnReady: func(xds, admin string) { ready <- [2]string{xds, admin} },
		}})
		if err == nil {
			err = context.Canceled
		}
		s.fail(fmt.Errorf("the control plane ended (%w); see %s", err, log.Name()))
	}()
	limit := time.NewTimer(demoStartLimit)
	defer limit.Stop()
	select {
	case addresses := <-ready:
		s.xdsAddress, s.adminAddress = addresses[0], addresses[1]
		return nil
	case <-s.ctx.Done():
		return context.Cause(s.ctx)
	case <-limit.C:
		return fmt.Errorf("the control plane is not ready after %s; see %s", demoStartLimit, log.Name())
	}
}

func (s *stage) startEnvoy() error {
	bootstrap, err := envoy.Bootstrap(envoy.BootstrapConfig{
		Gateway: types.NamespacedName{Namespace: demo.ScenarioNamespace, Name: demo.ScenarioGateway},
		NodeID:  "demo", XDSAddress: s.xdsAddress, AdminAddress: "127.0.0.1:0",
	})
	if err != nil {
		return err
	}
	// It ends with Stop, so that it can do so in order.
	s.process, err = envoy.Start(context.WithoutCancel(s.ctx), envoy.StartConfig{
		Path: s.cfg.Envoy, Bootstrap: bootstrap, Directory: s.envoyDirectory, Concurrency: demoWorkers,
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.ctx, demoStartLimit)
	defer cancel()
	if err := s.process.WaitReady(ctx); err != nil {
		return err
	}
	info, err := s.process.Admin().ServerInfo(ctx)
	if err != nil {
		return err
	}
	// COMMIT/VERSION/...
	if parts := strings.Split(info.Version, "/"); len(parts) > 1 {
		s.envoyVersion = parts[1]
	}
	go func() {
		select {
		case <-s.process.Done():
			s.fail(fmt.Errorf("envoy ended; see %s", s.envoyDirectory))
		case <-s.ctx.Done():
		}
	}()
	return nil
}

// close ends all that runs, Envoy first, and removes the files unless they are to be kept.
func (s *stage) close() error {
	defer s.fail(nil)
	var errs []error
	if s.background != nil {
		s.background.Stop()
	}
	if s.process != nil {
		errs = append(errs, s.process.Stop())
	}
	if s.plane != nil {
		s.plane.end()
		<-s.plane.ended
	}
	for _, cluster := range s.clusters {
		cluster.Close()
	}
	if s.log != nil {
		errs = append(errs, s.log.Close())
	}
	if !s.cfg.Keep && s.cfg.Directory == "" {
		errs = append(errs, os.RemoveAll(s.root))
	}
	return errors.Join(errs...)
}

func (s *stage) url(path string) string {
	return "http://" + netip.AddrPortFrom(s.scenario.Address, s.scenario.Port).String() + path
}
