package kube

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

const (
	probeTimeout = 5 * time.Second
	// retryFirst and retryMost bound the pause between two tries of a server that is not there. A change that comes after it has come back is to
	// be followed within a second, so the most is less than that; one probe a cluster is no load.
	retryFirst = 50 * time.Millisecond
	retryMost  = 400 * time.Millisecond
	// refusedMost is the longest pause of a watch after the server was there and said no; where there are so many of them that this would be more than one
	// request each refusedEach, it is longer.
	refusedMost = 2 * time.Second
	refusedEach = 20 * time.Millisecond
	// probeMost is the same for the probe, of which there is one. An API server that has just started refuses everybody until it has read who
	// may do what.
	probeMost = 800 * time.Millisecond
	// askAgainAfter is how long nothing may be heard of a cluster's objects until its server is asked whether it is there: the other end of the
	// connection may be something else, which is well and holds the watches open.
	askAgainAfter = 5 * time.Second
)

// gate lets requests through to an API server that is there and is the right one. While it is not, one request at a time tries, and all others
// wait: a cluster that is away costs one connection attempt per pause, however many watches it has.
type gate struct {
	client *Client
	// uid is the pinned UID of the namespace kube-system; "" for any.
	uid string

	mu sync.Mutex
	// verified is the number of connections as of the last probe that went well; 0 for none.
	verified int64
	probing  chan struct{}
	failures int
	failure  error
	// seen is the UID of the cluster, "" where it may not be read.
	seen string
	// asking is true while askAgain is at it; asked is when the server was last asked.
	asking bool
	asked  time.Time
}

// pass returns once the server is there and is the right one, or the context ends. It gives back what to check afterwards with stillOpen.
func (g *gate) pass(ctx context.Context) (int64, error) {
	for {
		g.mu.Lock()
		dials := g.client.dials.Load()
		if g.verified != 0 && g.verified == dials {
			g.mu.Unlock()
			return dials, nil
		}
		probing := g.probing
		if probing == nil {
			g.probing = make(chan struct{})
			g.mu.Unlock()
			if err := g.attempt(ctx); err != nil {
				return 0, err
			}
			continue
		}
		g.mu.Unlock()
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-probing:
		}
	}
}

// attempt probes once, and pauses where that fails. An error says that the context has ended.
func (g *gate) attempt(ctx context.Context) error {
	uid, err := g.probe(ctx)
	g.mu.Lock()
	pause := time.Duration(0)
	if err == nil {
		g.verified, g.failures, g.failure, g.seen = g.client.dials.Load(), 0, nil, uid
	} else if ctx.Err() == nil {
		if isRefusal(err) != isRefusal(g.failure) {
			g.failures = 0 // a server that has come back is asked again soon, whatever it says first
		}
		g.verified, g.failure = 0, err
		pause = backoff(g.failures, err, probeMost)
		g.failures++
	}
	g.mu.Unlock()
	wait(ctx, pause)
	g.mu.Lock()
	close(g.probing)
	g.probing = nil
	g.mu.Unlock()
	return ctx.Err()
}

// isDue says whether to call askAgain: while nobody gets through, the server is asked anyway. heard is when the cluster's objects were last heard of.
func (g *gate) isDue(now, heard time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.verified == 0 || g.asking || now.Sub(heard) < askAgainAfter || now.Sub(g.asked) < askAgainAfter {
		return false
	}
	g.asking = true
	return true
}

// askAgain asks whether the server is still there, and the right one, and where it is not, waits until it is or the context ends. Any answer of the
// server will do: what is open already may go on though nothing else is allowed.
func (g *gate) askAgain(ctx context.Context) {
	_, err := g.probe(ctx)
	if err != nil && !isAnswer(err) && ctx.Err() == nil {
		g.mu.Lock()
		g.verified, g.failure = 0, err
		g.mu.Unlock()
		_, _ = g.pass(ctx) // an error is the end of the context
	}
	g.mu.Lock()
	g.asking, g.asked = false, time.Now()
	g.mu.Unlock()
}

// backoff is how long to wait after so many failures before this one, with jitter; refused is the most after a refusal. A server that names a
// time is believed, up to 30 s.
func backoff(failures int, err error, refused time.Duration) time.Duration {
	most := retryMost
	if isRefusal(err) {
		most = refused
	}
	pause := min(retryFirst<<min(failures, 10), most)
	pause = pause/2 + rand.N(pause/2+1)
	if seconds, ok := apierrors.SuggestsClientDelay(err); ok && apierrors.IsTooManyRequests(err) {
		pause = max(pause, min(time.Duration(seconds)*time.Second, 30*time.Second))
	}
	return pause
}

// wait waits, or until the context ends.
func wait(ctx context.Context, pause time.Duration) {
	if pause <= 0 {
		return
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// probe asks for the cluster's identity, which also says whether the server is there and takes the credential. The UID is "" where the
// credential may not read it.
func (g *gate) probe(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	namespace := &corev1.Namespace{}
	err := g.client.core.Get().Resource("namespaces").Name("kube-system").MaxRetries(0).Do(ctx).Into(namespace)
	switch {
	case err == nil && g.uid != "" && string(namespace.UID) != g.uid:
		return "", wrongClusterError{got: string(namespace.UID), want: g.uid}
	case err == nil:
		return string(namespace.UID), nil
	case apierrors.IsForbidden(err) && g.uid == "":
		return "", nil // nobody asks which cluster it is
	case apierrors.IsForbidden(err):
		return "", &requestError{verb: "get", resource: "namespaces", name: "kube-system", cause: err}
	case apierrors.IsNotFound(err) && g.uid != "":
		return "", errors.New("the server has no namespace kube-system, so that it cannot be the cluster of spec.clusterUID")
	case apierrors.IsNotFound(err):
		return "", nil
	}
	return "", fmt.Errorf("asking for the namespace kube-system: %w", err)
}

// doubt has the next request probe first.
func (g *gate) doubt() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.verified = 0
}

// stillOpen says whether all connections are those that were verified when the gate was passed.
func (g *gate) stillOpen(passed int64) bool { return g.client.dials.Load() == passed }

// state is why nobody gets through, nil where somebody does, and the UID of the cluster.
func (g *gate) state() (uid string, failure error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.seen, g.failure
}
