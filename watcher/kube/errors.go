package kube

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
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
	return fmt.Sprintf("cannot %s %s %s: %s", e.verb, e.resource, where, plain(e.cause))
}

// isRefusal is true where the server was there and said that podway may not, or where it is the wrong one.
func isRefusal(err error) bool {
	var wrong wrongClusterError
	return apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) || errors.As(err, &wrong)
}

// isAnswer is true where the server said no itself: the connection is fine.
func isAnswer(err error) bool {
	var status apierrors.APIStatus
	return errors.As(err, &status)
}

// plain is an error in words for a person, without the address that is said elsewhere, and without what may be long.
func plain(err error) string {
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
		return "no answer in time"
	case errors.As(err, &wrapped):
		err = wrapped.Err
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return "no answer in time"
	}
	const most = 300
	text := strings.TrimSpace(err.Error())
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}
