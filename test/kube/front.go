package kubetest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Front is an HTTPS server before an API server: it answers some requests itself, forwards the rest, and counts all. It shows a certificate of
// the cluster's own CA and speaks HTTP/1.1 and 2.
type Front struct {
	address string
	server  *http.Server

	mu       sync.Mutex
	rules    []*rule
	requests []Request
	open     map[net.Conn]struct{}
}

// Answer is what is said instead of what the API server would say.
type Answer struct {
	// Code is the HTTP status, such as 500, 429, 403 or 401.
	Code int
	// RetryAfter is told to the client, in whole seconds, if it is not 0.
	RetryAfter time.Duration
}

type rule struct {
	matches func(Request) bool
	answer  Answer
}

// NewFront listens on a port of 127.0.0.1 and forwards to the cluster, as it is now: to one that shows a certificate of another CA later,
// it gets no connection any more, and answers 502. It ends with the test.
func NewFront(t testing.TB, c *Cluster) *Front {
	t.Helper()
	authority := c.reached().authority
	pair, err := authority.serving("front")
	if err != nil {
		t.Fatal(err)
	}
	shown, err := tls.X509KeyPair(pair.certificate, pair.key)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(authority.cert)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &Front{address: listener.Addr().String(), open: map[net.Conn]struct{}{}}
	upstream := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
	f.server = &http.Server{
		Handler:           f.handler(c.URL(), upstream),
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{shown}},
		ErrorLog:          quiet(),
		ReadHeaderTimeout: time.Minute,
		ConnState:         f.follow,
	}
	ended := make(chan error, 1)
	go func() { ended <- f.server.ServeTLS(listener, "", "") }()
	t.Cleanup(func() {
		_ = f.server.Close() // its error is that of a listener that is closed already
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("front: %v", err)
		}
		upstream.CloseIdleConnections()
	})
	return f
}

// Address is where it listens: 127.0.0.1:PORT. A Proxy can stand before it.
func (f *Front) Address() string { return f.address }

// URL is https://ADDRESS, for KubeconfigAt.
func (f *Front) URL() string { return "https://" + f.address }

// Answer answers the requests that match by itself from now on, until stop is called. Of several rules the newest counts. Requests that
// are under way, such as watches, go on: see Cut.
func (f *Front) Answer(matches func(Request) bool, answer Answer) (stop func()) {
	made := &rule{matches: matches, answer: answer}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = append(f.rules, made)
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		made.matches = func(Request) bool { return false }
	}
}

// Requests are all that match so far, in the order of their arrival; all there were if matches is nil.
func (f *Front) Requests(matches func(Request) bool) []Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	var found []Request
	for _, request := range f.requests {
		if matches == nil || matches(request) {
			found = append(found, request)
		}
	}
	return found
}

// Count is how many requests there were with that verb (get, list, watch, create, update, patch, delete) and resource (as in a path).
func (f *Front) Count(verb, resource string) int { return len(f.Requests(Is(verb, resource))) }

// Cut closes all connections of clients, watches and all.
func (f *Front) Cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for connection := range f.open {
		connection.Close()
	}
}

func (f *Front) follow(connection net.Conn, state http.ConnState) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if state == http.StateClosed || state == http.StateHijacked {
		delete(f.open, connection)
	} else {
		f.open[connection] = struct{}{}
	}
}

func (f *Front) handler(to string, upstream http.RoundTripper) http.Handler {
	forward := &httputil.ReverseProxy{
		Transport: upstream, FlushInterval: -1, ErrorLog: quiet(),
		Rewrite: func(r *httputil.ProxyRequest) {
			target, err := url.Parse(to)
			if err != nil {
				panic(fmt.Sprintf("the URL of a cluster, %q: %v", to, err))
			}
			r.SetURL(target)
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if !errors.Is(err, context.Canceled) && r.Context().Err() == nil {
				writeStatus(w, Answer{Code: http.StatusBadGateway}, err.Error())
			}
		},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if answer, ok := f.take(parseRequest(r)); ok {
			writeStatus(w, answer, "the test says so")
			return
		}
		forward.ServeHTTP(w, r)
	})
}

// take notes a request, and says whether and how to answer it.
func (f *Front) take(request Request) (Answer, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	answer, found := Answer{}, false
	for _, rule := range f.rules {
		if rule.matches(request) {
			answer, found = rule.answer, true
		}
	}
	request.Answered = answer.Code
	f.requests = append(f.requests, request)
	return answer, found
}

// writeStatus answers as an API server does.
func writeStatus(w http.ResponseWriter, answer Answer, message string) {
	seconds := int(answer.RetryAfter / time.Second)
	status := apierrors.NewGenericServerResponse(answer.Code, "", schema.GroupResource{}, "", message, seconds, true).Status()
	status.Kind, status.APIVersion = "Status", "v1"
	if seconds > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(seconds))
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(answer.Code)
	_ = json.NewEncoder(w).Encode(status) // a client that is gone needs none
}

// quiet drops what net/http says of connections that tests cut.
func quiet() *log.Logger { return log.New(io.Discard, "", 0) }
