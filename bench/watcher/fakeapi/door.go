package fakeapi

import (
	"errors"
	"net"
	"sync"
)

// door is a port that can be shut, and behind which nobody may answer.
type door struct {
	address string

	mu       sync.Mutex
	listener net.Listener // nil while shut
	conns    map[*conn]struct{}
	silent   bool
	waiting  chan net.Conn
	closed   chan struct{}
}

func newDoor() (*door, error) {
	d := &door{address: "127.0.0.1:0", conns: map[*conn]struct{}{}, waiting: make(chan net.Conn), closed: make(chan struct{})}
	if err := d.open(); err != nil {
		return nil, err
	}
	return d, nil
}

// open listens.
func (d *door) open() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	listener, err := net.Listen("tcp", d.address)
	if err != nil {
		return err
	}
	d.listener, d.address = listener, listener.Addr().String()
	go func() {
		for {
			accepted, err := listener.Accept()
			if err != nil {
				return
			}
			c := &conn{Conn: accepted, door: d, gone: make(chan struct{})}
			d.mu.Lock()
			d.conns[c] = struct{}{}
			d.mu.Unlock()
			d.waiting <- c
		}
	}()
	return nil
}

// shut refuses connections, and cuts those that there are.
func (d *door) shut() {
	d.mu.Lock()
	if d.listener != nil {
		_ = d.listener.Close() // it is only being read from
		d.listener = nil
	}
	conns := d.conns
	d.conns = map[*conn]struct{}{}
	d.mu.Unlock()
	for c := range conns {
		c.Close()
	}
}

// hush has nothing said and nothing heard any more, on connections that nobody closes.
func (d *door) hush(silent bool) {
	d.mu.Lock()
	d.silent = silent
	d.mu.Unlock()
	if !silent { // What was lost in between cannot be made up for.
		d.mu.Lock()
		conns := d.conns
		d.conns = map[*conn]struct{}{}
		d.mu.Unlock()
		for c := range conns {
			c.Close()
		}
	}
}

func (d *door) isSilent() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.silent
}

// Accept is for net.Listener; it goes on while the door is shut.
func (d *door) Accept() (net.Conn, error) {
	select {
	case c := <-d.waiting:
		return c, nil
	case <-d.closed:
		return nil, errors.New("the API server has ended")
	}
}

// Close is for net.Listener.
func (d *door) Close() error {
	close(d.closed)
	d.shut()
	return nil
}

// Addr is for net.Listener.
func (d *door) Addr() net.Addr {
	address, err := net.ResolveTCPAddr("tcp", d.address)
	if err != nil {
		return &net.TCPAddr{}
	}
	return address
}

// conn is a connection that can fall silent.
type conn struct {
	net.Conn
	door *door
	once sync.Once
	gone chan struct{}
}

// Read is for net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.door.isSilent() {
		<-c.gone
		return 0, net.ErrClosed
	}
	return n, err
}

// Write is for net.Conn.
func (c *conn) Write(p []byte) (int, error) {
	if c.door.isSilent() {
		return len(p), nil
	}
	return c.Conn.Write(p)
}

// Close is for net.Conn.
func (c *conn) Close() error {
	c.once.Do(func() { close(c.gone) })
	c.door.mu.Lock()
	delete(c.door.conns, c)
	c.door.mu.Unlock()
	return c.Conn.Close()
}
