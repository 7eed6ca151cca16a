package kube

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	utilnet "k8s.io/apimachinery/pkg/util/net"
)

// waiting ends a request on which the server has fallen silent. The connection may be fine: whatever is in between, such as a load balancer that ends
// TLS, may hold it open, answer its pings, and never hear of the server again.
type waiting struct {
	ctx    context.Context
	cancel context.CancelFunc
	limit  time.Duration
	timer  *time.Timer
	of     *Client
	// watch is true for a watch, lists for one that begins with a list.
	watch, lists bool
	// last is when anything came, in Unix nanoseconds.
	last atomic.Int64
	// over is true once it is the reason for which the request ends.
	over atomic.Bool
}

// newWaiting begins with a request, whose context is to be the one that it has.
func newWaiting(request *http.Request, of *Client) *waiting {
	query := request.URL.Query()
	p := &waiting{of: of, limit: of.answerPatience, watch: query.Get(watchVerb) != "", lists: query.Get("sendInitialEvents") != ""}
	if p.watch {
		p.limit = of.watchPatience
	}
	p.ctx, p.cancel = context.WithCancel(request.Context())
	p.last.Store(time.Now().UnixNano())
	p.timer = time.AfterFunc(p.limit, p.cut)
	return p
}

func (p *waiting) cut() {
	p.over.Store(true)
	p.cancel()
}

// heard begins anew.
func (p *waiting) heard() {
	p.last.Store(time.Now().UnixNano())
	p.timer.Reset(p.limit)
}

// leave ends what goes over a connection that was left, where it costs little, or nothing came for so long that nothing will.
func (p *waiting) leave() {
	if p.watch && !p.lists || time.Since(time.Unix(0, p.last.Load())) > 2*probeTimeout {
		p.cut()
	}
}

// ended says why the request has ended, which may not be what came of it.
func (p *waiting) ended(err error) error {
	p.timer.Stop()
	p.cancel()
	p.of.lines.end(p)
	if p.over.Load() && err != nil && !errors.Is(err, io.EOF) {
		return os.ErrDeadlineExceeded
	}
	return err
}

// unanswered says why there is no answer. client-go would take some of that for a watch that told of nothing.
func (p *waiting) unanswered(err error) error {
	if err = p.ended(err); p.watch && (utilnet.IsProbableEOF(err) || utilnet.IsTimeout(err)) {
		return unopenedError{err}
	}
	return err
}

// waitingBody is the body of an answer.
type waitingBody struct {
	io.ReadCloser
	on *waiting
}

// Read is for io.Reader. A watch on which nothing is said, or whose connection is lost, ends as any other does: it is opened anew from where it was. Of a
// failure, client-go would make an event, after which a reflector lists everything again.
func (b *waitingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		b.on.of.received.Store(time.Now().UnixNano())
	}
	if err == nil {
		b.on.heard()
		return n, nil
	}
	err = b.on.ended(err)
	if b.on.watch {
		err = io.EOF
	}
	return n, err
}

// Close is for io.Closer.
func (b *waitingBody) Close() error {
	_ = b.on.ended(nil)
	return b.ReadCloser.Close()
}
