package controlplane

import (
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	resourcev3 "github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"k8s.io/apimachinery/pkg/types"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/pods"
	"github.com/podway/podway/test/locked"
	"github.com/podway/podway/watcher"
	"github.com/podway/podway/watcher/brake"
	"github.com/podway/podway/watcher/files"
	"github.com/podway/podway/xds"
)

// recorder is a publisher that remembers.
type recorder struct {
	views     []map[string][]*api.Resource
	endpoints [][]*api.Resource
}

func (r *recorder) Prepare([]*api.Resource) {}

func (r *recorder) SetViews(views map[string][]*api.Resource) { r.views = append(r.views, views) }
func (r *recorder) SetEndpoints(changed []*api.Resource, _ map[string]xds.Seen) {
	r.endpoints = append(r.endpoints, changed)
}

// pipelineTo is a pipeline that hands on to a publisher, with a brake of its own.
func pipelineTo(server publisher, board *problemBoard, log *slog.Logger) *pipeline {
	return newPipeline(pipelineConfig{server: server, board: board, rejected: newRejections(board), brake: brake.New(brake.Config{}), log: log})
}

// bench is a pipeline with the good configuration of testdata/base.
type bench struct {
	*testing.T
	pipeline *pipeline
	board    *problemBoard
	sent     *recorder
	log      *locked.Buffer
	state    *files.State
}

func newBench(t *testing.T) *bench {
	t.Helper()
	state, err := files.Load([]string{"../testdata/base"}, files.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{T: t, sent: &recorder{}, log: &locked.Buffer{}, state: state}
	log := slog.New(slog.NewTextHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	b.board = newProblemBoard(log)
	b.pipeline = pipelineTo(b.sent, b.board, log)
	b.pipeline.apply(t.Context(), watcher.Batch{Config: state.Config}, b.live)
	return b
}

func (b *bench) live(key pods.ServiceKey) *pods.Set { return b.state.Pods[key] }

// setPods replaces the Pods of a Service and tells the pipeline.
func (b *bench) setPods(key pods.ServiceKey, change func(*pods.Set)) {
	b.Helper()
	set := *b.state.Pods[key]
	set.Pods = append([]pods.Pod(nil), set.Pods...)
	change(&set)
	b.state.Pods[key] = &set
	b.pipeline.apply(b.Context(), watcher.Batch{Changed: []pods.ServiceKey{key}}, b.live)
}

func (b *bench) resource(view, kind, name string) *api.Resource {
	b.Helper()
	for _, resource := range b.sent.views[len(b.sent.views)-1][view] {
		if resource.Type == kind && resource.Name == name {
			return resource
		}
	}
	b.Fatalf("the view %s has no %s %s", view, kind, name)
	return nil
}

var eastHello = pods.ServiceKey{Cluster: "east", Namespace: "default", Name: "hello"}

func TestFirstConfigurationServesEverything(t *testing.T) {
	b := newBench(t)
	for _, kind := range []string{resourcev3.ClusterType, resourcev3.EndpointType} {
		b.resource("edge/front", kind, "tunnel/edge/hello")
		b.resource("edge/front", kind, "tunnel/edge/plain")
	}
	b.resource("edge/front", resourcev3.ListenerType, "gateway/edge/front/8080")
	b.resource("edge/front", resourcev3.RouteType, "gateway/edge/front/8080")
	state := b.pipeline.state.Load()
	if state.Generation != 1 || state.Gateways != 1 || state.Tunnels != 2 || state.Endpoints != 4 || len(state.Unsynced) != 0 {
		t.Errorf("state is %+v", state)
	}
	if problems := b.board.all(); len(problems) != 0 {
		t.Errorf("problems: %v", problems)
	}
}

// TestNoGatewayIsToldOnce has a directory that is empty, which is most likely not the one that was meant.
func TestNoGatewayIsToldOnce(t *testing.T) {
	b := newBench(t)
	const told = `level=WARN msg="The configuration has no Gateway`
	if strings.Contains(b.log.String(), told) {
		t.Errorf("told of a Gateway that is there:\n%s", b.log)
	}
	empty, err := files.Load([]string{t.TempDir()}, files.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		b.pipeline.apply(t.Context(), watcher.Batch{Config: empty.Config}, b.live)
	}
	if count := strings.Count(b.log.String(), told); count != 1 {
		t.Errorf("told %d times, not once:\n%s", count, b.log)
	}
}

func TestChangedPodTouchesOnlyItsTunnels(t *testing.T) {
	b := newBench(t)
	b.setPods(eastHello, func(set *pods.Set) { set.Pods = set.Pods[:1] })
	if len(b.sent.views) != 1 || len(b.sent.endpoints) != 1 {
		t.Fatalf("sent %d times all and %d times endpoints", len(b.sent.views), len(b.sent.endpoints))
	}
	changed := b.sent.endpoints[0]
	if len(changed) != 1 || changed[0].Name != "tunnel/edge/hello" || b.pipeline.endpoints[types.NamespacedName{Namespace: "edge", Name: "hello"}].Count != 2 {
		t.Errorf("changed: %v", changed)
	}
	if state := b.pipeline.state.Load(); state.Endpoints != 3 || state.Generation != 1 {
		t.Errorf("state is %+v", state)
	}
}

func TestPodsThatAreTheSameSendNothing(t *testing.T) {
	b := newBench(t)
	b.setPods(eastHello, func(set *pods.Set) { set.Pods[0].Place = pods.PlaceOf("another-node", "") })
	if len(b.sent.endpoints) != 0 {
		t.Errorf("sent %v", b.sent.endpoints)
	}
}

func TestSameConfigurationKeepsEveryPointer(t *testing.T) {
	b := newBench(t)
	again, err := files.Load([]string{"../testdata/base"}, files.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b.pipeline.apply(t.Context(), watcher.Batch{Config: again.Config}, b.live)
	before, after := b.sent.views[0]["edge/front"], b.sent.views[1]["edge/front"]
	if len(before) != len(after) {
		t.Fatalf("%d resources became %d", len(before), len(after))
	}
	for i := range before {
		if before[i] != after[i] {
			t.Errorf("%s %s is another pointer", before[i].Type, before[i].Name)
		}
	}
}

func TestPodsBeforeTheFirstConfigurationWait(t *testing.T) {
	b := newBench(t)
	fresh := pipelineTo(&recorder{}, b.board, b.pipeline.log)
	fresh.apply(t.Context(), watcher.Batch{Changed: []pods.ServiceKey{eastHello}}, b.live)
	if fresh.state.Load() != nil {
		t.Error("a state was published without a configuration")
	}
}

func TestProblemsOfPodsComeAndGoAndAreLoggedOnce(t *testing.T) {
	b := newBench(t)
	westHello := pods.ServiceKey{Cluster: "west", Namespace: "default", Name: "hello"}
	east := b.state.Pods[eastHello].Pods
	b.setPods(westHello, func(set *pods.Set) { set.Pods = nil })
	b.setPods(eastHello, func(set *pods.Set) { set.Pods = nil })
	problems := b.board.all()
	if len(problems) == 0 {
		t.Fatal("a tunnel without Pods is no problem")
	}
	for _, problem := range problems {
		if problem.Object.Name != "hello" || problem.File != "../testdata/base/tunnel.yaml" || problem.Line == 0 || problem.Remedy == "" {
			t.Errorf("problem is %v", problem)
		}
	}
	b.setPods(eastHello, func(set *pods.Set) { set.Pods = nil })
	if appeared := strings.Count(b.log.String(), `msg="Problem appeared"`); appeared < len(problems) || strings.Contains(b.log.String(), "Problem resolved") && appeared == len(problems) {
		t.Errorf("%d problems, %d lines:\n%s", len(problems), appeared, b.log)
	}
	resolvedBefore := strings.Count(b.log.String(), "Problem resolved")
	b.setPods(eastHello, func(set *pods.Set) { set.Pods = east })
	if strings.Count(b.log.String(), "Problem resolved") == resolvedBefore {
		t.Errorf("nothing was resolved:\n%s", b.log)
	}
}

func TestRejectionLastsUntilTheResourceChanges(t *testing.T) {
	b := newBench(t)
	resource := b.resource("edge/front", resourcev3.EndpointType, "tunnel/edge/hello")
	rejected := b.pipeline.rejected
	rejected.Add(api.Rejection{View: "edge/front", Key: resource.ResourceKey, Message: "no good", Owners: []api.Owner{{
		ObjectRef: api.ObjectRef{Group: "podway.dev", Kind: "Tunnel", Namespace: "edge", Name: "hello"}, Generation: 7,
	}}})
	problems := b.board.all()
	if len(problems) != 1 {
		t.Fatalf("problems: %v", problems)
	}
	want := "error RejectedByEnvoy: Tunnel edge/hello: an Envoy of the Gateway edge/front rejects tunnel/edge/hello: no good; change what"
	if got := problems[0]; !strings.Contains(got.String(), want) || got.Generation != 7 || got.File != "../testdata/base/tunnel.yaml" {
		t.Errorf("problem is %+v", got)
	}
	rejected.Add(api.Rejection{View: "edge/other", Key: resource.ResourceKey})
	b.setPods(eastHello, func(set *pods.Set) { set.Pods[0].Address = pods.AddressOf(netip.MustParseAddr("10.1.0.99")) })
	if problems := b.board.all(); len(problems) != 0 {
		t.Errorf("problems: %v", problems)
	}
}

func TestViewsHaveEveryGatewaysEndpoints(t *testing.T) {
	b := newBench(t)
	views := b.pipeline.plan.Served(b.pipeline.endpoints)
	tunnels := b.pipeline.plan.Tunnels(types.NamespacedName{Namespace: "edge", Name: "front"})
	count := 0
	for _, resource := range views["edge/front"] {
		if resource.Type == resourcev3.EndpointType {
			count++
		}
	}
	if len(tunnels) != 2 || count != len(tunnels) {
		t.Errorf("%d tunnels, %d ClusterLoadAssignments", len(tunnels), count)
	}
}

func TestACertificateThatExpiresMeanwhileIsTold(t *testing.T) {
	b := newBench(t)
	state, err := files.Load([]string{"../../../docs/examples"}, files.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b.state = state
	b.pipeline.apply(t.Context(), watcher.Batch{Config: state.Config}, b.live)
	states := len(b.sent.views)
	b.checkDates(state.Config.Now)
	if len(b.sent.views) != states {
		t.Error("dates that say nothing new made a new state")
	}
	expired := func(problem api.Problem) bool { return problem.Code == "CertificateExpired" }
	b.checkDates(state.Config.Now.AddDate(1000, 0, 0))
	if !slices.ContainsFunc(b.board.all(), expired) {
		t.Fatalf("no CertificateExpired among %v", b.board.all())
	}
	fact := *state.Config // as it was read then, with what was learned of a cluster since
	b.pipeline.take(t.Context(), watcher.Batch{Config: &fact}, b.live)
	b.pipeline.finish(b.Context(), <-b.pipeline.translated, b.live)
	if !slices.ContainsFunc(b.board.all(), expired) {
		t.Error("what was learned of a cluster brought back the time at which the configuration was read")
	}
	b.pipeline.apply(t.Context(), watcher.Batch{Config: state.Config}, b.live)
	if !slices.ContainsFunc(b.board.all(), expired) {
		t.Error("the configuration that was read brought back its time")
	}
}

func (b *bench) checkDates(now time.Time) {
	b.pipeline.checkDates(now)
	b.pipeline.finish(b.Context(), <-b.pipeline.translated, b.live)
}
