package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync"
	"time"
)

const (
	// requestTimeout bounds one request.
	requestTimeout = 10 * time.Second
	// loadLife bounds a load that nobody stops.
	loadLife = 10 * time.Minute
)

// Load is clients that send the same request again and again, each over one connection that it keeps.
type Load struct {
	// URL to GET, and the Host to ask for, the URL's own if empty.
	URL, Host string
	// Header, where set, is sent too.
	Header http.Header
	// Clients is how many there are, 1 if 0.
	Clients int
	// Rate is requests a second of all clients together; as fast as they can if 0.
	Rate float64
	// Status that is wanted; any other is a failure. 200 if 0.
	Status int
}

// Run sends count requests and says what became of them. It ends early when ctx does.
func (l Load) Run(ctx context.Context, count int) *Tally {
	return l.start(ctx, count).Wait()
}

// Start sends requests until Stop, or for ten minutes.
func (l Load) Start(ctx context.Context) *Running { return l.start(ctx, -1) }

// Running is a load under way.
type Running struct {
	stop    context.CancelFunc
	clients sync.WaitGroup

	mu    sync.Mutex
	tally *Tally // by mu
}

// Stop lets the requests under way end, and returns the tally of all.
func (r *Running) Stop() *Tally {
	r.stop()
	return r.Wait()
}

// Wait blocks until all requests are sent and answered.
func (r *Running) Wait() *Tally {
	r.clients.Wait()
	r.stop()
	return r.Tally()
}

// Tally is a copy of what there is so far.
func (r *Running) Tally() *Tally {
	r.mu.Lock()
	defer r.mu.Unlock()
	tally := NewTally()
	tally.Add(r.tally)
	return tally
}

func (l Load) start(ctx context.Context, count int) *Running {
	ctx, stop := context.WithTimeout(ctx, loadLife)
	r := &Running{stop: stop, tally: NewTally()}
	turns := make(chan struct{})
	go l.pace(ctx, turns, count)
	for range max(l.Clients, 1) {
		r.clients.Go(func() { l.client(context.WithoutCancel(ctx), turns, r) })
	}
	return r
}

// pace hands out turns: count of them, or until ctx ends. A turn that nobody takes before the next one is due delays those that follow.
func (l Load) pace(ctx context.Context, turns chan<- struct{}, count int) {
	defer close(turns)
	var due <-chan time.Time
	if l.Rate > 0 {
		ticker := time.NewTicker(time.Duration(float64(time.Second) / l.Rate))
		defer ticker.Stop()
		due = ticker.C
	}
	for ; count != 0; count-- {
		if due != nil {
			select {
			case <-due:
			case <-ctx.Done():
				return
			}
		}
		select {
		case turns <- struct{}{}:
		case <-ctx.Done():
			return
		}
	}
}

// client sends a request for each turn. Its context does not end with the load's: what has been sent is waited for.
func (l Load) client(ctx context.Context, turns <-chan struct{}, r *Running) {
	transport := &http.Transport{MaxConnsPerHost: 1, MaxIdleConnsPerHost: 1, DisableCompression: true}
	defer transport.CloseIdleConnections()
	for range turns {
		one := NewTally()
		one.Requests = 1
		if reason := l.send(ctx, transport, one); reason != "" {
			one.fail(reason)
		}
		r.mu.Lock()
		r.tally.Add(one)
		r.mu.Unlock()
	}
}

// send returns why the request failed, or nothing.
func (l Load) send(ctx context.Context, transport *http.Transport, tally *Tally) string {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	// Go's client quietly sends a request again whose connection broke. Here that is a failure.
	connections := 0
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connections++ }})
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, l.URL, nil)
	if err != nil {
		return err.Error()
	}
	request.Host = l.Host
	if l.Header != nil {
		request.Header = l.Header.Clone()
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return reason(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return "reading the answer: " + reason(err)
	}
	tally.Status[response.StatusCode]++
	if pod := response.Header.Get(PodHeader); pod != "" {
		tally.Pods[pod]++
	}
	want := l.Status
	if want == 0 {
		want = http.StatusOK
	}
	switch {
	case response.StatusCode != want:
		return fmt.Sprintf("status %d %s", response.StatusCode, firstLine(body))
	case connections != 1:
		return "the connection broke, and the request had to be sent again"
	}
	return ""
}

// reason leaves out what differs from request to request, such as the client's port.
func reason(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Sprintf("no answer within %s", requestTimeout)
	}
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err.Error()
		}
		err = next
	}
}

func firstLine(body []byte) string {
	const limit = 120
	for i, b := range body {
		if b == '\n' || i == limit {
			return string(body[:i])
		}
	}
	return string(body)
}
