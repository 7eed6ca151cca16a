package ads

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// Relay is an address that stands for several servers, as a Service does: new connections go to the one that it was last pointed to, and those that
// are open stay where they are.
type Relay struct {
	listener net.Listener
	target   atomic.Pointer[string]
	running  sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]struct{} // by mu; nil once it is closed
}

// NewRelay listens on a loopback address. Point it somewhere before anybody connects.
func NewRelay() (*Relay, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &Relay{listener: listener, conns: map[net.Conn]struct{}{}}
	r.running.Go(r.accept)
	return r, nil
}

// Address is where it listens.
func (r *Relay) Address() string { return r.listener.Addr().String() }

// Point has new connections go to an address.
func (r *Relay) Point(address string) { r.target.Store(&address) }

// Close ends it and all its connections.
func (r *Relay) Close() {
	r.listener.Close()
	r.mu.Lock()
	for conn := range r.conns {
		conn.Close()
	}
	r.conns = nil
	r.mu.Unlock()
	r.running.Wait()
}

func (r *Relay) accept() {
	for {
		client, err := r.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", *r.target.Load())
		if err != nil {
			client.Close()
			continue
		}
		r.join(client, server)
	}
}

// join copies both ways until either end closes.
func (r *Relay) join(client, server net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.conns == nil {
		client.Close()
		server.Close()
		return
	}
	r.conns[client], r.conns[server] = struct{}{}, struct{}{}
	for _, pair := range [][2]net.Conn{{client, server}, {server, client}} {
		r.running.Go(func() {
			_, _ = io.Copy(pair[0], pair[1]) // either end may go
			client.Close()
			server.Close()
			r.mu.Lock()
			defer r.mu.Unlock()
			delete(r.conns, client)
			delete(r.conns, server)
		})
	}
}
