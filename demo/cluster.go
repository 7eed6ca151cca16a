package demo

import (
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// DefaultGrace is how long a Pod that is to go still answers.
const DefaultGrace = 2 * time.Second

// ClusterConfig says what a cluster is like.
type ClusterConfig struct {
	Name string
	// Directory takes a file for each Service: the Service, its EndpointSlices and its Pods.
	Directory string
	// First is the address of the first Pod, such as 127.0.1.1; the next ones follow. Where the system has no such
	// addresses, all Pods are on 127.0.0.1.
	First netip.Addr
	// Grace is how long a Pod that is to go still answers, as one with a preStop hook does; DefaultGrace if 0.
	Grace time.Duration
}

// Cluster is a Kubernetes cluster of which there is only what others see: its
// Pods, and the objects that its API server would show. It is safe for concurrent use.
type Cluster struct {
	cfg ClusterConfig

	mu       sync.Mutex
	services []*Service // by mu
	next     netip.Addr // by mu: the address of the next Pod
	port     uint16     // by mu: the port of the last one
	random   *rand.Rand // by mu
	closed   bool       // by mu

	closing chan struct{}
	going   sync.WaitGroup
}

// NewCluster returns a cluster without Services.
func NewCluster(cfg ClusterConfig) *Cluster {
	if cfg.Grace == 0 {
		cfg.Grace = DefaultGrace
	}
	var seed uint64
	for _, b := range []byte(cfg.Name) {
		seed = seed*31 + uint64(b)
	}
	return &Cluster{cfg: cfg, next: cfg.First, random: rand.New(rand.NewPCG(seed, 1)), closing: make(chan struct{})}
}

// Name of the cluster.
func (c *Cluster) Name() string { return c.cfg.Name }

// Close kills all Pods and leaves the files as they are.
func (c *Cluster) Close() {
	c.mu.Lock()
	alreadyClosed := c.closed
	c.closed = true
	var pods []*Pod
	for _, service := range c.services {
		pods = append(pods, service.pods...)
	}
	c.mu.Unlock()
	if alreadyClosed {
		return
	}
	close(c.closing)
	c.going.Wait()
	for _, pod := range pods {
		pod.Backend.Kill()
	}
}

// errClosed is what everything answers after Close.
var errClosed = errors.New("the cluster is closed")

// startBackend finds an address for a new Pod. Call it with mu.
func (c *Cluster) startBackend(cfg BackendConfig, tlsConfig *tls.Config) (*Backend, error) {
	if c.closed {
		return nil, errClosed
	}
	cfg.Cluster, cfg.TLS = c.cfg.Name, tlsConfig
	const attempts = 100
	for range attempts {
		// All Pods have one port where that is free, as they would have in Kubernetes.
		cfg.Address = netip.AddrPortFrom(c.next, c.port)
		backend, err := StartBackend(cfg)
		switch {
		case err == nil:
			c.port = backend.Address().Port()
			if c.next != loopback {
				c.next = c.next.Next()
			}
			return backend, nil
		case errors.Is(err, syscall.EADDRINUSE):
			if c.next == loopback {
				c.port = 0
			} else {
				c.next = c.next.Next()
			}
		case errors.Is(err, syscall.EADDRNOTAVAIL):
			c.next, c.port = loopback, 0
		default:
			return nil, err
		}
	}
	return nil, fmt.Errorf("no free address for a Pod after %s", c.cfg.First)
}

// loopback is the only such address that every system has.
var loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// podSuffix is the end of a Pod's name as a ReplicaSet makes it. Call it with mu.
func (c *Cluster) podSuffix() string {
	const letters = "bcdfghjklmnpqrstvwxz2456789"
	suffix := make([]byte, 5)
	for i := range suffix {
		suffix[i] = letters[c.random.IntN(len(letters))]
	}
	return string(suffix)
}

func (c *Cluster) file(service string) string { return filepath.Join(c.cfg.Directory, service+".yaml") }
