package ads

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/grpc"
)

// Config says who a client is and what it asks for.
type Config struct {
	Address string
	// Node is node.id, Gateway node.cluster.
	Node, Gateway string
	// World has it speak the state-of-the-world variant instead of delta.
	World bool
	// Wanted are names by type URL; no names are a wildcard. It asks for them in Envoy's order.
	Wanted map[string][]string
	// Has is what it has of an earlier stream.
	Has Held
}

// Response is what came in one response.
type Response struct {
	Type    string
	Names   []string
	Removed []string
	version string
	nonce   string
	// versions of Names, where each has its own.
	versions []string
}

// Client is one stream.
type Client struct {
	config Config
	conn   *grpc.ClientConn
	stop   context.CancelFunc
	stream stream
	// ended is closed once the stream has, with err set before.
	ended chan struct{}
	err   error

	mu   sync.Mutex
	came []Response // by mu
	held Held       // by mu
}

// stream is one of a variant.
type stream interface {
	// first asks for a type; the first call on a stream says who asks.
	first(typeURL string) error
	receive() (Response, error)
	ack(Response) error
}

// Connect opens a stream, asks for everything, and goes on to take what comes until it is closed or the stream ends.
func Connect(config Config) (*Client, error) {
	conn, err := dial(config.Address)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	c := &Client{config: config, conn: conn, stop: stop, ended: make(chan struct{}), held: Held{}}
	for typeURL, names := range config.Has {
		for name, version := range names {
			c.held.set(typeURL, name, version)
		}
	}
	if c.stream, err = open(ctx, conn, config); err == nil {
		err = c.ask()
	}
	if err != nil {
		stop()
		_ = conn.Close()
		return nil, fmt.Errorf("connecting to %s as %s: %w", config.Address, config.Node, err)
	}
	go c.take()
	return c, nil
}

func open(ctx context.Context, conn *grpc.ClientConn, config Config) (stream, error) {
	if config.World {
		return openWorld(ctx, conn, config)
	}
	return openDelta(ctx, conn, config)
}

func (c *Client) ask() error {
	for _, typeURL := range order {
		if _, wanted := c.config.Wanted[typeURL]; !wanted {
			continue
		}
		if err := c.stream.first(typeURL); err != nil {
			return err
		}
	}
	return nil
}

// take goes on until the stream ends.
func (c *Client) take() {
	defer close(c.ended)
	for {
		r, err := c.stream.receive()
		if err == nil {
			c.remember(r)
			err = c.stream.ack(r)
		}
		if err != nil {
			c.err = err
			return
		}
	}
}

func (c *Client) remember(r Response) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.came = append(c.came, r)
	if c.config.World && (r.Type == resource.ClusterType || r.Type == resource.ListenerType) {
		// Its answers are complete.
		c.held[r.Type] = nil
	}
	for i, name := range r.Names {
		version := r.version
		if r.versions != nil {
			version = r.versions[i]
		}
		c.held.set(r.Type, name, version)
	}
	for _, name := range r.Removed {
		delete(c.held[r.Type], name)
	}
}

// Came are the responses so far.
func (c *Client) Came() []Response {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.came)
}

// Held is what it has now.
func (c *Client) Held() Held {
	c.mu.Lock()
	defer c.mu.Unlock()
	held := Held{}
	for typeURL, names := range c.held {
		for name, version := range names {
			held.set(typeURL, name, version)
		}
	}
	return held
}

// Ended is closed once the stream has ended; Err says why.
func (c *Client) Ended() <-chan struct{} { return c.ended }

// Err is why the stream ended. Call it only after that.
func (c *Client) Err() error { return c.err }

// Again opens another stream of a client that has what this one has, where the address leads now.
func (c *Client) Again() (*Client, error) {
	config := c.config
	config.Has = c.Held()
	return Connect(config)
}

// Close ends the stream.
func (c *Client) Close() {
	c.stop()
	<-c.ended
	_ = c.conn.Close()
}
