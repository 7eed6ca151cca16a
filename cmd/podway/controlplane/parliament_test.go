package controlplane

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/stretchr/testify/require"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/watcher"
	"github.com/podway/podway/watcher/brake"
	"github.com/podway/podway/watcher/files"
	"github.com/podway/podway/xds"
)

// deputy is an Envoy on a connection to the real server. It rejects what has one of some words in it.
type deputy struct {
	node    string
	rejects []string
	leave   func()
	// has is the bytes of each resource, by type and name. It belongs to the deputy's goroutine, and to the test while all wait.
	has map[string]string
}

// parliament is a pipeline and a server in a bubble, and deputies.
type parliament struct {
	*testing.T
	rand     *rand.Rand
	cfg      *snapshot.Config
	board    *problemBoard
	pipeline *pipeline
	server   *xds.Server
	lanes    *watcher.Lanes
	client   discoveryv3.AggregatedDiscoveryServiceClient
	deputies []*deputy
	// says is what each route says now.
	says map[string]string
}

// TestWhoRejectsNothingOfAnObjectHasItAtLast has Envoys come and go, and reject what they please, while routes change.
func TestWhoRejectsNothingOfAnObjectHasItAtLast(t *testing.T) {
	state, err := files.Load([]string{"../testdata/base"}, files.Options{})
	require.NoError(t, err)
	for seed := range uint64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &parliament{T: t, cfg: state.Config, rand: rand.New(rand.NewPCG(seed, 1)), says: map[string]string{}}
				defer p.open(state)()
				p.sit()
			})
		})
	}
}

// open starts all.
func (p *parliament) open(state *files.State) (end func()) {
	log := slog.New(slog.DiscardHandler)
	p.board = newProblemBoard(log)
	rejected := newRejections(p.board)
	p.server = xds.New(xds.Config{Logger: log, OnRejected: rejected.Add})
	p.pipeline = newPipeline(pipelineConfig{server: p.server, board: p.board, rejected: rejected, brake: brake.New(brake.Config{}), log: log})
	p.lanes = watcher.NewLanes(p.pipeline.brake.Observe)
	p.lanes.Put(state.Config, state.Pods, nil)
	ctx, cancel := context.WithCancel(context.Background())
	first, memory := make(chan struct{}), bufconn.Listen(1<<20)
	var running sync.WaitGroup
	running.Go(func() { p.pipeline.run(ctx, p.lanes, first) })
	<-first
	running.Go(func() { _ = p.server.Run(ctx, memory) })
	conn, err := grpc.NewClient("passthrough:///memory", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return memory.DialContext(ctx) }))
	require.NoError(p, err)
	p.client = discoveryv3.NewAggregatedDiscoveryServiceClient(conn)
	return func() {
		_ = conn.Close()
		cancel()
		running.Wait()
	}
}

func (p *parliament) sit() {
	for i := range 5 + p.rand.IntN(10) {
		d := &deputy{node: fmt.Sprintf("d%02d", i), has: map[string]string{}}
		for _, word := range []string{"bad1", "bad2"} {
			if p.rand.IntN(4) == 0 {
				d.rejects = append(d.rejects, word)
			}
		}
		p.deputies = append(p.deputies, d)
		p.join(d)
	}
	p.amend(true)
	for range 40 {
		<-time.After(time.Duration(p.rand.IntN(3000)) * time.Millisecond)
		if d := p.deputies[p.rand.IntN(len(p.deputies))]; p.rand.IntN(3) == 0 && len(d.rejects) == 0 {
			d.leave()
			<-time.After(time.Second)
			d.has = map[string]string{}
			p.join(d)
		} else {
			p.amend(false)
		}
	}
	p.check()
	p.amend(true)
	p.check()
	require.Empty(p, p.board.all())
	require.Empty(p, p.pipeline.cfg.Minorities)
	require.Empty(p, p.pipeline.cfg.Holds)
	before := p.pipeline.state.Load().Generation
	require.Less(p, before, uint64(1000))
	<-time.After(time.Hour)
	require.Equal(p, before, p.pipeline.state.Load().Generation)
}

// amend has all routes say something good, or a few of them something that is good to all, or bad to some.
func (p *parliament) amend(allGood bool) {
	later := *p.cfg
	later.HTTPRoutes = maps.Clone(later.HTTPRoutes)
	for _, route := range []string{"a", "b", "c", "d"} {
		word := "good"
		if !allGood {
			if p.rand.IntN(3) > 0 {
				continue
			}
			word = []string{"good", "bad1", "bad2"}[p.rand.IntN(3)]
		}
		p.says[route] = fmt.Sprintf("%s-%d", word, p.rand.Int())
		of := later.HTTPRoutes[types.NamespacedName{Namespace: "edge", Name: "hello"}].DeepCopy()
		of.Name, of.Spec.Rules[0].Matches[0].Path.Value = route, new("/"+p.says[route])
		later.HTTPRoutes[types.NamespacedName{Namespace: "edge", Name: route}] = of
	}
	p.cfg = &later
	p.lanes.Put(&later, nil, nil)
}

// check: what nobody rejects, all have, and a Problem is of a route that the Envoys which it names do reject.
func (p *parliament) check() {
	p.Helper()
	<-time.After(time.Minute)
	synctest.Wait()
	for route, says := range p.says {
		hated := slices.ContainsFunc(p.deputies, func(d *deputy) bool { return d.dislikes(says) })
		for _, d := range p.deputies {
			require.True(p, hated || strings.Contains(d.has["gateway/edge/front/8080"], says), "%s lacks %s", d.node, route)
		}
	}
	for _, problem := range p.board.all() {
		require.True(p, slices.ContainsFunc(p.deputies, func(d *deputy) bool {
			return strings.Contains(problem.Message, d.node) && d.dislikes(p.says[problem.Object.Name])
		}), problem.String())
	}
}

func (d *deputy) dislikes(text string) bool {
	return slices.ContainsFunc(d.rejects, func(word string) bool { return strings.Contains(text, word) })
}

// join connects a deputy.
func (p *parliament) join(d *deputy) {
	ctx, cancel := context.WithCancel(p.Context())
	stream, err := p.client.DeltaAggregatedResources(ctx)
	require.NoError(p, err)
	for _, of := range []string{resource.ClusterType, resource.EndpointType, resource.ListenerType, resource.RouteType} {
		subscribe := map[string][]string{
			resource.EndpointType: {"tunnel/edge/hello", "tunnel/edge/plain"}, resource.RouteType: {"gateway/edge/front/8080"},
		}[of]
		require.NoError(p, stream.Send(&discoveryv3.DeltaDiscoveryRequest{
			Node: &corev3.Node{Id: d.node, Cluster: "edge/front"}, TypeUrl: of, ResourceNamesSubscribe: subscribe,
		}))
	}
	done := make(chan struct{})
	d.leave = func() {
		cancel()
		<-done
	}
	go func() {
		defer close(done)
		for {
			response, err := stream.Recv()
			if err != nil {
				return
			}
			<-time.After(time.Duration(rand.IntN(20)) * time.Millisecond)
			answer := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: response.GetTypeUrl(), ResponseNonce: response.GetNonce()}
			for _, r := range response.GetResources() {
				if value := string(r.GetResource().GetValue()); d.dislikes(value) {
					answer.ErrorDetail = &rpcstatus.Status{Code: 3, Message: r.GetName() + ": no good"}
				} else {
					d.has[r.GetName()] = value
				}
			}
			if stream.Send(answer) != nil {
				return
			}
		}
	}()
}
