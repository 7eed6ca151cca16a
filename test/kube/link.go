package kubetest

import (
	"context"
	"errors"
	"io"
	"net"
	"time"
)

// underWay is how many reads of a direction may wait for their time; each is at most chunkBytes.
const (
	underWay   = 4096
	chunkBytes = 32 << 10
)

// link is a connection through a Proxy.
type link struct {
	client net.Conn
	ctx    context.Context
	cancel context.CancelFunc
}

// chunk is what was read and when it may go on; with err, that nothing more comes.
type chunk struct {
	bytes []byte
	due   time.Time
	err   error
}

func newLink(ctx context.Context, client net.Conn) *link {
	ctx, cancel := context.WithCancel(ctx)
	return &link{client: client, ctx: ctx, cancel: cancel}
}

// reset ends it at once, in both directions.
func (l *link) reset() { l.cancel() }

// run forwards until both sides have said all, or the link is reset.
func (l *link) run(p *Proxy) {
	defer l.client.Close()
	defer context.AfterFunc(l.ctx, func() { closeHard(l.client) })()
	if p.waitPass(l.ctx) != nil {
		return
	}
	server, err := (&net.Dialer{}).DialContext(l.ctx, "tcp", p.target)
	if err != nil {
		closeHard(l.client) // the client learns what there is to learn: the connection is no good
		return
	}
	defer server.Close()
	defer context.AfterFunc(l.ctx, func() { closeHard(server) })()
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.forward(p, server, l.client)
	}()
	l.forward(p, l.client, server)
	<-done
}

// forward carries one direction. An end is carried as an end, anything else resets the link.
func (l *link) forward(p *Proxy, to, from net.Conn) {
	chunks := make(chan chunk, underWay)
	go l.read(p, from, chunks)
	err := l.write(p, to, chunks)
	if !errors.Is(err, io.EOF) {
		l.reset()
	} else if half, ok := to.(*net.TCPConn); ok {
		_ = half.CloseWrite() // of one that is gone already there is nobody to tell
	}
	for range chunks { // the reader ends once the connection is closed, which it is at the latest when both directions have ended
	}
}

func (l *link) read(p *Proxy, from io.Reader, chunks chan<- chunk) {
	defer close(chunks)
	for {
		buffer := make([]byte, chunkBytes)
		n, err := from.Read(buffer)
		_, delay := p.state()
		select {
		case chunks <- chunk{bytes: buffer[:n], due: time.Now().Add(delay), err: err}:
		case <-l.ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// write returns why it ended: io.EOF where the other side has said all.
func (l *link) write(p *Proxy, to io.Writer, chunks <-chan chunk) error {
	for next := range chunks {
		if err := waitUntil(l.ctx, next.due); err != nil {
			return err
		}
		if err := p.waitPass(l.ctx); err != nil {
			return err
		}
		if _, err := to.Write(next.bytes); err != nil {
			return err
		}
		if next.err != nil {
			return next.err
		}
	}
	return context.Cause(l.ctx)
}

func waitUntil(ctx context.Context, due time.Time) error {
	left := time.Until(due)
	if left <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// closeHard closes with a reset instead of an end.
func closeHard(connection net.Conn) {
	if tcp, ok := connection.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // of one that is closed already there is nobody to tell
	}
	connection.Close()
}
