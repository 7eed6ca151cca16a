package access

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// parallel is how many permissions are tried at a time.
const parallel = 8

// permission is what podway does with a resource in a namespace, or in all.
type permission struct {
	resource  resource
	namespace string
	// optional is true where nothing needs it now.
	optional bool
}

// place is where.
func (p permission) place() string {
	if p.namespace == "" {
		return "all namespaces"
	}
	return "namespace " + p.namespace
}

// permissions tries to list and to watch all that podway is to follow.
func (k *checker) permissions(ctx context.Context, report *Report) {
	if k.Scope.IsEmpty() {
		report.add(StatusWarning, "scope", "say in spec.allowedTunnels which tunnels may use which namespaces", "spec.allowedTunnels lets no tunnel use any namespace, so that podway reads nothing")
		return
	}
	in := k.Scope.Namespaces
	if k.Scope.All {
		in = []string{""}
	}
	var needed []permission
	for _, namespace := range in {
		needed = append(needed,
			permission{resource: services, namespace: namespace},
			permission{resource: endpointSlices, namespace: namespace},
			permission{resource: pods, namespace: namespace, optional: !k.selectsPods(namespace)})
	}
	lines := make([]Line, len(needed))
	var group errgroup.Group
	group.SetLimit(parallel)
	for i, p := range needed {
		group.Go(func() error {
			lines[i] = k.try(ctx, p)
			return nil
		})
	}
	_ = group.Wait() // None of them fails: what they find is in their lines.
	report.Lines = append(report.Lines, lines...)
	k.streaming(ctx, report, in[0])
}

// selectsPods says whether some tunnel selects Pods of a namespace by label.
func (k *checker) selectsPods(namespace string) bool {
	return k.Pods.Covers(namespace) || namespace == "" && !k.Pods.IsEmpty()
}

// try lists and watches.
func (k *checker) try(ctx context.Context, p permission) Line {
	line := Line{What: fmt.Sprintf("list and watch %s in %s", p.resource.qualified(), p.place()), Status: StatusOK}
	verb := "list"
	version, err := k.client.listOne(ctx, p)
	if err == nil {
		verb = "watch"
		err = k.client.watchBriefly(ctx, p, version)
	}
	if err == nil {
		return line
	}
	line.Status = StatusFailed
	line.Detail = fmt.Sprintf("cannot %s %s in %s (%s)", verb, p.resource.qualified(), p.place(), refusal(err))
	if p.optional {
		line.Status = StatusWarning
		line.Detail += "; no tunnel needs it yet, but one with a podSelector would"
	}
	switch {
	case apierrors.IsForbidden(err):
		line.Remedy = fmt.Sprintf("grant it: %s, or a Role with the verbs get, list and watch", k.authorize())
	case apierrors.IsNotFound(err):
		line.Remedy = "podway needs an API server of Kubernetes 1.21 or later"
	default:
		line.Remedy = "see what the API server says of it"
	}
	return line
}

// listOne lists at most one object, and returns the list's version.
func (c *client) listOne(ctx context.Context, p permission) (string, error) {
	var list struct {
		Kind     string          `json:"kind"`
		Metadata metav1.ListMeta `json:"metadata"`
	}
	err := c.do(ctx, request{method: http.MethodGet, path: p.resource.path(p.namespace, ""), query: url.Values{"limit": {"1"}}, accept: acceptList}, &list)
	return list.Metadata.ResourceVersion, err
}

// watchBriefly watches until the server has agreed to it.
func (c *client) watchBriefly(ctx context.Context, p permission, version string) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	query := url.Values{"watch": {"true"}, "resourceVersion": {version}, "timeoutSeconds": {"1"}, "allowWatchBookmarks": {"true"}}
	response, err := c.send(ctx, request{method: http.MethodGet, path: p.resource.path(p.namespace, ""), query: query, accept: acceptWatch})
	if err != nil {
		return err
	}
	return response.Body.Close()
}

// streaming reports whether lists come as a stream, which is how podway takes the least memory. It works without, too.
func (k *checker) streaming(ctx context.Context, report *Report, namespace string) {
	if k.client.streams(ctx, namespace) {
		report.add(StatusOK, "streaming lists", "", "the API server has them")
		return
	}
	report.add(StatusOK, "streaming lists", "", "the API server has none: podway lists page by page")
}

// streams watches Services from their list on, of a name that none has, until the server says that this was all.
func (c *client) streams(ctx context.Context, namespace string) bool {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	query := url.Values{
		"watch": {"true"}, "sendInitialEvents": {"true"}, "resourceVersionMatch": {"NotOlderThan"}, "allowWatchBookmarks": {"true"},
		"timeoutSeconds": {"5"}, "fieldSelector": {"metadata.name=podway-checks-nothing"},
	}
	response, err := c.send(ctx, request{method: http.MethodGet, path: services.path(namespace, ""), query: query, accept: acceptWatch})
	if err != nil {
		return false
	}
	defer func() { _ = response.Body.Close() }()
	decoder := json.NewDecoder(io.LimitReader(response.Body, maxAnswer))
	for {
		var event struct {
			Type   string `json:"type"`
			Object struct {
				Metadata metav1.ObjectMeta `json:"metadata"`
			} `json:"object"`
		}
		if decoder.Decode(&event) != nil || event.Type == "ERROR" {
			return false
		}
		if event.Type == "BOOKMARK" && event.Object.Metadata.Annotations[metav1.InitialEventsAnnotationKey] == "true" {
			return true
		}
	}
}
