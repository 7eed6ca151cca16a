package kube

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

// waiting ends a request on which the server has fallen silent. The connection may be fine: whatever is in between, such as a load balancer that ends
// TLS, may hold it open, answer its pings, and never hear of the server again.
type waiting struct {
	ctx    context.Context
	cancel context.CancelFunc
	limit  time.Duration
	timer  *time.Timer
	watch  bool
	// over is true once it is the reason for which the request ends.
	over atomic.Bool
}

// newWaiting begins with a request, whose context is to be the one that it has.
func newWaiting(request *http.Request, of *Client) *waiting {
	p := &waiting{limit: of.answerPatience, watch: request.URL.Query().Get(watchVerb) != ""}
	if p.watch {
		p.limit = of.watchPatience
	}
	p.ctx, p.cancel = context.WithCancel(request.Context())
	p.timer = time.AfterFunc(p.limit, func() {
		p.over.Store(true)
		p.cancel()
	})
	return p
}

// heard begins anew.
func (p *waiting) heard() { p.timer.Reset(p.limit) }

// ended says why the request has ended, which may not be what came of it.
func (p *waiting) ended(err error) error {
	p.timer.Stop()
	p.cancel()
	if p.over.Load() && err != nil && !errors.Is(err, io.EOF) {
		return os.ErrDeadlineExceeded
	}
	return err
}

// waitingBody is the body of an answer.
type waitingBody struct {
	io.ReadCloser
	on *waiting
}

// Read is for io.Reader. A watch on which nothing is said ends as any other does: the server may have had nothing to say, and it is opened anew from where
// it was.
func (b *waitingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == nil {
		b.on.heard()
		return n, nil
	}
	err = b.on.ended(err)
	if b.on.watch && errors.Is(err, os.ErrDeadlineExceeded) {
		err = io.EOF
	}
	return n, err
}

// Close is for io.Closer.
func (b *waitingBody) Close() error {
	_ = b.on.ended(nil)
	return b.ReadCloser.Close()
}
