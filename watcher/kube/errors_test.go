package kube

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var (
	forbidden    = apierrors.NewForbidden(schema.GroupResource{Resource: services}, "", errors.New("no"))
	unauthorized = apierrors.NewUnauthorized("who are you")
	broken       = apierrors.NewInternalError(errors.New("broken"))
)

func TestErrorsSayWhatWasAskedFor(t *testing.T) {
	for _, test := range []struct {
		err     error
		want    string
		refusal bool
	}{
		{&requestError{verb: "list", resource: services, namespace: "shop", cause: forbidden}, "not allowed to list services in namespace shop", true},
		{&requestError{verb: "watch", resource: endpointSlices, cause: forbidden}, "not allowed to watch endpointslices in all namespaces", true},
		{&requestError{verb: "get", resource: "namespaces", name: "kube-system", cause: forbidden}, "not allowed to get namespaces named kube-system", true},
		{&requestError{verb: "list", resource: services, cause: unauthorized}, "the server does not accept the credential (401 Unauthorized)", true},
		{
			&requestError{verb: "list", resource: services, namespace: "shop", cause: broken},
			"cannot list services in namespace shop: Internal error occurred: broken", false,
		},
		{
			fmt.Errorf("asking: %w", wrongClusterError{got: "b", want: "a"}),
			"this is another cluster: its kube-system namespace has the UID b, and spec.clusterUID is a", true,
		},
		{&url.Error{Op: "Get", URL: "https://user:secret@a.example", Err: errors.New("connection refused")}, "connection refused", false},
		{context.DeadlineExceeded, "no answer in time", false},
		{errors.New(strings.Repeat("x", 400)), strings.Repeat("x", 300) + "...", false},
	} {
		require.Equal(t, test.want, plain(test.err))
		require.Equal(t, test.refusal, isRefusal(test.err), test.want)
	}
}

func TestPausesGrowAndStayBelowASecondWhileTheServerIsAway(t *testing.T) {
	away := errors.New("connection refused")
	for failures := range 100 {
		pause := backoff(failures, away, refusedMost)
		require.LessOrEqual(t, pause, retryMost)
		require.GreaterOrEqual(t, pause, min(retryFirst<<min(failures, 10), retryMost)/2)
		require.LessOrEqual(t, backoff(failures, forbidden, refusedMost), refusedMost)
	}
	patient := apierrors.NewTooManyRequests("slow down", 7)
	require.Equal(t, 7*time.Second, backoff(0, patient, refusedMost))
	require.Equal(t, 30*time.Second, backoff(0, apierrors.NewTooManyRequests("slow down", 3600), refusedMost), "a server cannot send podway away for an hour")
	require.LessOrEqual(t, backoff(3, &apierrors.StatusError{ErrStatus: metav1.Status{Code: 500}}, refusedMost), retryMost)
}
