package kubetest

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"time"
)

// underWay is how many reads of a direction may wait for their time; each is at most chunkBytes.
const (
	underWay   = 4096
	chunkBytes = 32 << 10
	// narrowBytes is how much of a limited link is written or buffered at a time.
	narrowBytes = 4 << 10
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
	server, err := (&net.Dialer{}).DialContext(l.ctx, "tcp", p.leads())
	if err != nil {
		closeHard(l.client) // the client learns what there is to learn: the connection is no good
		return
	}
	defer server.Close()
	if p.limited() {
		narrow(l.client, server)
	}
	defer context.AfterFunc(l.ctx, func() { closeHard(server) })()
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.forward(p, server, l.client, underWay)
	}()
	if p.limited() {
		l.forward(p, l.client, server, 0)
	} else {
		l.forward(p, l.client, server, underWay)
	}
	<-done
}

// narrow keeps what is under way small: whoever writes learns soon that it goes no faster.
func narrow(client, server net.Conn) {
	if tcp, ok := client.(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(narrowBytes) // or more is under way
	}
	if tcp, ok := server.(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(narrowBytes)
	}
}

// forward carries one direction, with so many reads under way. An end is carried as an end, anything else resets the link.
func (l *link) forward(p *Proxy, to, from net.Conn, most int) {
	chunks := make(chan chunk, most)
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
		if err := l.writeOut(p, to, next.bytes); err != nil {
			return err
		}
		if next.err != nil {
			return next.err
		}
	}
	return context.Cause(l.ctx)
}

// writeOut writes as fast as may be.
func (l *link) writeOut(p *Proxy, to io.Writer, bytes []byte) error {
	if to != l.client || !p.limited() {
		_, err := to.Write(bytes)
		return err
	}
	for some := range slices.Chunk(bytes, narrowBytes) {
		if err := waitUntil(l.ctx, p.turn(len(some))); err != nil {
			return err
		}
		if err := p.waitPass(l.ctx); err != nil {
			return err
		}
		if _, err := to.Write(some); err != nil {
			return err
		}
	}
	return nil
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
