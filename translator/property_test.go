package translator

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"sigs.k8s.io/yaml"

	"github.com/podway/podway/api"
)

// households is how many sets of objects the good configuration has. Each has
// a member cluster, a tunnel, a Gateway of its own and what they name, and a
// route that is also attached to a Gateway that all share. No household refers to another.
const households = 4

const household = `
kind: MemberCluster
metadata: {name: m-%[1]d}
spec:
  network: vpc
  source: {type: Objects, objects: {directory: m-%[1]d}}
  allowedTunnels: [{from: [edge], to: [default]}]
---
kind: Service
metadata: {name: httpbin, namespace: default, annotations: {podway.dev/cluster: m-%[1]d}}
spec: {selector: {app: httpbin}, ports: [{name: http, port: 8000}]}
---
kind: EndpointSlice
metadata: {name: httpbin, namespace: default, labels: {kubernetes.io/service-name: httpbin}, annotations: {podway.dev/cluster: m-%[1]d}}
addressType: IPv4
ports: [{name: http, port: 80}]
endpoints:
- {addresses: [192.0.2.1%[1]d], targetRef: {kind: Pod, namespace: default, name: httpbin-a}}
- {addresses: [192.0.2.2%[1]d], targetRef: {kind: Pod, namespace: default, name: httpbin-b}}
---
kind: Pod
metadata: {name: httpbin-a, namespace: default, labels: {version: v1}, annotations: {podway.dev/cluster: m-%[1]d}}
---
kind: Tunnel
metadata: {name: t-%[1]d, namespace: edge}
spec:
  network: vpc
  services:
  - {cluster: m-%[1]d, namespace: default, name: httpbin, port: 8000, podWeight: 30, podSelector: {matchLabels: {version: v1}}}
  addresses: [{address: 203.0.113.%[1]d, port: 8080, weight: 5}]
  protocol: HTTP
  hostHeader: pods-%[1]d.internal
  tls:
    hostname: pods-%[1]d.internal
    caCertificateRefs: [{name: authority, namespace: trust-%[1]d}, {name: authority-%[1]d}]
    clientCertificateRef: {name: pair-%[1]d}
  retry: {attempts: 2, perTryTimeout: 2s}
  timeout: {connect: 2s, idle: 1m}
  circuitBreaker: {maxConnections: 100}
  loadBalancer: {type: ConsistentHash, consistentHash: {cookie: {name: podway, ttl: 1h}}}
  healthCheck: {active: {path: /healthz}, passive: {consecutiveErrors: 3}}
---
kind: ConfigMap
metadata: {name: authority, namespace: trust-%[1]d}
data: {ca.crt: "@authority"}
---
kind: ConfigMap
metadata: {name: authority-%[1]d, namespace: edge}
data: {ca.crt: "@authority"}
---
kind: ReferenceGrant
metadata: {name: authority, namespace: trust-%[1]d}
spec:
  from: [{group: podway.dev, kind: Tunnel, namespace: edge}]
  to: [{group: "", kind: ConfigMap}]
---
kind: Secret
metadata: {name: pair-%[1]d, namespace: edge}
type: kubernetes.io/tls
stringData: {tls.crt: "@certificate host-%[1]d.example.com", tls.key: "@key host-%[1]d.example.com"}
---
kind: GatewayParameters
metadata: {name: p-%[1]d, namespace: edge}
spec: {network: vpc, trustedProxyHops: 1, podHeader: x-pod, accessLog: {format: Text}}
---
kind: Gateway
metadata: {name: g-%[1]d, namespace: edge}
spec:
  gatewayClassName: podway
  infrastructure: {parametersRef: {group: podway.dev, kind: GatewayParameters, name: p-%[1]d}}
  listeners:
  - {name: http, port: 80, protocol: HTTP}
  - name: https
    port: 443
    protocol: HTTPS
    hostname: host-%[1]d.example.com
    tls: {certificateRefs: [{name: pair-%[1]d}]}
---
kind: HTTPRoute
metadata: {name: r-%[1]d, namespace: edge}
spec:
  parentRefs: [{name: g-%[1]d}, {name: shared}]
  hostnames: [host-%[1]d.example.com]
  rules:
  - matches:
    - {path: {type: PathPrefix, value: /v1}, method: GET, headers: [{name: x-a, value: b}], queryParams: [{name: q, value: r}]}
    - {path: {type: RegularExpression, value: "/v[23]/.*"}}
    filters:
    - {type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-c, value: d}], remove: [x-e]}}
    - {type: URLRewrite, urlRewrite: {hostname: rewritten.example.com}}
    backendRefs: [{group: podway.dev, kind: Tunnel, name: t-%[1]d, weight: 3}]
    timeouts: {request: 10s}
  - matches: [{path: {type: Exact, value: /old}}]
    filters: [{type: RequestRedirect, requestRedirect: {hostname: new.example.com, statusCode: 301}}]
  - backendRefs: [{group: podway.dev, kind: Tunnel, name: t-%[1]d}]
---
`

const shared = `
kind: GatewayClass
metadata: {name: podway}
spec: {controllerName: podway.dev/gateway-controller}
---
kind: Gateway
metadata: {name: shared, namespace: edge}
spec:
  gatewayClassName: podway
  infrastructure: {parametersRef: {group: podway.dev, kind: GatewayParameters, name: shared}}
  listeners: [{name: http, port: 80, protocol: HTTP}]
---
kind: GatewayParameters
metadata: {name: shared, namespace: edge}
spec: {network: vpc}
`

// parsedDocs are the good configuration's documents; the household of each is its place in owners, -1 for what is shared.
func parsedDocs(t *testing.T) (docs []map[string]any, owners []int) {
	add := func(text string, owner int) {
		list, err := documents([]byte(text))
		require.NoError(t, err)
		for _, doc := range list {
			object := map[string]any{}
			require.NoError(t, yaml.Unmarshal(doc, &object))
			docs, owners = append(docs, object), append(owners, owner)
		}
	}
	for i := range households {
		add(fmt.Sprintf(household, i), i)
	}
	add(shared, -1)
	return docs, owners
}

// encoded is the documents' bytes.
func encoded(t *testing.T, objects []map[string]any) [][]byte {
	t.Helper()
	docs := make([][]byte, len(objects))
	for i := range objects {
		doc, err := yaml.Marshal(objects[i])
		require.NoError(t, err)
		docs[i] = doc
	}
	return docs
}

// parts renders a plan in pieces, each of which belongs to one household: its
// tunnel, its Gateway, its certificates, and its virtual host in the Gateway that all share.
func parts(p *picture, plan *Plan) map[int]map[string]string {
	byOwner := map[int]map[string]string{}
	put := func(owner int, what string, message proto.Message) {
		if byOwner[owner] == nil {
			byOwner[owner] = map[string]string{}
		}
		bytes, _ := proto.MarshalOptions{Deterministic: true}.Marshal(message)
		byOwner[owner][what] += string(bytes)
	}
	for _, gateway := range plan.Gateways() {
		for _, resource := range plan.Resources(gateway) {
			if routes, ok := resource.Message.(*routev3.RouteConfiguration); ok && gateway.Name == "shared" {
				for _, host := range routes.VirtualHosts {
					for _, domain := range host.Domains {
						put(householdOf(domain), gateway.String()+" "+domain, host)
					}
				}
				continue
			}
			owner := householdOf(resource.Name)
			if gateway.Name != "shared" {
				owner = householdOf(gateway.Name)
			}
			put(owner, gateway.String()+" "+resource.Type+" "+resource.Name, resource.Message)
		}
	}
	for _, name := range plan.AllTunnels() {
		put(householdOf(name.Name), "endpoints", assignmentOf(plan, p, name).Message)
	}
	return byOwner
}

// householdOf reads the number in a name such as tunnel/edge/t-3; -1 for what has none.
func householdOf(name string) int {
	for i := range households {
		for _, mark := range []string{"t-%d", "g-%d", "pair-%d", "authority-%d", "trust-%d", "host-%d."} {
			if strings.Contains(name+"/", fmt.Sprintf(mark, i)) {
				return i
			}
		}
	}
	return -1
}

// TestOneBrokenObjectCostsNoOtherAnything breaks one object of a good
// configuration in some way, and looks at all the others.
func TestOneBrokenObjectCostsNoOtherAnything(t *testing.T) {
	docs, owners := parsedDocs(t)
	bytes := encoded(t, docs)
	good, err := newPicture(bytes)
	require.NoError(t, err)
	require.Empty(t, good.cfg.Problems)
	plan := Translate(good.cfg, nil)
	require.Empty(t, plan.Problems())
	want := parts(good, plan)
	for i := range households {
		require.Len(t, want[i], len(want[0]))
	}
	random := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		victim := random.IntN(slices.Index(owners, -1))
		broken, what := mutate(random, docs[victim])
		after := slices.Delete(slices.Clone(bytes), victim, victim+1)
		if broken != nil {
			// What does not decode is left out, as a watcher does.
			doc := encoded(t, []map[string]any{broken})
			if _, err := newPicture(doc); err == nil {
				after = append(after, doc...)
			}
		}
		p, err := newPicture(after)
		require.NoError(t, err)
		for _, prev := range []*Plan{nil, plan} {
			made := Translate(p.cfg, prev)
			got := parts(p, made)
			for i := range households {
				if i == owners[victim] {
					continue
				}
				for _, part := range slices.Sorted(maps.Keys(want[i])) {
					require.Equal(t, want[i][part], got[i][part], "%s changed with %s", part, what)
				}
			}
			for _, problem := range made.Problems() {
				other := householdOf(problem.Object.String())
				require.True(t, other == -1 || other == owners[victim], "%s: %s", what, problem)
			}
			requireValid(t, p, made)
		}
	}
}

func requireValid(t testing.TB, p *picture, plan *Plan) {
	t.Helper()
	for _, resource := range withEndpoints(p, plan) {
		if err := validateDeep(resource.Message); err != nil {
			t.Fatalf("%s %s: %v", resource.Type, resource.Name, err)
		}
	}
	for _, problem := range plan.Problems() {
		if problem.Code == "" || problem.Severity == "" || problem.Object == (api.ObjectRef{}) || problem.Message == "" || problem.Remedy == "" {
			t.Fatalf("a Problem lacks something: %+v", problem)
		}
	}
}

// mutate breaks an object at a random place below its metadata, or takes it
// away (nil), and says what it did. The object itself is not changed.
func mutate(random *rand.Rand, object map[string]any) (map[string]any, string) {
	name := fmt.Sprint(object["kind"], " ", object["metadata"].(map[string]any)["name"])
	if random.IntN(20) == 0 {
		return nil, name + ": taken away"
	}
	copied := deepCopy(object).(map[string]any)
	var places []place
	for _, key := range slices.Sorted(maps.Keys(copied)) {
		if key != "kind" && key != "metadata" {
			places = append(places, place{copied, key, 0, key})
			places = placesIn(copied[key], key, places)
		}
	}
	if len(places) == 0 {
		return nil, name + ": taken away"
	}
	at := places[random.IntN(len(places))]
	return copied, name + " " + at.path + ": " + at.mutate(random)
}

// place is an entry of a map or of a list.
type place struct {
	in   any
	key  string
	i    int
	path string
}

func placesIn(value any, path string, places []place) []place {
	switch value := value.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			places = append(places, place{value, key, 0, path + "." + key})
			places = placesIn(value[key], path+"."+key, places)
		}
	case []any:
		for i := range value {
			at := fmt.Sprintf("%s[%d]", path, i)
			places = append(places, place{value, "", i, at})
			places = placesIn(value[i], at, places)
		}
	}
	return places
}

var nonsense = []any{
	"", "nonsense", "*", "@certificate a.example.com", "9999h", "-1s", "0s", "::1", "/", strings.Repeat("x", 300), "\x00", "ü/..//%", "((",
	float64(-1), float64(0), float64(70000), float64(1e12), true, nil,
	[]any{},
	map[string]any{},
	[]any{"a", "a"},
	map[string]any{"a": "b"},
}

func (p place) mutate(random *rand.Rand) string {
	value := nonsense[random.IntN(len(nonsense))]
	switch in := p.in.(type) {
	case map[string]any:
		if random.IntN(3) == 0 {
			delete(in, p.key)
			return "taken away"
		}
		if list, ok := in[p.key].([]any); ok && random.IntN(2) == 0 && len(list) > 0 {
			in[p.key] = append(list, list[0])
			return "first entry repeated"
		}
		in[p.key] = value
	case []any:
		in[p.i] = value
	}
	return fmt.Sprintf("set to %v", value)
}

func deepCopy(value any) any {
	switch value := value.(type) {
	case map[string]any:
		copied := make(map[string]any, len(value))
		for key := range value {
			copied[key] = deepCopy(value[key])
		}
		return copied
	case []any:
		copied := make([]any, len(value))
		for i := range value {
			copied[i] = deepCopy(value[i])
		}
		return copied
	}
	return value
}
