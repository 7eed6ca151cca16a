package access

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/rest"
)

const (
	// maxAnswer is how many bytes of an answer are read.
	maxAnswer = 16 << 20
	// requestTimeout is how long one request may take.
	requestTimeout = 15 * time.Second
	// tries is how often a server that asks for patience is asked.
	tries = 4
	// maxPatience is how long it is waited for each time.
	maxPatience = 5 * time.Second
	// acceptList asks for a list of nothing but metadata, and acceptWatch for events of nothing else.
	acceptList  = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
	acceptWatch = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
	// pageSize is how many objects are listed at a time.
	pageSize = 500
)

// client sends plain requests to an API server.
type client struct {
	base string
	http *http.Client
}

func newClient(config *rest.Config) (*client, error) {
	base, err := serverOf(config)
	if err != nil {
		return nil, err
	}
	transport, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", base, err)
	}
	own := *transport
	// An API server does not redirect, and what it is sent is for nobody else.
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &client{base: base, http: &own}, nil
}

// serverOf is the URL that a configuration leads to.
func serverOf(config *rest.Config) (string, error) {
	u, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return "", errors.New("the server of the kubeconfig is no URL")
	}
	if u.User != nil {
		return "", errors.New("the server of the kubeconfig has a user or a password in its URL")
	}
	return strings.TrimRight((&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String(), "/"), nil
}

// close lets go of connections that nobody uses.
func (c *client) close() { utilnet.CloseIdleConnectionsFor(c.http.Transport) }

// request is what one asks of an API server.
type request struct {
	method, path string
	query        url.Values
	body         any
	contentType  string
	accept       string
}

// do sends a request and decodes the answer into out, unless that is nil. Errors of the server are apierrors.
func (c *client) do(ctx context.Context, r request, out any) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	response, err := c.send(ctx, r)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	if len(data) > maxAnswer {
		return fmt.Errorf("the answer has more than %d bytes", maxAnswer)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		return errors.New("the answer is not JSON of the kind that was asked for: is this a Kubernetes API server?")
	}
	return nil
}

// send sends a request, again where the server asks for patience, and returns an answer that is no error.
func (c *client) send(ctx context.Context, r request) (*http.Response, error) {
	for try := 1; ; try++ {
		httpRequest, err := c.build(ctx, r)
		if err != nil {
			return nil, err
		}
		response, err := c.http.Do(httpRequest)
		if err != nil {
			var urlError *url.Error
			if errors.As(err, &urlError) {
				err = urlError.Err
			}
			return nil, err
		}
		if response.StatusCode >= 200 && response.StatusCode < 300 {
			return response, nil
		}
		failure := failureOf(response, r.method)
		wait, patient := apierrors.SuggestsClientDelay(failure)
		if !patient || try == tries {
			return nil, failure
		}
		select {
		case <-ctx.Done():
			return nil, failure
		case <-time.After(min(time.Duration(wait)*time.Second, maxPatience)):
		}
	}
}

func (c *client) build(ctx context.Context, r request) (*http.Request, error) {
	var body io.Reader
	if r.body != nil {
		data, err := json.Marshal(r.body)
		if err != nil {
			return nil, fmt.Errorf("encoding the request: %w", err)
		}
		body = bytes.NewReader(data)
	}
	address := c.base + r.path
	if len(r.query) > 0 {
		address += "?" + r.query.Encode()
	}
	out, err := http.NewRequestWithContext(ctx, r.method, address, body)
	if err != nil {
		return nil, err
	}
	out.Header.Set("Accept", "application/json")
	if r.accept != "" {
		out.Header.Set("Accept", r.accept)
	}
	if r.body != nil {
		out.Header.Set("Content-Type", "application/json")
	}
	if r.contentType != "" {
		out.Header.Set("Content-Type", r.contentType)
	}
	return out, nil
}

// failureOf makes an error of an answer, and closes it.
func failureOf(response *http.Response, verb string) error {
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		data = nil
	}
	var status metav1.Status
	if json.Unmarshal(data, &status) == nil && status.Kind == "Status" {
		if status.Details == nil {
			status.Details = &metav1.StatusDetails{}
		}
		if seconds := retryAfter(response); seconds > 0 {
			status.Details.RetryAfterSeconds = int32(seconds)
		}
		status.Message = printable(status.Message)
		return apierrors.FromObject(&status)
	}
	// Its body can be the page of a proxy: nobody wants to read that in a line.
	return apierrors.NewGenericServerResponse(response.StatusCode, strings.ToLower(verb), schema.GroupResource{}, "", "", retryAfter(response), true)
}

// printable is a server's text as it may go to a terminal: one line of no more than a few hundred bytes.
func printable(text string) string {
	const limit = 600
	if len(text) > limit {
		text = text[:limit] + "..."
	}
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	return strings.Join(strings.Fields(text), " ")
}

func retryAfter(response *http.Response) int {
	var seconds int
	if _, err := fmt.Sscan(response.Header.Get("Retry-After"), &seconds); err != nil {
		return 0
	}
	return seconds
}

// list collects the objects of a resource that have labels, in one namespace or all, page by page.
func (c *client) list(ctx context.Context, r resource, namespace, selector string, limit int) ([]metav1.ObjectMeta, error) {
	var out []metav1.ObjectMeta
	query := url.Values{"limit": {fmt.Sprint(min(limit, pageSize))}}
	if selector != "" {
		query.Set("labelSelector", selector)
	}
	for {
		var page struct {
			Metadata metav1.ListMeta `json:"metadata"`
			Items    []struct {
				Metadata metav1.ObjectMeta `json:"metadata"`
			} `json:"items"`
		}
		if err := c.do(ctx, request{method: http.MethodGet, path: r.path(namespace, ""), query: query, accept: acceptList}, &page); err != nil {
			return nil, fmt.Errorf("listing %s: %w", r.qualified(), err)
		}
		for _, item := range page.Items {
			out = append(out, item.Metadata)
		}
		if page.Metadata.Continue == "" || len(out) >= limit {
			return out, nil
		}
		query.Set("continue", page.Metadata.Continue)
	}
}
