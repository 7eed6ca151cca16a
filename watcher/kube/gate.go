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
	// faults is how many answers in a row have to be 5xx for a server not to be there: one has lost its store for a moment.
	faults = 3
	// leaveEvery is how often a connection may be left because the server does not let podway in over it: whoever answers at once and says no for days is not
	// to be asked for a new one each time.
	leaveEvery = 5 * time.Second
	// leaveBusyEvery is the same for a server that asks for time: others may have less to do.
	leaveBusyEvery = 15 * time.Second
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
	// left is when connections were left of which nothing good came, or a server asked for time first; it is zero once the server was there.
	left time.Time
	// asking is true while askAgain is at it; asked is when the server was last asked.
	asking bool
	asked  time.Time
	// measured is when measure was last called.
	measured time.Time
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
	dials, begun := g.client.dials.Load(), time.Now()
	uid, err := g.probe(ctx)
	g.mu.Lock()
	pause := time.Duration(0)
	if err == nil {
		g.returned(time.Since(begun))
		if g.failure != nil {
			g.client.back.Store(time.Now().UnixNano())
		}
		g.verified, g.failures, g.failure, g.seen = g.client.dials.Load(), 0, nil, uid
	} else if ctx.Err() == nil {
		if isRefusal(err) != isRefusal(g.failure) {
			g.failures = 0 // a server that has come back is asked again soon, whatever it says first
		}
		g.verified, g.failure = 0, err
		pause = backoff(g.failures, err, probeMost)
		g.failures++
		g.leave(dials, err)
	}
	g.mu.Unlock()
	wait(ctx, pause)
	g.mu.Lock()
	close(g.probing)
	g.probing = nil
	g.mu.Unlock()
	return ctx.Err()
}

// leave has the next probe go over a new connection where this one, which failed, went over one that was there before. g.mu is held.
func (g *gate) leave(dials int64, err error) {
	if dials == 0 || dials != g.client.dials.Load() {
		return
	}
	every := leaveEvery
	if apierrors.IsTooManyRequests(err) {
		every = leaveBusyEvery
		if g.left.IsZero() {
			g.left = time.Now() // it is given the time that it has asked for
		}
	}
	if time.Since(g.left) >= every {
		g.left = time.Now()
		g.client.lines.leave()
	}
}

// returned ends what still waits on connections that were left, where it took so long until the server was there over another one. One that has everybody
// wait, because too many ask, is none that the watches on the old one must be ended for: new ones would have to wait too. g.mu is held.
func (g *gate) returned(took time.Duration) {
	if !g.left.IsZero() && took < probeTimeout/2 {
		g.client.lines.endFormer()
	}
	g.left = time.Time{}
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

// isToMeasure says whether to call measure: the server has come back since it was last called.
func (g *gate) isToMeasure(now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.verified == 0 || !g.client.cameBack().After(g.measured) {
		return false
	}
	g.measured = now
	return true
}

// measure notes how long the server takes for an answer, whatever it is. Where none comes, or it falls silent meanwhile, nothing is known of that.
func (g *gate) measure(ctx context.Context) {
	begun := time.Now()
	_, err := g.probe(ctx)
	if (err == nil || IsAnswer(err)) && g.client.cameBack().Before(begun) {
		g.client.answered(time.Since(begun))
	}
}

// askAgain asks whether the server is still there, and the right one, and where it is not, waits until it is or the context ends. Where it says no itself,
// what is open already may go on.
func (g *gate) askAgain(ctx context.Context) {
	dials := g.client.dials.Load()
	_, err := g.probe(ctx)
	for tries := 1; isFault(err) && tries < faults && ctx.Err() == nil; tries++ {
		wait(ctx, retryMost)
		_, err = g.probe(ctx)
	}
	if err != nil && (!IsAnswer(err) || isFault(err)) && ctx.Err() == nil {
		g.mu.Lock()
		g.verified, g.failure = 0, err
		g.leave(dials, err)
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
	return asked(err, jittered(failures, retryFirst, most))
}

// jittered is a pause that doubles with each failure before this one.
func jittered(failures int, first, most time.Duration) time.Duration {
	pause := min(first<<min(failures, 10), most)
	return pause/2 + rand.N(pause/2+1)
}

// asked is a pause, or a longer one that a server asks for.
func asked(err error, pause time.Duration) time.Duration {
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
