package kube

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"
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

func TestAWatchThatFailsIsAskedForAgainWhereThatMayHelp(t *testing.T) {
	const many = 1000
	for err, tries := range map[error]int{
		io.ErrUnexpectedEOF: many,
		&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}: many,
		forbidden:                               many,
		unauthorized:                            many,
		apierrors.NewTooManyRequests("wait", 1): many,
		broken:                                  faults - 1,
		apierrors.NewResourceExpired("too old"): 0,
		apierrors.NewBadRequest("what is that"): 0,
	} {
		passing := 0
		for passing < many && isPassing(&requestError{verb: watchVerb, resource: services, cause: err}, passing+1) {
			passing++
		}
		require.Equal(t, tries, passing, "%v", err)
	}
}

func TestAFailureKeepsItsNameInTurns(t *testing.T) {
	of := func(verb string, cause error) error {
		return &requestError{verb: verb, resource: services, cause: cause}
	}
	unavailable := apierrors.NewServiceUnavailable("no server is there")
	require.True(t, isAlike(of("list", forbidden), of(watchVerb, forbidden)))
	require.True(t, isAlike(of(watchVerb, unavailable), of("list", unavailable)))
	require.False(t, isAlike(of(watchVerb, unavailable), of(watchVerb, unavailable)), "it may have more to say")
	require.False(t, isAlike(of("list", forbidden), of(watchVerb, broken)))
	require.False(t, isAlike(of("list", io.EOF), of(watchVerb, io.EOF)))
	require.False(t, isAlike(of("list", apierrors.NewTooManyRequests("wait", 1)), of(watchVerb, apierrors.NewTooManyRequests("wait", 9))))
	require.False(t, isAlike(of("list", forbidden), nil))
}

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
		{context.DeadlineExceeded, "the server does not answer", false},
		{errors.New(strings.Repeat("x", 400)), strings.Repeat("x", 300) + "...", false},
	} {
		require.Equal(t, test.want, Plain(test.err))
		require.Equal(t, test.refusal, isRefusal(test.err), test.want)
	}
}

// TestWordsOfACauseStayTheSame: which call meets it first, and from which port, differs from try to try.
func TestWordsOfACauseStayTheSame(t *testing.T) {
	here, server := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 40001}, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 2), Port: 6443}
	of := func(op, call string, number syscall.Errno) error {
		return &net.OpError{Op: op, Net: "tcp", Source: here, Addr: server, Err: os.NewSyscallError(call, number)}
	}
	for want, causes := range map[string][]error{
		"connection refused": {of("dial", "connect", syscall.ECONNREFUSED)},
		"no route to host":   {of("dial", "connect", syscall.EHOSTUNREACH)},
		"the server, or what is before it, closes the connection": {
			of("dial", "connect", syscall.ECONNRESET), of("read", "read", syscall.ECONNRESET), of("write", "write", syscall.ECONNRESET),
			of("write", "write", syscall.EPIPE), io.EOF, io.ErrUnexpectedEOF,
			unopenedError{errors.New("GOAWAY")},
		},
		"stream error: INTERNAL_ERROR; received from peer": {
			errors.New("stream error: stream ID 17; INTERNAL_ERROR; received from peer"), errors.New("stream error: stream ID 1019; INTERNAL_ERROR; received from peer"),
		},
		"the server does not answer": {
			unopenedError{os.ErrDeadlineExceeded},
			context.DeadlineExceeded, of("dial", "connect", syscall.ETIMEDOUT), errors.New("http2: client connection lost"),
		},
		"the proxy before it: connection refused": {
			&net.OpError{Op: "proxyconnect", Net: "tcp", Err: of("dial", "connect", syscall.ECONNREFUSED)},
		},
		"dial tcp: lookup a.example on 192.0.2.3:53: read udp 192.0.2.3:53: read: connection refused": {
			&net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Name: "a.example", Server: "192.0.2.3:53", Err: "read udp 192.0.2.1:40001->192.0.2.3:53: read: connection refused"}},
		},
	} {
		for _, cause := range causes {
			require.Equal(t, want, Plain(cause), "%v", cause)
			require.Equal(t, want, Plain(&url.Error{Op: "Get", URL: "https://a.example", Err: cause}), "%v", cause)
		}
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
