package kube

import (
	"context"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
)

// line is the connections that the requests of a while go over. A connection stays with the server that it was opened to: one of several behind a load
// balancer, or the one whose address the server's name had then. Where nothing good comes over it any more, a new one may lead to a server that is well.
type line struct {
	transport *http.Transport
	// open are the requests that are under way; the lock of lines guards it.
	open map[*waiting]struct{}

	mu          sync.Mutex
	connections map[*connection]struct{}
}

// newLine makes one of a transport that nobody has used yet, whose DialContext it takes the place of.
func newLine(client *Client, transport *http.Transport) *line {
	l := &line{transport: transport, open: map[*waiting]struct{}{}, connections: map[*connection]struct{}{}}
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		made, err := client.dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		made.line = l
		l.mu.Lock()
		defer l.mu.Unlock()
		l.connections[made] = struct{}{}
		return made, nil
	}
	return l
}

// closed notes that a connection is closed.
func (l *line) closed(c *connection) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.connections, c)
}

// close closes all connections. A transport would leave those that it has not noticed yet that nobody uses any more.
func (l *line) close() {
	l.mu.Lock()
	connections := slices.Collect(maps.Keys(l.connections))
	l.mu.Unlock()
	l.transport.CloseIdleConnections()
	for _, c := range connections {
		_ = c.Close() // it may be closed already
	}
}

// lines are the one in use, and those before it that requests still go over.
type lines struct {
	client *Client

	mu     sync.Mutex
	now    *line
	former []*line
}

// begin notes a request, and says what it goes over.
func (l *lines) begin(on *waiting) *http.Transport {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now.open[on] = struct{}{}
	return l.now.transport
}

// end notes that a request has ended.
func (l *lines) end(on *waiting) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.now.open, on)
	for _, old := range l.former {
		delete(old.open, on)
	}
	l.tidy()
}

// leave has requests to come go over new connections. Those that are under way go on.
func (l *lines) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.former = append(l.former, l.now)
	l.now = newLine(l.client, l.now.transport.Clone())
	l.tidy()
}

// endFormer ends the watches that go over what was left, once the server is there on what is in use: whoever does not answer may hold a watch open and
// know nothing of what happens. They are opened anew from where they were. A list goes on while anything comes of it.
func (l *lines) endFormer() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, old := range l.former {
		for on := range old.open {
			on.leave()
		}
	}
}

// close closes connections that are not in use. Those in use end with their requests.
func (l *lines) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.now.open) == 0 {
		l.now.close()
	} else {
		l.now.transport.CloseIdleConnections()
	}
	l.tidy()
}

// tidy closes what was left and is not in use any more. l.mu is held.
func (l *lines) tidy() {
	l.former = slices.DeleteFunc(l.former, func(old *line) bool {
		if len(old.open) > 0 {
			return false
		}
		old.close()
		return true
	})
}
