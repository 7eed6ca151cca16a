package translator

import (
	"bufio"
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/podway/podway/api"
	"github.com/podway/podway/envoy"
)

var update = flag.Bool("update", false, "write testdata/out anew")

// outputs are the parts of a golden, in the order in which Envoy asks for them.
var outputs = []struct{ file, typeURL string }{
	{"clusters", "type.googleapis.com/envoy.config.cluster.v3.Cluster"},
	{"endpoints", "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"},
	{"listeners", "type.googleapis.com/envoy.config.listener.v3.Listener"},
	{"routes", "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"},
	{"secrets", "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"},
}

// TestGolden translates each testdata/in/NAME.yaml and compares with
// testdata/out/NAME.*.yaml; a file that would be empty is not there. With
// -update it writes them: read the diff.
func TestGolden(t *testing.T) {
	for name, data := range goldens(t) {
		t.Run(name, func(t *testing.T) {
			p := mustPicture(t, data)
			plan := Translate(p.cfg, nil)
			got := render(t, p, plan)
			for _, output := range outputs {
				golden(t, name, output.file, got[output.file])
			}
			golden(t, name, "problems", got["problems"])
		})
	}
}

// TestShuffledDocumentsGiveTheSameBytes and so does translating again, with or without a memory.
func TestShuffledDocumentsGiveTheSameBytes(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for name, data := range goldens(t) {
		t.Run(name, func(t *testing.T) {
			docs, err := documents(data)
			if err != nil {
				t.Fatal(err)
			}
			var first map[string]string
			var prev *Plan
			for range 5 {
				p, err := newPicture(docs)
				if err != nil {
					t.Fatal(err)
				}
				plan := Translate(p.cfg, prev)
				got := render(t, p, plan)
				if first == nil {
					first = got
				}
				for _, file := range slices.Sorted(maps.Keys(got)) {
					if got[file] != first[file] {
						t.Fatalf("%s: the same documents in another order gave\n%s\ninstead of\n%s", file, got[file], first[file])
					}
				}
				prev = plan
				random.Shuffle(len(docs), func(i, j int) { docs[i], docs[j] = docs[j], docs[i] })
			}
		})
	}
}

// TestUnchangedInputsKeepTheirResources also where every object was decoded anew.
func TestUnchangedInputsKeepTheirResources(t *testing.T) {
	for name, data := range goldens(t) {
		t.Run(name, func(t *testing.T) {
			first, second := mustPicture(t, data), mustPicture(t, data)
			one := Translate(first.cfg, nil)
			for _, plan := range []*Plan{Translate(first.cfg, one), Translate(second.cfg, one)} {
				before := map[api.ResourceKey]*api.Resource{}
				for _, resource := range allResources(one) {
					before[resource.ResourceKey] = resource
				}
				for _, resource := range allResources(plan) {
					if before[resource.ResourceKey] != resource {
						t.Errorf("%s %s was made again, though its inputs are equal", resource.Type, resource.Name)
					}
				}
			}
		})
	}
}

// TestEnvoyAcceptsGoldens has a real Envoy validate each golden as a static configuration.
func TestEnvoyAcceptsGoldens(t *testing.T) {
	path, err := envoy.Find()
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range goldens(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := mustPicture(t, data)
			plan := Translate(p.cfg, nil)
			config, err := envoy.Static(envoy.BootstrapConfig{Gateway: types.NamespacedName{Namespace: "edge", Name: "test"}, NodeID: "test"}, withEndpoints(p, plan))
			if err != nil {
				t.Fatal(err)
			}
			if err := envoy.Validate(context.Background(), path, config); err != nil {
				t.Error(err)
			}
		})
	}
}

// goldens are the inputs by name.
func goldens(tb testing.TB) map[string][]byte {
	tb.Helper()
	files, err := filepath.Glob("testdata/in/*.yaml")
	if err != nil || len(files) == 0 {
		tb.Fatalf("no testdata/in/*.yaml: %v", err)
	}
	inputs := map[string][]byte{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		inputs[strings.TrimSuffix(filepath.Base(file), ".yaml")] = data
	}
	return inputs
}

// golden compares with a file, or writes it.
func golden(t *testing.T, name, output, got string) {
	t.Helper()
	file := filepath.Join("testdata", "out", name+"."+output+".yaml")
	if *update {
		err := os.WriteFile(file, []byte(got), 0o644)
		if got == "" {
			err = os.RemoveAll(file)
		}
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil && (got != "" || !os.IsNotExist(err)) {
		t.Errorf("%v; run `go test ./translator -update` and read the diff", err)
		return
	}
	if string(want) != got {
		t.Errorf("%s differs; run `go test ./translator -update` and read the diff\n%s", file, firstDifference(string(want), got))
	}
}

func firstDifference(want, got string) string {
	wants, gots := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(wants), len(gots)) {
		if wants[i] != gots[i] {
			return fmt.Sprintf("line %d:\n-%s\n+%s", i+1, wants[i], gots[i])
		}
	}
	return fmt.Sprintf("%d lines instead of %d", len(gots), len(wants))
}

// render is all of a plan as YAML, by output. Everything in it must be valid.
func render(t *testing.T, p *picture, plan *Plan) map[string]string {
	t.Helper()
	text := map[string]string{}
	for _, resource := range withEndpoints(p, plan) {
		if err := validateDeep(resource.Message); err != nil {
			t.Errorf("%s %s is not valid: %v", resource.Type, resource.Name, err)
		}
		for _, output := range outputs {
			if output.typeURL == resource.Type {
				text[output.file] += protoYAML(t, resource)
			}
		}
	}
	problems := slices.Clone(p.cfg.Problems)
	problems = append(problems, plan.Problems()...)
	for _, name := range plan.AllTunnels() {
		problems = append(problems, plan.Endpoints(name, p.live).Problems...)
	}
	problems = append(problems, plan.ClashProblems(plan.Clashes(p.live, nil))...)
	if problems = api.SortProblems(problems); len(problems) > 0 {
		data, err := yaml.Marshal(problems)
		if err != nil {
			t.Fatal(err)
		}
		text["problems"] = string(data)
	}
	return text
}

// allResources are those of all Gateways and of all tunnels, whether a Gateway uses them or not, each once, sorted.
func allResources(plan *Plan) []*api.Resource {
	var all []*api.Resource
	for _, gateway := range plan.Gateways() {
		all = append(all, plan.Resources(gateway)...)
	}
	for _, name := range plan.AllTunnels() {
		all = append(all, plan.tunnels[name].cluster)
		all = append(all, plan.tunnels[name].secrets...)
	}
	slices.SortStableFunc(all, func(a, b *api.Resource) int {
		return a.Compare(b.ResourceKey)
	})
	return slices.CompactFunc(all, func(a, b *api.Resource) bool { return a.ResourceKey == b.ResourceKey })
}

func withEndpoints(p *picture, plan *Plan) []*api.Resource {
	all := allResources(plan)
	for _, name := range plan.AllTunnels() {
		all = append(all, assignmentOf(plan, p, name))
	}
	return all
}

// assignmentOf is a tunnel's ClusterLoadAssignment, decoded.
func assignmentOf(plan *Plan, p *picture, tunnel types.NamespacedName) *api.Resource {
	resource, err := plan.Endpoints(tunnel, p.live).Resource.Decoded()
	if err != nil {
		panic(err) // podway encoded it
	}
	return resource
}

// protoYAML is one YAML document: the resource, and what it needs. Private keys are left out.
func protoYAML(t *testing.T, resource *api.Resource) string {
	t.Helper()
	message := proto.Clone(resource.Message)
	if secret, ok := message.(*tlsv3.Secret); ok && secret.GetTlsCertificate() != nil {
		secret.GetTlsCertificate().PrivateKey = nil
	}
	data, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(message)
	if err != nil {
		t.Fatal(err)
	}
	body, err := yaml.JSONToYAML(data)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("---\n")
	for _, need := range resource.Needs {
		fmt.Fprintf(&b, "# needs %s %s\n", need.Type[strings.LastIndexByte(need.Type, '.')+1:], need.Name)
	}
	if resource.Partial {
		b.WriteString("# partial\n")
	}
	b.Write(body)
	return b.String()
}

func newLineReader(data []byte) *bufio.Reader { return bufio.NewReader(bytes.NewReader(data)) }

// deterministic signs without randomness.
type deterministic struct{ key *ecdsa.PrivateKey }

func (d deterministic) Public() crypto.PublicKey { return d.key.Public() }

func (d deterministic) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return d.key.Sign(nil, digest, opts)
}
