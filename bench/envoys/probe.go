package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/podway/podway/envoy"
)

const (
	// patience is how long a change may take.
	patience = 20 * time.Second
	// mostTries is how many connections are opened until each Envoy has got one.
	mostTries = 5000
)

// probe asks one Envoy, over one connection.
type probe struct {
	client *http.Client
	url    string
}

// newProbes opens a connection to each Envoy. All listen on the same address, as those of one Gateway do that share a host, so the kernel says
// whose a connection is, and the Envoys' counters tell.
func newProbes(ctx context.Context, address string, envoys []*envoy.Process) ([]*probe, error) {
	probes := make([]*probe, len(envoys))
	counted := make([]uint64, len(envoys))
	missing := len(envoys)
	for range mostTries {
		if missing == 0 {
			return probes, nil
		}
		p, err := newProbe(ctx, address)
		if err != nil {
			return nil, err
		}
		// After an answer the connection has been counted.
		if _, err := p.ask(ctx, "host"); err != nil {
			return nil, err
		}
		owner := -1
		for i, e := range envoys {
			if probes[i] != nil {
				continue
			}
			now, err := connections(ctx, e, address)
			if err != nil {
				return nil, err
			}
			if now > counted[i] {
				owner = i
			}
			counted[i] = now
		}
		if owner < 0 {
			p.close()
			continue
		}
		probes[owner] = p
		missing--
	}
	return nil, fmt.Errorf("%d of %d Envoys have got none of %d connections", missing, len(envoys), mostTries)
}

// connections is how many an Envoy has accepted at an address.
func connections(ctx context.Context, e *envoy.Process, address string) (uint64, error) {
	name := "listener." + strings.ReplaceAll(address, ":", "_") + ".downstream_cx_total"
	stats, err := e.Admin().Stats(ctx, "^"+strings.ReplaceAll(name, ".", `\.`)+"$")
	if err != nil {
		return 0, err
	}
	count, ok := stats[name]
	if !ok {
		return 0, fmt.Errorf("envoy has no counter %s", name)
	}
	return count, nil
}

// newProbe connects, once: where the connection ends, requests fail.
func newProbe(ctx context.Context, address string) (*probe, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	var used atomic.Bool
	dial := func(context.Context, string, string) (net.Conn, error) {
		if used.Swap(true) {
			return nil, errors.New("the connection to this Envoy has ended")
		}
		return conn, nil
	}
	return &probe{url: "http://" + address + "/", client: &http.Client{
		Transport: &http.Transport{DialContext: dial, MaxConnsPerHost: 1, DisableCompression: true}, Timeout: patience,
	}}, nil
}

// ask sends a request for a host and returns the headers of its answer.
func (p *probe) ask(ctx context.Context, host string) (http.Header, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url, http.NoBody)
	if err != nil {
		return nil, err
	}
	request.Host = host + ".example"
	response, err := p.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s is answered with %s", request.Host, response.Status)
	}
	return response.Header, nil
}

func (p *probe) close() { p.client.CloseIdleConnections() }

// seen asks all Envoys again and again until each has answered with a header's value, and returns when each first did, from begun.
func (w *world) seen(ctx context.Context, begun time.Time, poll time.Duration, host, header, value string) ([]time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	times, errs := make([]time.Duration, len(w.probes)), make([]error, len(w.probes))
	var group sync.WaitGroup
	for i, p := range w.probes {
		// They take turns, so that requests do not come in heaps.
		turn := poll * time.Duration(i) / time.Duration(len(w.probes))
		group.Go(func() { times[i], errs[i] = p.await(ctx, begun, turn, poll, host, header, value) })
	}
	group.Wait()
	return times, errors.Join(errs...)
}

func (p *probe) await(ctx context.Context, begun time.Time, turn, poll time.Duration, host, header, value string) (time.Duration, error) {
	last := ""
	for next := begun.Add(turn); ; next = next.Add(poll) {
		select {
		case <-time.After(time.Until(next)):
		case <-ctx.Done():
			return 0, fmt.Errorf("an Envoy still answers with %s %q instead of %q: %w", header, last, value, ctx.Err())
		}
		got, err := p.ask(ctx, host)
		if err != nil {
			return 0, err
		}
		if last = got.Get(header); last == value {
			return time.Since(begun), nil
		}
		if now := time.Now(); next.Before(now) {
			next = now
		}
	}
}
