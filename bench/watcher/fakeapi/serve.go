package fakeapi

import (
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// bookmarkEvery is how often a watch is told of the version that it has.
const bookmarkEvery = time.Minute

// watch is one that is open.
type watch struct {
	events chan []byte
	ended  bool // by the cluster's mu
}

// end has the watch end once what is in it has been sent. The cluster's mu is held.
func (w *watch) end() {
	if !w.ended {
		w.ended = true
		close(w.events)
	}
}

// ServeHTTP answers as an API server.
func (c *Cluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if slow := c.slow.Load(); slow > 0 {
		select {
		case <-time.After(time.Duration(slow)):
		case <-r.Context().Done():
			return
		}
	}
	resource := path.Base(r.URL.Path)
	if resource == "pods" && !strings.Contains(r.Header.Get("Accept"), "as=PartialObjectMetadata") {
		resource = wholePods
	}
	switch resource {
	case "kube-system":
		answer(w, http.StatusOK, c.system())
	case "services", "endpointslices", "pods", wholePods:
		if query := r.URL.Query().Get("watch"); query == "true" || query == "1" {
			c.watch(w, r, resource)
			return
		}
		c.mu.Lock()
		_, list := c.objects(resource)
		body := encode(list())
		c.mu.Unlock()
		w.Header().Set("Content-Type", contentType)
		_, _ = w.Write(body) // the client has gone
	default:
		answer(w, http.StatusNotFound, &metav1.Status{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure, Code: http.StatusNotFound, Reason: metav1.StatusReasonNotFound,
		})
	}
}

func answer(w http.ResponseWriter, code int, object runtime.Object) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(code)
	_, _ = w.Write(encode(object)) // the client has gone
}

// watch answers a watch, with a list in front where that is asked for.
func (c *Cluster) watch(w http.ResponseWriter, r *http.Request, resource string) {
	from, _ := strconv.ParseInt(r.URL.Query().Get("resourceVersion"), 10, 64)
	initial := r.URL.Query().Get("sendInitialEvents") == "true"
	stream := &watch{events: make(chan []byte, remembered)}
	var first [][]byte
	c.mu.Lock()
	switch {
	case initial:
		each, _ := c.objects(resource)
		for _, object := range each {
			first = append(first, frameOf("ADDED", object))
		}
		first = append(first, frameOf("BOOKMARK", bookmark(resource, c.version, true)))
	case resource == "endpointslices" && from < c.compact:
		c.mu.Unlock()
		answer(w, http.StatusGone, expired())
		return
	case resource == "endpointslices":
		for _, e := range c.history {
			if e.version > from {
				first = append(first, e.frame)
			}
		}
	}
	if resource == "endpointslices" {
		c.watches[stream] = struct{}{}
	}
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.watches, stream)
	}()
	w.Header().Set("Content-Type", watchType)
	w.WriteHeader(http.StatusOK)
	for i, frame := range first {
		first[i] = nil
		if _, err := w.Write(frame); err != nil {
			return
		}
	}
	c.follow(w, r, stream, resource)
}

// follow sends events as they come.
func (c *Cluster) follow(w http.ResponseWriter, r *http.Request, stream *watch, resource string) {
	control := http.NewResponseController(w)
	bookmarks := time.NewTicker(bookmarkEvery)
	defer bookmarks.Stop()
	for {
		if len(stream.events) == 0 && control.Flush() != nil {
			return
		}
		var frame []byte
		select {
		case <-r.Context().Done():
			return
		case <-bookmarks.C:
			c.mu.Lock()
			frame = frameOf("BOOKMARK", bookmark(resource, c.version, false))
			c.mu.Unlock()
		case next, more := <-stream.events:
			if !more {
				return
			}
			frame = next
		}
		if _, err := w.Write(frame); err != nil {
			return
		}
	}
}

// bookmark is an empty object with a version. initial is for the one that ends a streaming list.
func bookmark(resource string, version int64, initial bool) runtime.Object {
	meta := metav1.ObjectMeta{ResourceVersion: text(version)}
	if initial {
		meta.Annotations = map[string]string{metav1.InitialEventsAnnotationKey: "true"}
	}
	switch resource {
	case "services":
		return &corev1.Service{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Service"}, ObjectMeta: meta}
	case "endpointslices":
		return &discoveryv1.EndpointSlice{TypeMeta: metav1.TypeMeta{APIVersion: "discovery.k8s.io/v1", Kind: "EndpointSlice"}, ObjectMeta: meta}
	case wholePods:
		return &corev1.Pod{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}, ObjectMeta: meta}
	}
	return &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "meta.k8s.io/v1", Kind: "PartialObjectMetadata"}, ObjectMeta: meta}
}
