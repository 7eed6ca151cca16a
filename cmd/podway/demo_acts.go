package main

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"time"

	"github.com/podway/podway/demo"
	"github.com/podway/podway/envoy"
)

const (
	// demoMeasured is enough for each Pod of the demo to be due demo.MinimumDue requests.
	demoMeasured = 6250
	demoClients  = 8
	// demoRate is requests a second of the client that goes on all the while.
	demoRate = 200
	// demoReachLimit bounds how long a change may take to reach Envoy.
	demoReachLimit = 30 * time.Second
)

// act is one change of the files.
type act struct {
	title string
	// edit says where the change is, for the reader.
	edit string
	do   func() (time.Time, error)
}

// firstFiles are what the demo begins with.
func (s *stage) firstFiles() error {
	east, west := s.scenario.Clusters[0], s.scenario.Clusters[1]
	east.PodWeight, west.PodWeight = 50, 100
	for _, start := range []struct {
		service *demo.Service
		version string
	}{{east.Service, "v1"}, {east.Service, "v2"}, {west.Service, "v3"}} {
		if _, err := start.service.Scale(start.version, 2); err != nil {
			return err
		}
	}
	for _, file := range []string{demo.FileClusters, demo.FileTunnel, demo.FileGateway} {
		if _, err := s.scenario.Write(s.config, file); err != nil {
			return err
		}
	}
	return nil
}

func (s *stage) acts() []act {
	east, west := s.scenario.Clusters[0], s.scenario.Clusters[1]
	write := func(file string) (time.Time, error) { return s.scenario.Write(s.config, file) }
	return []act{
		{
			"Scale version v1 in east from 2 Pods to 4.", "east/httpbin.yaml: two Pods more",
			func() (time.Time, error) { return east.Service.Scale("v1", 4) },
		},
		{
			"Weigh each Pod of west 25 instead of 100.", "tunnel.yaml: podWeight: 25",
			func() (time.Time, error) { west.PodWeight = 25; return write(demo.FileTunnel) },
		},
		{
			"Take only version v2 in east.", "tunnel.yaml: podSelector: {matchLabels: {version: v2}}",
			func() (time.Time, error) { east.Version = "v2"; return write(demo.FileTunnel) },
		},
		{
			"Drain west.", "clusters.yaml: trafficPolicy: Drained",
			func() (time.Time, error) { west.Drained = true; return write(demo.FileClusters) },
		},
		{
			"Put west back.", "clusters.yaml: trafficPolicy: Active",
			func() (time.Time, error) { west.Drained = false; return write(demo.FileClusters) },
		},
		{
			"Replace every Pod of west by a new one.", "west/httpbin.yaml: new names, new addresses",
			func() (time.Time, error) { return west.Service.Replace(west.Service.Pods()...) },
		},
	}
}

// play does the acts, one after another, while a client goes on sending requests.
func (s *stage) play(say printer) error {
	say.line("")
	say.line("1. Begin with two Pods of v1 and two of v2 in east, and two of v3 in west. A weight is that of each Pod.")
	if _, err := s.reached(time.Now()); err != nil {
		return err
	}
	s.background = demo.Load{URL: s.url("/"), Clients: 4, Rate: demoRate}.Start(s.ctx)
	if err := s.measure(say); err != nil {
		return err
	}
	for i, act := range s.acts() {
		say.line("")
		say.line("%d. %s", i+2, act.title)
		if err := s.perform(say, act); err != nil {
			return err
		}
	}
	if err := s.oldPodsGone(); err != nil {
		return err
	}
	tally := s.background.Stop()
	s.background = nil
	s.requests += tally.Requests
	if err := tally.Err(); err != nil {
		return fmt.Errorf("while requests went on: %w", err)
	}
	return nil
}

// perform makes one change, and shows what it leads to and what it costs.
func (s *stage) perform(say printer, act act) error {
	before := s.background.Tally().Requests
	at, err := act.do()
	if err != nil {
		return err
	}
	took, err := s.reached(at)
	if err != nil {
		return err
	}
	say.line("   %s", act.edit)
	say.line("   In the Envoy %s after the file was written.", milliseconds(took))
	if err := s.measure(say); err != nil {
		return err
	}
	tally := s.background.Tally()
	if err := tally.Err(); err != nil {
		return fmt.Errorf("while requests went on: %w", err)
	}
	say.line("")
	say.line("   Meanwhile another client sent %s requests; none failed.", thousands(tally.Requests-before))
	return nil
}

// oldPodsGone waits until those that were replaced have ended, so that it is seen that this costs no request either.
func (s *stage) oldPodsGone() error {
	ctx, cancel := context.WithTimeout(s.ctx, demoReachLimit)
	defer cancel()
	for _, cluster := range s.scenario.Clusters {
		if err := cluster.Service.Settled(ctx); err != nil {
			return err
		}
	}
	return nil
}

// reached waits until Envoy has exactly the Pods and weights of the scenario, and returns how long that took.
func (s *stage) reached(since time.Time) (time.Duration, error) {
	want := map[netip.AddrPort]uint32{}
	for _, pod := range s.scenario.Pods() {
		want[pod.Address()] = uint32(pod.Weight)
	}
	ctx, cancel := context.WithTimeout(s.ctx, demoReachLimit)
	defer cancel()
	poll := time.NewTicker(2 * time.Millisecond)
	defer poll.Stop()
	for {
		clusters, err := s.process.Admin().Clusters(ctx)
		took := time.Since(since)
		if err == nil && maps.Equal(weightsOf(clusters["tunnel/"+demo.ScenarioNamespace+"/"+demo.ScenarioTunnel]), want) {
			return took, nil
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			if s.ctx.Err() != nil {
				return 0, context.Cause(s.ctx)
			}
			return 0, fmt.Errorf("the change is not in the Envoy after %s; the control plane says why: curl http://%s/problems",
				demoReachLimit, s.adminAddress)
		}
	}
}

func weightsOf(hosts []envoy.Host) map[netip.AddrPort]uint32 {
	weights := make(map[netip.AddrPort]uint32, len(hosts))
	for _, host := range hosts {
		weights[host.Address] = host.Weight
	}
	return weights
}

// measure sends requests and compares who answered with who should have.
func (s *stage) measure(say printer) error {
	due := s.scenario.Pods()
	load := demo.Load{URL: s.url("/"), Clients: demoClients}
	if err := s.settle(load, demo.Weights(due)); err != nil {
		return err
	}
	tally := load.Run(s.ctx, demoMeasured)
	s.requests += tally.Requests
	if s.ctx.Err() != nil {
		return context.Cause(s.ctx)
	}
	if err := tally.Err(); err != nil {
		return err
	}
	shares := demo.Shares(demo.Weights(due), tally.Pods)
	say.shares(due, shares)
	return demo.CheckShares(shares)
}

// settle waits until no Pod answers any more that should not. Envoy's admin
// interface shows what its main thread has; its workers follow within their next turn.
func (s *stage) settle(load demo.Load, weights map[string]int) error {
	const batch = 50
	ctx, cancel := context.WithTimeout(s.ctx, demoReachLimit)
	defer cancel()
	for {
		tally := load.Run(s.ctx, batch)
		s.requests += tally.Requests
		if err := tally.Err(); err != nil {
			return err
		}
		strangers := 0
		for pod := range tally.Pods {
			if weights[pod] == 0 {
				strangers++
			}
		}
		if strangers == 0 {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%d Pods that should get no traffic still do after %s", strangers, demoReachLimit)
		}
	}
}

// keep waits until ctx ends, which is by Ctrl-C.
func (s *stage) keep(ctx context.Context, say printer) error {
	say.line("")
	say.line("It stays up until Ctrl-C. Things to try:")
	say.line("")
	for _, line := range []string{
		"curl " + s.url("/anything"),
		"curl -s -o /dev/null -w '%{http_code} %header{x-podway-pod}\\n' " + s.url("/status/418"),
		"${EDITOR:-vi} " + s.config + "/" + demo.FileTunnel + "    # a podWeight, a podSelector, the hostHeader",
		"curl http://" + s.adminAddress + "/problems    # what is wrong with the files, and what to do about it",
		"curl http://" + s.process.Admin().Address() + "/clusters    # what the Envoy has",
		"tail -f " + s.envoyDirectory + "/stdout.log    # its access log",
	} {
		say.line("  %s", line)
	}
	<-s.ctx.Done()
	if ctx.Err() == nil {
		return context.Cause(s.ctx) // the control plane or Envoy has ended by itself
	}
	say.line("")
	say.line("Ended. The files are still in %s", s.root)
	return nil
}
