package kube

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"syscall"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

const (
	// silent is what a server is of which nothing comes, whether that is noticed by its silence, by a ping, or by a request.
	silent = "the server does not answer"
	// closes is what a server does that breaks off what was asked for.
	closes = "the server, or what is before it, closes the connection"
	// lostConnection is what net/http says where a ping was not answered; it has no name for that.
	lostConnection = "http2: client connection lost"
)

// wrongClusterError says that another cluster answers than the pinned one.
type wrongClusterError struct{ got, want string }

func (e wrongClusterError) Error() string {
	return fmt.Sprintf("this is another cluster: its kube-system namespace has the UID %s, and spec.clusterUID is %s", e.got, e.want)
}

// requestError says what was asked for when a request failed.
type requestError struct {
	verb, resource  string
	namespace, name string
	cause           error
}

func (e *requestError) Unwrap() error { return e.cause }

func (e *requestError) Error() string {
	where := "in all namespaces"
	switch {
	case e.name != "":
		where = "named " + e.name
	case e.namespace != "":
		where = "in namespace " + e.namespace
	}
	switch {
	case apierrors.IsForbidden(e.cause):
		return fmt.Sprintf("not allowed to %s %s %s", e.verb, e.resource, where)
	case apierrors.IsUnauthorized(e.cause):
		return "the server does not accept the credential (401 Unauthorized)"
	}
	return fmt.Sprintf("cannot %s %s %s: %s", e.verb, e.resource, where, Plain(e.cause))
}

// unopenedError is why a watch was not opened. Its own words are none that client-go knows.
type unopenedError struct{ cause error }

func (e unopenedError) Unwrap() error { return e.cause }

func (e unopenedError) Error() string { return closes }

// isRefusal is true where the server was there and said that podway may not, or where it is the wrong one.
func isRefusal(err error) bool {
	var wrong wrongClusterError
	return apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) || errors.As(err, &wrong)
}

// IsAnswer is true where the server said no itself: the connection is fine.
func IsAnswer(err error) bool {
	var status apierrors.APIStatus
	return errors.As(err, &status)
}

// isFault is true where something answered that could not do what it was asked for, such as a load balancer whose server is away.
func isFault(err error) bool {
	var status apierrors.APIStatus
	return errors.As(err, &status) && status.Status().Code >= http.StatusInternalServerError
}

// isAlike is true of an answer to a list that says the same as that to a watch did, or the other way round. What asks for time is none: the last time counts.
func isAlike(err, before error) bool {
	var a, b apierrors.APIStatus
	var now, then *requestError
	return errors.As(err, &a) && errors.As(before, &b) && a.Status().Code == b.Status().Code && !apierrors.IsTooManyRequests(err) &&
		errors.As(err, &now) && errors.As(before, &then) && now.verb != then.verb
}

// isPassing says whether a watch that could not be opened after so many tries may be once the network, the server, or a person has changed its mind, so that
// nothing need be listed. A server that is there and does not give one may give a list.
func isPassing(err error, tries int) bool {
	switch {
	case isFault(err):
		return tries < faults
	case isRefusal(err), apierrors.IsTooManyRequests(err):
		return true
	}
	return !IsAnswer(err)
}

// Plain is an error in words for a person, without the address that is said elsewhere, and without what may be long. As long as the cause is one, so
// are the words: they are part of a state, and of a Problem, which are told anew when they change.
func Plain(err error) string {
	var wrong wrongClusterError
	var request *requestError
	var wrapped *url.Error
	switch {
	case errors.As(err, &wrong):
		return wrong.Error()
	case errors.As(err, &request) && request != err: //nolint:errorlint // the very same one would never end
		return request.Error()
	case apierrors.IsUnauthorized(err):
		return "the server does not accept the credential (401 Unauthorized)"
	case errors.Is(err, context.DeadlineExceeded):
		return silent
	case errors.As(err, &wrapped):
		err = wrapped.Err
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() || err.Error() == lostConnection {
		return silent
	}
	const most = 300
	text := strings.TrimSpace(ofConnection(err))
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}

// passing is what an error of a connection says of this try alone: the port at the near end, the number of a request.
var passing = regexp.MustCompile(`\S+->|stream ID \d+; |LastStreamID=\d+, `)

// ofConnection is what an error of a connection says, whichever call it was that met it first.
func ofConnection(err error) string {
	var operation *net.OpError
	var number syscall.Errno
	var away *net.DNSError
	switch {
	case errors.As(err, &operation) && operation.Op == "proxyconnect":
		return "the proxy before it: " + ofConnection(operation.Err)
	case errors.As(err, &away):
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return closes
	case errors.As(err, &number):
		return number.Error()
	}
	return passing.ReplaceAllString(err.Error(), "")
}
