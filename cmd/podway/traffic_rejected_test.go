package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/podway/podway/demo"
	"github.com/podway/podway/holdback"
)

// tooLarge is a regular expression that podway takes and Envoy does not: RE2 makes a larger program of it than Envoy allows.
const tooLarge = `matches: [{path: {type: RegularExpression, value: '/(abcdefghijk){1000}'}}]`

// header is a filter by which a change of a route is seen.
func header(value string) string {
	return "filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: x-route, value: '" + value + "'}]}}]"
}

// rejection is what the control plane's own log says last of what Envoy rejected of an HTTPRoute: that a Problem appeared, or was resolved.
func (w *world) rejection(route string) (last string) {
	for line := range strings.Lines(w.log.String()) {
		if strings.Contains(line, "code="+holdback.CodeRejectedByEnvoy) && strings.Contains(line, `object="HTTPRoute edge/`+route+`"`) {
			last = line
		}
	}
	return last
}

// TestTrafficARejectedRouteCostsNoOtherAnything has two HTTPRoutes under one listener, of which one becomes what Envoy
// rejects while the other changes, too.
func TestTrafficARejectedRouteCostsNoOtherAnything(t *testing.T) {
	w := newWorld(t)
	app := w.service(w.east, demo.ServiceConfig{Name: "app"}, 2)
	w.write("tunnel.yaml", tunnelYAML("app", members("east/app=100")))
	one := func(extra ...string) string { return routeYAML("one", "one.example", []string{"app"}, extra...) }
	two := func(extra ...string) string { return routeYAML("two", "two.example", []string{"app"}, extra...) }
	routes := func(value string) func() bool {
		return func() bool {
			got, err := w.try("two.example", "/", nil)
			return err == nil && got.header.Get("X-Route") == value
		}
	}
	w.write("routes.yaml", one(header("first"))+two(header("first")))
	w.start()
	w.awaitHosts("app", 100, app.Pods()...)
	w.awaitStatus("one.example", "/", http.StatusOK)
	loads := []*demo.Running{w.load("one.example", 4, 100).Start(t.Context()), w.load("two.example", 4, 100).Start(t.Context())}

	// Both in one change.
	w.write("routes.yaml", one(header("bad"), tooLarge)+two(header("second")))
	eventually(t, "the change of the good route", routes("second"))
	assert.Equal(t, "first", w.get("one.example", "/").header.Get("X-Route"), "the last accepted form")
	var problem string
	eventually(t, "the Problem", func() bool {
		problem = w.rejection("one")
		return strings.Contains(problem, "its last accepted form stays in force")
	})
	assert.Contains(t, problem, "max program size")
	assert.Contains(t, problem, "routes.yaml")
	// And afterwards.
	w.write("routes.yaml", one(header("bad"), tooLarge)+two(header("third")))
	eventually(t, "a later change of the good route", routes("third"))
	// A third one comes and is bad from the beginning.
	w.write("three.yaml", routeYAML("three", "three.example", []string{"app"}, tooLarge))
	w.write("routes.yaml", one(header("bad"), tooLarge)+two(header("fourth")))
	eventually(t, "a change beside a new route that is bad", routes("fourth"))
	assert.Equal(t, http.StatusNotFound, w.get("three.example", "/").status)

	w.write("routes.yaml", one(header("fixed"))+two(header("fourth")))
	eventually(t, "the corrected route", func() bool {
		got, err := w.try("one.example", "/", nil)
		return err == nil && got.header.Get("X-Route") == "fixed"
	})
	for _, load := range loads {
		tally := load.Stop()
		require.NoError(t, tally.Err())
		require.Positive(t, tally.Requests)
	}
	eventually(t, "the Problem resolved", func() bool { return strings.Contains(w.rejection("one"), "Problem resolved") })
}

// TestTrafficAStartWithARejectedRouteServesTheOthers has an Envoy that has nothing yet.
func TestTrafficAStartWithARejectedRouteServesTheOthers(t *testing.T) {
	w := newWorld(t)
	app := w.service(w.east, demo.ServiceConfig{Name: "app"}, 1)
	w.write("all.yaml", tunnelYAML("app", members("east/app=100"))+routeYAML("bad", "bad.example", []string{"app"}, tooLarge)+
		routeYAML("a", "a.example", []string{"app"})+routeYAML("c", "c.example", []string{"app"}))
	plane := w.startServe(w.anyPort())
	w.startEnvoy()
	w.awaitHosts("app", 100, app.Pods()...)
	w.awaitStatus("a.example", "/", http.StatusOK)
	w.awaitStatus("c.example", "/", http.StatusOK)
	w.awaitStatus("bad.example", "/", http.StatusNotFound)
	// Another podway knows nothing of it, and learns the same.
	plane.kill()
	w.startServe(w.xdsAddress)
	w.write("all.yaml", tunnelYAML("app", members("east/app=100"))+routeYAML("bad", "bad.example", []string{"app"}, tooLarge)+
		routeYAML("a", "a.example", []string{"app"}, header("new"))+routeYAML("c", "c.example", []string{"app"}))
	eventually(t, "a change after the restart", func() bool {
		got, err := w.try("a.example", "/", nil)
		return err == nil && got.header.Get("X-Route") == "new"
	})
	assert.Equal(t, http.StatusOK, w.get("c.example", "/").status)
}
