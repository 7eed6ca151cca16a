package kubetest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"
)

// Proxy is a TCP proxy before an API server: the network between. It sees no requests, so that the API server's own certificate is shown.
type Proxy struct {
	t       testing.TB
	address string
	ctx     context.Context
	running sync.WaitGroup

	mu       sync.Mutex
	target   string
	listener net.Listener // nil while refusing
	open     map[*link]struct{}
	// pass is closed while bytes may flow.
	pass    chan struct{}
	delay   time.Duration
	accepts int
	// rate is how many bytes a second go to clients, 0 for no limit; free is when the next may.
	rate int
	free time.Time
}

// NewProxy listens on a port of 127.0.0.1 and forwards to target, IP:PORT, which need not be there yet. It ends with the test.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	p := &Proxy{t: t, target: target, ctx: ctx, open: map[*link]struct{}{}, pass: make(chan struct{})}
	close(p.pass)
	kept, err := reservePort()
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	p.address = kept.address()
	t.Cleanup(func() {
		p.Refuse()
		cancel()
		p.running.Wait()
		if err := kept.close(); err != nil {
			t.Errorf("proxy: %v", err)
		}
	})
	p.Accept()
	return p
}

// Address is where it listens, always the same: 127.0.0.1:PORT.
func (p *Proxy) Address() string { return p.address }

// URL is https://ADDRESS, for KubeconfigAt.
func (p *Proxy) URL() string { return "https://" + p.address }

// Accepted is how many connections there have been.
func (p *Proxy) Accepted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accepts
}

// Open is how many connections there are.
func (p *Proxy) Open() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.open)
}

// Blackhole forwards nothing any more, in both directions: connections stay, new ones are accepted and wait, and nobody learns of an end.
func (p *Proxy) Blackhole() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.passes() {
		p.pass = make(chan struct{})
	}
}

// Pass ends a blackhole. What was sent meanwhile goes on to where it was sent, as if it had been sent again and again.
func (p *Proxy) Pass() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.passes() {
		close(p.pass)
	}
}

func (p *Proxy) passes() bool {
	select {
	case <-p.pass:
		return true
	default:
		return false
	}
}

// Lead has new connections go to another target. Those that there are stay with theirs, as behind a load balancer, or when a name gets another address.
func (p *Proxy) Lead(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
}

func (p *Proxy) leads() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.target
}

// Delay adds a latency to what is read from now on, in both directions, without a limit on how much is under way.
func (p *Proxy) Delay(each time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = each
}

// Limit has connections that are opened from now on share so many bytes a second toward their clients; 0 is no limit. What the server has
// said waits with it, as in front of a narrow network.
func (p *Proxy) Limit(bytesPerSecond int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rate = bytesPerSecond
}

// limited is true while there is a limit.
func (p *Proxy) limited() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rate > 0
}

// turn is when so many bytes may go to a client.
func (p *Proxy) turn(count int) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); p.free.Before(now) {
		p.free = now
	}
	turn := p.free
	if p.rate > 0 {
		p.free = p.free.Add(time.Duration(count) * time.Second / time.Duration(p.rate))
	}
	return turn
}

// Cut resets all connections. New ones are served as before.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for link := range p.open {
		link.reset()
	}
}

// Refuse resets all connections and listens no more: new ones are refused.
func (p *Proxy) Refuse() {
	p.mu.Lock()
	listener := p.listener
	p.listener = nil
	p.mu.Unlock()
	if listener != nil {
		listener.Close()
	}
	p.Cut()
}

// Accept listens again after Refuse.
func (p *Proxy) Accept() {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != nil {
		return
	}
	config := net.ListenConfig{Control: sharePort}
	listener, err := config.Listen(p.ctx, "tcp", p.address)
	if err != nil {
		p.t.Fatalf("proxy: %v", err)
	}
	p.listener = listener
	p.running.Go(func() { p.serve(listener) })
}

func (p *Proxy) serve(listener net.Listener) {
	for {
		client, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			p.t.Errorf("proxy: accepting: %v", err)
			return
		}
		link := newLink(p.ctx, client)
		p.mu.Lock()
		p.accepts++
		p.open[link] = struct{}{}
		refusing := p.listener != listener
		p.mu.Unlock()
		if refusing {
			link.reset()
		}
		p.running.Go(func() {
			defer p.forget(link)
			link.run(p)
		})
	}
}

func (p *Proxy) forget(link *link) {
	link.reset()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, link)
}

// state is what holds now: whether bytes flow (a closed channel), and the latency.
func (p *Proxy) state() (pass <-chan struct{}, delay time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pass, p.delay
}

// waitPass blocks while nothing is forwarded.
func (p *Proxy) waitPass(ctx context.Context) error {
	for {
		pass, _ := p.state()
		select {
		case <-pass:
			if now, _ := p.state(); now == pass { // else it has been closed and made again
				return nil
			}
		case <-ctx.Done():
			return fmt.Errorf("waiting to forward: %w", context.Cause(ctx))
		}
	}
}
