package kubetest

import (
	"net/http"
	"strings"
)

// Request is one to an API server, as a Front sees it.
type Request struct {
	// Verb is get, list, watch, create, update, patch, delete or deletecollection; of what is no resource, the HTTP method in small letters.
	Verb string
	// Group, Resource, Namespace, Name and Subresource are those of the path; Resource is empty for what is none, such as /readyz.
	Group, Resource, Namespace, Name, Subresource string
	// Path and Query are what was asked for, as in the URL.
	Path, Query string
	// Accept is the header of that name.
	Accept string
	// Token is the bearer token.
	Token string
	// UserAgent is the header of that name.
	UserAgent string
	// Answered is the status that the Front answered by itself; 0 if it forwarded the request.
	Answered int
}

// Is matches requests with that verb and resource; either may be empty, which is any.
func Is(verb, resource string) func(Request) bool {
	return func(r Request) bool {
		return (verb == "" || r.Verb == verb) && (resource == "" || r.Resource == resource)
	}
}

// Any matches all requests.
func Any(Request) bool { return true }

func parseRequest(r *http.Request) Request {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	q := Request{
		Verb: strings.ToLower(r.Method), Path: r.URL.Path, Query: r.URL.RawQuery,
		Accept: r.Header.Get("Accept"), Token: token, UserAgent: r.UserAgent(),
	}
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case parts[0] == "api" && len(parts) > 2: // api/v1/…
		parts = parts[2:]
	case parts[0] == "apis" && len(parts) > 3: // apis/GROUP/VERSION/…
		q.Group, parts = parts[1], parts[3:]
	default:
		return q
	}
	if parts[0] == "namespaces" && len(parts) > 2 && parts[2] != "status" && parts[2] != "finalize" {
		q.Namespace, parts = parts[1], parts[2:]
	}
	parts = append(parts, "", "")
	q.Resource, q.Name, q.Subresource = parts[0], parts[1], parts[2]
	q.Verb = verb(r, q.Name != "")
	return q
}

func verb(r *http.Request, named bool) string {
	switch r.Method {
	case http.MethodPost:
		return "create"
	case http.MethodPut:
		return "update"
	case http.MethodPatch:
		return "patch"
	case http.MethodDelete:
		if named {
			return "delete"
		}
		return "deletecollection"
	}
	watch := r.URL.Query().Get("watch")
	switch {
	case watch == "1" || watch == "true":
		return "watch"
	case named:
		return "get"
	}
	return "list"
}
