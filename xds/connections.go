package xds

import (
	"fmt"
	"net"
	"sync"
)

// connectionsPerStream is how many connections there may be for each stream that is allowed: that of an Envoy that has gone without a word is open until
// pings tell, when it is back on another one long since.
const connectionsPerStream = 2

// enter makes room for a connection, from its first byte on: one that says nothing costs memory and a descriptor too. Whoever is let in calls exit when it ends.
func (d *doorman) enter(address string) (exit func(), refused *denial) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.connections >= d.limits.MaxConnections {
		of := fmt.Sprintf("%d times --xds-max-streams", connectionsPerStream)
		if d.limits.MaxConnections < connectionsPerStream*d.limits.MaxStreams {
			of = "as many as the limit of open files (ulimit -n) leaves room for"
		}
		return nil, &denial{reasonMaxConnections, fmt.Errorf("there are %d connections, %s", d.connections, of)}
	}
	key := callerKey{kind: "address", name: address}
	c := d.caller(key)
	if most := connectionsPerStream * d.limits.MaxStreamsPerPeer; c.connections >= most {
		return nil, &denial{reasonMaxConnectionsPerPeer, fmt.Errorf("it has %d connections, %d times --xds-max-streams-per-peer", c.connections, connectionsPerStream)}
	}
	d.connections++
	c.connections++
	return sync.OnceFunc(func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.connections--
		c.connections--
	}), nil
}

// enter is that of the doorman, and tells of a connection that is refused.
func (s *Server) enter(from net.Addr) (exit func(), err error) {
	address := hostOf(from)
	exit, refused := s.doorman.enter(address)
	if refused == nil {
		return exit, nil
	}
	s.refuseConnection(address, refused.reason, "error", refused)
	return nil, refused
}
