package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/demo"
	"github.com/podway/podway/envoy"
)

// world is all that runs.
type world struct {
	// temporary is removed at the end; directory, in it, is podway's configuration.
	temporary, directory string
	// pods are left and right.
	pods   []*pod
	plane  *plane
	envoys []*envoy.Process
	probes []*probe
}

// newWorld starts everything and waits until each Envoy answers.
func newWorld(ctx context.Context, o options) (*world, error) {
	w := &world{}
	if err := w.start(ctx, o); err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

func (w *world) start(ctx context.Context, o options) (err error) {
	if w.temporary, err = os.MkdirTemp("", "podway-envoys-"); err != nil {
		return err
	}
	w.directory = filepath.Join(w.temporary, "config")
	for _, name := range []string{"left", "right"} {
		p, err := newPod(name)
		if err != nil {
			return err
		}
		w.pods = append(w.pods, p)
	}
	listen, err := freePort()
	if err != nil {
		return err
	}
	if err := w.write(o, listen); err != nil {
		return err
	}
	if w.plane, err = startPlane(ctx, o.podway, w.directory); err != nil {
		return err
	}
	if err := w.startEnvoys(ctx, o.envoys); err != nil {
		return err
	}
	w.probes, err = newProbes(ctx, listen.String(), w.envoys)
	return err
}

func freePort() (netip.AddrPort, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return netip.AddrPort{}, err
	}
	return listener.Addr().(*net.TCPAddr).AddrPort(), listener.Close()
}

// write writes the configuration as it is before all changes.
func (w *world) write(o options, listen netip.AddrPort) error {
	files := map[string]string{
		"gateway.yaml": gatewayYAML(listen), "others.yaml": otherTunnels(o.others), "pod.yaml": tunnelYAML("pod", services("app=100")),
	}
	for _, p := range w.pods {
		files["east/"+p.name+".yaml"] = serviceYAML(p.name, p.name, p.address)
	}
	for _, k := range kinds {
		file, content, _, _ := k.make(w, 0)
		files[file] = content
	}
	for name, content := range files {
		if _, err := demo.WriteFile(filepath.Join(w.directory, name), []byte(content)); err != nil {
			return err
		}
	}
	return nil
}

// startEnvoys starts them one after the other, so that they do not all load at once, and waits until each takes traffic.
func (w *world) startEnvoys(ctx context.Context, count int) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for i := range count {
		bootstrap, err := envoy.Bootstrap(envoy.BootstrapConfig{
			Gateway: types.NamespacedName{Namespace: "edge", Name: "front"}, NodeID: fmt.Sprintf("envoy-%02d", i), XDSAddress: w.plane.xds, AdminAddress: "127.0.0.1:0",
		})
		if err != nil {
			return err
		}
		e, err := envoy.Start(context.WithoutCancel(ctx), envoy.StartConfig{
			Bootstrap: bootstrap, Directory: filepath.Join(w.temporary, fmt.Sprintf("envoy-%02d", i)), Concurrency: 1, LogLevel: "warning",
		})
		if err != nil {
			return err
		}
		w.envoys = append(w.envoys, e)
		if err := e.WaitReady(ctx); err != nil {
			return err
		}
	}
	return nil
}

// quiet is how long an answer takes while nothing changes, the median of many.
func (w *world) quiet(ctx context.Context) (time.Duration, error) {
	var times []time.Duration
	for range 20 {
		for _, p := range w.probes {
			begun := time.Now()
			if _, err := p.ask(ctx, "host"); err != nil {
				return 0, err
			}
			times = append(times, time.Since(begun))
		}
	}
	return percentile(times, 50), nil
}

// close ends everything that runs.
func (w *world) close() (err error) {
	for _, p := range w.probes {
		if p != nil {
			p.close()
		}
	}
	for _, e := range w.envoys {
		err = errors.Join(err, e.Stop())
	}
	if w.plane != nil {
		err = errors.Join(err, w.plane.stop())
	}
	for _, p := range w.pods {
		err = errors.Join(err, p.close())
	}
	return errors.Join(err, os.RemoveAll(w.temporary))
}
