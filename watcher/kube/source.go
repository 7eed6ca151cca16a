package kube

import (
	"context"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilwait "k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

// The resources that are watched.
const (
	services       = "services"
	endpointSlices = "endpointslices"
	podMetadata    = "pods"
)

// listSeconds is how long a watch that begins with a list may take. A reflector gives it as long as any other, 5 minutes, and begins anew: over a slow
// network, the list would never end.
const listSeconds = int64(time.Hour / time.Second)

// watchVerb is what RBAC calls a watch.
const watchVerb = "watch"

// onlyMetadata asks the server to leave out all of an object but its metadata; onlyMetadataOfAll is the same for a list, which is refused otherwise.
const (
	onlyMetadata      = protobuf + ";as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
	onlyMetadataOfAll = protobuf + ";as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
)

// source watches one resource of a unit, by a reflector of client-go.
type source struct {
	session  *Session
	resource string
	// namespace is "" for all.
	namespace string
	// stream is the watch that was opened last; it is the reflector's.
	stream *stream
	// passed is how many connections there had been when the last request passed the gate; agreed is that of the last one that showed the server to be no
	// older than what was read of it. Both are the reflector's too.
	passed, agreed int64

	// What follows is guarded by session.mu.
	// synced is true once there was a complete list; streaming while a watch is open; listing from the begin of a list to its end.
	synced, streaming, listing bool
	// since is when streaming last changed.
	since time.Time
	// failure is why the last request failed; nil once one went well. failures counts those without a success between.
	failure  error
	failures int
	pace     pace
	stop     context.CancelFunc
	// heard is when the server had last been heard when the watch was closed; back is the client's, as far as it is known here.
	heard, back time.Time
}

// run follows the resource until the context ends.
func (s *source) run(ctx context.Context) {
	// The reflector's own words are for its developers: what goes wrong is told through the session's health.
	ctx = klog.NewContext(ctx, logr.Discard())
	quiet := logr.Discard()
	reflector := cache.NewReflectorWithOptions(s, nil, s, cache.ReflectorOptions{
		Logger: &quiet, Name: s.session.config.Cluster + "/" + s.resource, TypeDescription: s.resource,
		// The pauses that matter are those of the gate and of pause.
		Backoff: &utilwait.Backoff{Duration: 10 * time.Millisecond, Factor: 2, Jitter: 0.5, Steps: 4, Cap: 100 * time.Millisecond},
	})
	reflector.RunWithContext(ctx)
}

// request asks for the objects that are followed.
func (s *source) request(options *metav1.ListOptions) *rest.Request {
	if s.resource == endpointSlices {
		// Slices without a Service are not for anybody here.
		options.LabelSelector = discoveryv1.LabelServiceName
	}
	return s.of(options)
}

func (s *source) newList() runtime.Object {
	switch s.resource {
	case endpointSlices:
		return &discoveryv1.EndpointSliceList{}
	case podMetadata:
		return &metav1.PartialObjectMetadataList{}
	}
	return &corev1.ServiceList{}
}

// List is for cache.ListerWatcher.
func (s *source) List(options metav1.ListOptions) (runtime.Object, error) {
	return s.ListWithContext(context.Background(), options)
}

// Watch is for cache.ListerWatcher.
func (s *source) Watch(options metav1.ListOptions) (watch.Interface, error) {
	return s.WatchWithContext(context.Background(), options)
}

// ListWithContext is for the reflector.
func (s *source) ListWithContext(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
	s.beginList(&options)
	if err := s.rest(ctx, options.Continue == ""); err != nil {
		return nil, err
	}
	list := s.newList()
	err := s.through(ctx, "list", func() error {
		return s.request(&options).Do(ctx).Into(list)
	})
	if err != nil {
		return nil, err
	}
	s.agreed = s.passed
	return list, nil
}

// beginList has a list be what the server knows now: not any state that it ever was in, or Pods that have gone since would come back; and not
// only what is newer than what it said before.
func (s *source) beginList(options *metav1.ListOptions) {
	s.began(true)
	options.ResourceVersion = ""
}

// WatchWithContext is for the reflector.
func (s *source) WatchWithContext(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	lists, timeout := options.SendInitialEvents != nil && *options.SendInitialEvents, options.TimeoutSeconds
	if lists {
		s.beginList(&options)
		options.TimeoutSeconds = new(listSeconds)
	} else {
		s.began(false)
	}
	if err := s.rest(ctx, lists); err != nil {
		return nil, err
	}
	opened, err := s.watch(ctx, options, lists)
	for tries := 1; err != nil && !lists && s.goesOn(err, tries) && ctx.Err() == nil; tries++ {
		// Not for the reflector, which would list all before it asked for the watch again.
		opened, err = s.watch(ctx, options, lists)
	}
	if err != nil {
		return nil, err
	}
	s.opened(!lists)
	s.stream = &stream{Interface: opened, source: s}
	if !lists {
		s.stream.begins = s.begins(options.ResourceVersion)
	} else {
		s.agreed = s.passed
		s.stream.reopen = func(resourceVersion string) (watch.Interface, error) {
			return s.watch(ctx, metav1.ListOptions{
				ResourceVersion: resourceVersion, AllowWatchBookmarks: true, TimeoutSeconds: timeout,
			}, false)
		}
	}
	return s.stream, nil
}

// watch opens a watch. One that lists is sent as small as it gets: a list is worth that.
func (s *source) watch(ctx context.Context, options metav1.ListOptions, lists bool) (watch.Interface, error) {
	options.Watch = true
	var opened watch.Interface
	var old error // of a server that has no such watches
	err := s.through(ctx, watchVerb, func() (err error) {
		request := s.request(&options)
		if !lists {
			request.SetHeader("Accept-Encoding", "identity")
		}
		opened, err = request.Watch(ctx)
		if lists && apierrors.IsInvalid(err) {
			old, err = err, nil // nothing is amiss: the reflector asks for a list then
		}
		return err
	})
	if err == nil {
		err = old
	}
	if err == nil && !lists {
		err = s.requireHistory(ctx, options.ResourceVersion)
	}
	if err != nil {
		if opened != nil {
			opened.Stop()
		}
		return nil, err
	}
	return opened, nil
}

// through makes a request through the gate. What came over a connection that was opened meanwhile counts only once that is known to lead
// to the right cluster.
func (s *source) through(ctx context.Context, verb string, request func() error) error {
	if err := s.pause(ctx); err != nil {
		return err
	}
	gate := s.session.gate
	passed, err := gate.pass(ctx)
	if err != nil {
		return err
	}
	s.passed = passed
	if err := request(); err != nil {
		if !IsAnswer(err) || isFault(err) {
			gate.doubt()
		}
		if ctx.Err() == nil {
			s.failed(&requestError{verb: verb, resource: s.resource, namespace: s.namespace, cause: err})
		}
		return err
	}
	s.answered(verb)
	if !gate.stillOpen(passed) {
		if _, err := gate.pass(ctx); err != nil {
			return err
		}
	}
	return nil
}

// pause waits before a request that the server has refused before, for nothing but a person changes that, or that has failed again though the server was there.
func (s *source) pause(ctx context.Context) error {
	s.session.mu.Lock()
	var pause time.Duration
	if s.failures > 1 || s.failures > 0 && IsAnswer(s.failure) {
		pause = asked(s.failure, jittered(s.failures, retryFirst, s.session.longest(s.failure)))
	}
	s.session.mu.Unlock()
	wait(ctx, pause)
	return ctx.Err()
}

// The reflector's store: what it is told goes to the session's index at once.

// Transformer is for cache.TransformingStore.
func (s *source) Transformer() cache.TransformFunc { return s.reduce }

// Add is for cache.ReflectorStore.
func (s *source) Add(object any) error { return s.put(object, false) }

// Update is for cache.ReflectorStore.
func (s *source) Update(object any) error { return s.put(object, false) }

// Delete is for cache.ReflectorStore.
func (s *source) Delete(object any) error { return s.put(object, true) }

// Resync is for cache.ReflectorStore; there is nothing to resynchronize with.
func (s *source) Resync() error { return nil }

// Bookmark is for cache.ReflectorBookmarkStore: the server is there, and nothing has changed.
func (s *source) Bookmark(string) error {
	if s.stream.telling {
		return nil
	}
	s.session.heard(time.Now())
	return nil
}

func (s *source) put(object any, gone bool) error {
	read := time.Now()
	reduced, err := s.reduce(object)
	if err != nil {
		return err
	}
	s.session.put(s, reduced.(*item), gone, read)
	return nil
}

// Replace is for cache.ReflectorStore.
func (s *source) Replace(objects []any, resourceVersion string) error {
	items := make([]*item, 0, len(objects))
	for i, object := range objects {
		reduced, err := s.reduce(object)
		if err != nil {
			return err
		}
		items = append(items, reduced.(*item))
		objects[i] = nil // a long list need not be there twice
	}
	s.session.replace(s, items)
	s.stream.listed(resourceVersion)
	return nil
}
