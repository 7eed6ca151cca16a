package kube

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// requireHistory fails where the server is older than what was read of it: its store was put back to what it was a while ago. A watch from a
// version that is still to come is not refused. It is opened, and tells of nothing until the versions have come that far, though everything that happened since
// the backup has not happened. So the server is asked which version it is at, over each new connection, after the watch was opened: a store is not put
// back while its server runs.
func (s *source) requireHistory(ctx context.Context, resourceVersion string) error {
	if s.agreed == s.session.client.dials.Load() {
		return nil
	}
	now, err := s.version(ctx)
	for err != nil && ctx.Err() == nil {
		now, err = s.version(ctx) // what is wrong was told, and through pauses
	}
	if err != nil {
		return err
	}
	if now == "" {
		return nil // it is asked again with the next watch
	}
	if isOlder(now, resourceVersion) {
		return apierrors.NewResourceExpired(fmt.Sprintf("the server is at version %s, which is older than %s", now, resourceVersion))
	}
	s.agreed = s.passed
	return nil
}

// version is the one that the server is at, "" where it may not be asked.
func (s *source) version(ctx context.Context) (string, error) {
	list := s.newList()
	err := s.through(ctx, "list", func() error {
		// The first object, whichever: one with a label might have to be looked for.
		err := s.of(&metav1.ListOptions{Limit: 1}).Do(ctx).Into(list)
		if isFinal(err) {
			return nil // a watch may be allowed, or understood, where a list is not
		}
		return err
	})
	if err != nil {
		return "", err
	}
	said, err := meta.ListAccessor(list)
	if err != nil {
		return "", fmt.Errorf("reading a version: %w", err)
	}
	return said.GetResourceVersion(), nil
}

// isFinal says whether asking the same again is of no use.
func isFinal(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || apierrors.IsTooManyRequests(err) {
		return false
	}
	code := status.Status().Code
	return code >= http.StatusBadRequest && code < http.StatusInternalServerError
}

// isOlder says whether a version comes before another one. Of what is no number nothing is known.
func isOlder(version, than string) bool {
	a, err := strconv.ParseUint(version, 10, 64)
	if err != nil {
		return false
	}
	b, err := strconv.ParseUint(than, 10, 64)
	return err == nil && a < b
}

// of asks for objects of the resource.
func (s *source) of(options *metav1.ListOptions) *rest.Request {
	client := s.session.client
	accept := onlyMetadataOfAll
	if options.Watch {
		accept = onlyMetadata
	}
	request := client.core.Get()
	switch s.resource {
	case endpointSlices:
		request = client.discovery.Get()
	case podMetadata:
		request = client.metadata.Get().SetHeader("Accept", accept)
	}
	return request.NamespaceIfScoped(s.namespace, s.namespace != "").Resource(s.resource).VersionedParams(options, parameters).MaxRetries(0)
}
