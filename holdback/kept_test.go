package holdback

import (
	"bytes"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/api/v1alpha1"
	"github.com/podway/podway/watcher/files"
	"github.com/podway/podway/watcher/memory"
)

// restart is another podway, which has what the one before it kept, and Envoys of which it knows nothing. It returns what it logs and how often it was
// rejected so far.
func (c *court) restart(alter func([]api.Holdback), change func(*snapshot.Config)) (log *bytes.Buffer, rejections *int) {
	c.Helper()
	directory := c.TempDir()
	store, err := memory.Open(directory)
	require.NoError(c, err)
	defer func() { require.NoError(c, store.Close()) }()
	require.NoError(c, store.SaveHoldbacks(c.pipeline.back.Remember()))
	remembered, err := store.LoadHoldbacks()
	require.NoError(c, err)
	if alter != nil {
		alter(remembered)
	}
	c.jury.forget()
	c.jury.minorities, c.jury.view = nil, map[string]string{}
	for node := range c.jury.refused {
		clear(c.jury.refused[node])
	}
	log, rejections = &bytes.Buffer{}, new(int)
	c.board = &board{}
	rejected := newRejections(c.board)
	c.jury.tell = func(rejection api.Rejection) { *rejections++; rejected.Add(rejection) }
	c.pipeline = newPipeline(c.jury, c.board, rejected, slog.New(slog.NewTextHandler(log, nil)))
	c.pipeline.back.Restore(remembered)
	c.change(change)
	return log, rejections
}

func nothing(*snapshot.Config) {}

func TestARestartHoldsBackStillWhatWasRejected(t *testing.T) {
	c := newCourt(t, "a/a1", "b/b1", "c/c1")
	c.change(func(cfg *snapshot.Config) { c.route(cfg, "a", "/bad"); c.route(cfg, "b", "/b2") })
	before, problem, told := c.jury.served, c.board.all()[0].String(), c.jury.back
	told[front][0].At = told[front][0].At.UTC().Round(0)
	log, rejections := c.restart(nil, nothing)
	require.Equal(t, map[string]string{"a": "/a1", "b": "/b2", "c": "/c1"}, c.paths("one"))
	require.Zero(t, *rejections, "what is rejected is not sent again")
	require.Equal(t, []string{problem}, []string{c.board.all()[0].String()})
	require.Equal(t, told, c.jury.back)
	require.Contains(t, log.String(), `msg="Held back still what an Envoy rejected before the restart" gateway=edge/front object="HTTPRoute edge/a"`)
	for key, resource := range c.jury.served {
		require.True(t, resource.Equal(before[key]), "%s %s", key.Type, key.Name)
	}
	c.jury.add("two", isBad)
	c.change(func(cfg *snapshot.Config) { c.route(cfg, "c", "/c2") })
	require.Equal(t, map[string]string{"a": "/a1", "b": "/b2", "c": "/c2"}, c.paths("two"), "an Envoy that is new has the accepted form too")
	c.restart(nil, nothing)
	require.Equal(t, []string{problem}, []string{c.board.all()[0].String()}, "after a second restart too")
	c.change(func(cfg *snapshot.Config) { c.route(cfg, "a", "/a2") })
	require.Equal(t, map[string]string{"a": "/a2", "b": "/b2", "c": "/c2"}, c.paths("one"))
	require.Empty(t, c.board.all())
	require.Empty(t, c.pipeline.back.Remember())
}

func TestWhatChangesWhilePodwayIsDownIsTriedAndItsAcceptedFormStandsBy(t *testing.T) {
	for path, want := range map[string]string{"/worse-bad": "/a1", "/a2": "/a2"} {
		t.Run(path, func(t *testing.T) {
			c := newCourt(t, "a/a1", "b/b1")
			c.change(func(cfg *snapshot.Config) { c.route(cfg, "a", "/bad") })
			log, _ := c.restart(nil, func(cfg *snapshot.Config) { c.route(cfg, "a", path); c.route(cfg, "b", "/b2") })
			require.Equal(t, map[string]string{"a": want, "b": "/b2"}, c.paths("one"))
			require.Contains(t, log.String(), `msg="Tried again what an Envoy rejected before the restart" gateway=edge/front object="HTTPRoute edge/a"`)
			require.Len(t, c.board.all(), strings.Count(path, "bad"))
		})
	}
}

// TestAnotherPodwayTriesAgain because it may make something else of the same object.
func TestAnotherPodwayTriesAgain(t *testing.T) {
	for name, takes := range map[string]bool{"taken": true, "rejected": false} {
		t.Run(name, func(t *testing.T) {
			c := newCourt(t, "a/a1", "b/b1")
			c.change(func(cfg *snapshot.Config) { c.route(cfg, "a", "/bad") })
			if takes {
				c.jury.rejects["one"] = func(*api.Resource) bool { return false }
			}
			c.restart(func(all []api.Holdback) { all[0].Podway = "older" }, nothing)
			if takes {
				require.Equal(t, map[string]string{"a": "/bad", "b": "/b1"}, c.paths("one"))
				require.Empty(t, c.board.all())
				return
			}
			require.Equal(t, map[string]string{"a": "/a1", "b": "/b1"}, c.paths("one"))
			require.Contains(t, c.board.all()[0].Message, "its last accepted form stays in force")
		})
	}
}

func TestWhatHasGoneWhilePodwayWasDownIsForgotten(t *testing.T) {
	for name, change := range map[string]func(*snapshot.Config){
		"the object":  func(cfg *snapshot.Config) { delete(cfg.HTTPRoutes, named("a")) },
		"the Gateway": func(cfg *snapshot.Config) { delete(cfg.Gateways, named("front")) },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCourt(t, "a/a1")
			c.change(func(cfg *snapshot.Config) { c.route(cfg, "a", "/bad") })
			c.restart(nil, change)
			require.Empty(t, c.pipeline.back.Remember())
			require.Empty(t, c.accused())
		})
	}
}

// TestWhatWasNeverAcceptedStaysOutAfterARestart with a 500 where its matches were taken.
func TestWhatWasNeverAcceptedStaysOutAfterARestart(t *testing.T) {
	c := newCourt(t, "a/a1")
	c.change(func(cfg *snapshot.Config) {
		c.route(cfg, "b", "/bad")
		c.route(cfg, "c", "/c1")
		cfg.HTTPRoutes[named("c")].Spec.Rules[0].Filters = []gatewayv1.HTTPRouteFilter{{
			Type:                  gatewayv1.HTTPRouteFilterRequestHeaderModifier,
			RequestHeaderModifier: &gatewayv1.HTTPHeaderFilter{Set: []gatewayv1.HTTPHeader{{Name: "x-bad", Value: "1"}}},
		}}
	})
	want := map[string]string{"a": "/a1", "c": "500"}
	require.Equal(t, want, c.paths("one"))
	_, rejections := c.restart(nil, nothing)
	require.Equal(t, want, c.paths("one"))
	require.Zero(t, *rejections)
	require.Equal(t, []string{"b", "c"}, c.accused())
}

// TestWhatGatewaysShareIsHeldBackAfterARestartWhereItWas: in one of them, or in all.
func TestWhatGatewaysShareIsHeldBackAfterARestartWhereItWas(t *testing.T) {
	for name, both := range map[string]bool{"one": false, "all": true} {
		t.Run(name, func(t *testing.T) {
			c := newTwoGateways(t, "a/a1")
			c.tunnel("hello", setIdle("1s"))
			c.tunnel("plain", setIdle("1s"))
			c.jury.rejects["one"] = rejectsIdle("7")
			if both {
				c.jury.rejects["two"] = rejectsIdle("7")
			}
			c.tunnel("plain", func(spec *v1alpha1.TunnelSpec) {
				setIdle("7s")(spec)
				spec.Addresses[0].Address = "192.0.2.99"
			})
			before, problems := c.jury.served, c.board.all()
			require.Len(t, problems, map[bool]int{true: 2, false: 1}[both])
			_, everywhere := c.pipeline.cfg.Holds[snapshot.HoldKey{Part: tunnelPartOf("plain")}]
			require.Equal(t, both, everywhere)
			c.jury.watch = func() { // from the first on
				for key, resource := range c.jury.served {
					require.True(t, resource.Equal(before[key]), "%s %s", key.Type, key.Name)
				}
			}
			_, rejections := c.restart(nil, nothing)
			require.Equal(t, problems, c.board.all())
			require.Zero(t, *rejections)
			_, everywhere = c.pipeline.cfg.Holds[snapshot.HoldKey{Part: tunnelPartOf("plain")}]
			require.Equal(t, both, everywhere)
		})
	}
}

// TestWhatFewRejectedBeforeARestartIsOpenedAgain once many more Envoys are there.
func TestWhatFewRejectedBeforeARestartIsOpenedAgain(t *testing.T) {
	c := newCourt(t, "a/a1")
	c.change(func(cfg *snapshot.Config) { c.route(cfg, "a", "/bad") })
	c.restart(nil, nothing)
	require.Equal(t, "/a1", c.paths("one")["a"])
	<-c.pipeline.back.Wake() // whoever runs it is asked to look who comes
	for _, node := range []string{"two", "three"} {
		c.come(node, func(*api.Resource) bool { return false })
	}
	require.Equal(t, "/bad", c.paths("two")["a"])
	require.Equal(t, "/a1", c.paths("one")["a"])
	require.Len(t, c.pipeline.back.Remember(), 1)
	require.Equal(t, api.Minority(front), c.pipeline.back.Remember()[0].View)
}

func TestAHoldbackThatCannotBeReadCostsItselfAlone(t *testing.T) {
	c := newCourt(t, "a/a1", "b/b1")
	c.change(func(cfg *snapshot.Config) { c.route(cfg, "a", "/bad"); c.route(cfg, "b", "/bad-too") })
	log, _ := c.restart(func(all []api.Holdback) { all[0].Form = []byte(`{"spec": {"rows": 1}}`) }, nothing)
	require.Equal(t, "/b1", c.paths("one")["b"])
	require.Contains(t, log.String(), `msg="What Envoys rejected before the restart is tried again" object="HTTPRoute edge/a" gateway=edge/front `+
		`error="its accepted form cannot be read: json: unknown field \"rows\""`)
	require.Equal(t, []string{"a", "b"}, c.accused())
}

// TestFormsAreRememberedAsTheyAre takes all objects of the translator's tests.
func TestFormsAreRememberedAsTheyAre(t *testing.T) {
	inputs, err := filepath.Glob("../translator/testdata/in/*")
	require.NoError(t, err)
	count := 0
	for _, input := range inputs {
		state, err := files.Load([]string{input}, files.Options{})
		require.NoError(t, err)
		for _, part := range partsOf(state.Config) {
			form, _, _ := formOf(state.Config, part)
			text, err := encodeForm(form)
			require.NoError(t, err)
			again, err := decodeForm(part, text)
			require.NoError(t, err, "%s: %s", input, part)
			require.True(t, sameForm(form, again), "%s: %s", input, part)
			one, err := fingerprint(form)
			require.NoError(t, err)
			other, err := fingerprint(again)
			require.NoError(t, err)
			require.Equal(t, one, other, "%s: %s", input, part)
			count++
		}
	}
	require.Greater(t, count, 100)
}

func partsOf(cfg *snapshot.Config) (parts []api.Part) {
	add := func(group, kind, namespace, name, listener string) {
		parts = append(parts, api.Part{ObjectRef: api.ObjectRef{Group: group, Kind: kind, Namespace: namespace, Name: name}, Listener: listener})
	}
	for name := range cfg.Tunnels {
		add(v1alpha1.Group, v1alpha1.KindTunnel, name.Namespace, name.Name, "")
	}
	for name := range cfg.GatewayParameters {
		add(v1alpha1.Group, v1alpha1.KindGatewayParameters, name.Namespace, name.Name, "")
	}
	for name := range cfg.HTTPRoutes {
		add(gatewayv1.GroupName, kindHTTPRoute, name.Namespace, name.Name, "")
	}
	for name, gateway := range cfg.Gateways {
		for i := range gateway.Spec.Listeners {
			add(gatewayv1.GroupName, kindGateway, name.Namespace, name.Name, string(gateway.Spec.Listeners[i].Name))
		}
	}
	return parts
}

func TestNoSecretIsRemembered(t *testing.T) {
	secret := &corev1.Secret{Data: map[string][]byte{"tls.key": []byte("KEY")}}
	part := api.Part{ObjectRef: api.ObjectRef{Kind: kindSecret, Namespace: "edge", Name: "a"}}
	held := &heldAt{view: front, part: part, heldPart: heldPart{rejected: secret, hold: snapshot.Hold{Form: secret}, guilty: true}}
	_, ok := held.kept("v1")
	require.False(t, ok)
	_, err := encodeForm(secret)
	require.EqualError(t, err, "a *v1.Secret is not remembered")
	_, err = decodeForm(part, []byte(`{}`))
	require.EqualError(t, err, "a Secret is not remembered")
}

func TestAnAcceptedFormOfAnotherObjectIsNotUsed(t *testing.T) {
	tunnel := tunnelPartOf("hello")
	for text, message := range map[string]string{
		`{"metadata": {"namespace": "edge", "name": "other"}, "spec": {}}`: "its accepted form is that of edge/other",
		`{"metadata": {"namespace": "edge", "name": "hello"}, "spec": {}}`: "its accepted form is not valid any more: spec",
		`[]`: "its accepted form cannot be read: json: cannot unmarshal array",
	} {
		_, err := decodeForm(tunnel, []byte(text))
		require.ErrorContains(t, err, message)
	}
	_, err := decodeForm(api.Part{ObjectRef: api.ObjectRef{Kind: kindGateway}, Listener: "a"}, []byte(`{"name": "b", "port": 1, "protocol": "HTTP"}`))
	require.EqualError(t, err, `its accepted form is that of listener "b"`)
}
