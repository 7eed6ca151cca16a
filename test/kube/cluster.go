package kubetest

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// startLimit is how long an API server may take to become ready. It takes 3 s on two idle cores.
const startLimit = 2 * time.Minute

// EndpointSlices is the controller that makes EndpointSlices from Services and Pods.
const EndpointSlices = "endpointslice-controller"

// Options say what a cluster has.
type Options struct {
	// Name is what errors call it; "cluster" if empty.
	Name string
	// Controllers are those of kube-controller-manager that run, such as EndpointSlices. With none, tests write what controllers would,
	// and no controller manager is started.
	Controllers []string
	// Users get a token each, for TokenOf, and no right at all until a test binds a role to them.
	Users []string
	// ServerFlags are handed to kube-apiserver after all others.
	ServerFlags []string
}

// Cluster is an etcd, an API server and, where wanted, a controller manager.
type Cluster struct {
	Options

	t         testing.TB
	directory string
	binaries  binaries
	// What stays for the whole life of the cluster, whoever listens there.
	serverPort, etcdPort, peerPort *port
	accountKey                     *ecdsa.PrivateKey
	tokens                         map[string]string // user → token
	clients                        *authority

	// processes guards what runs. It is held while something is started or stopped.
	processes                 sync.Mutex
	etcd, server, controllers *process
	store, stores             int // the number of the etcd that counts, and of the newest

	// reach guards how to get to the API server that runs now.
	reach  sync.Mutex
	access *access
}

// Start starts a cluster and returns once it is ready: /readyz says ok, and its own namespaces are there. It ends with the test.
func Start(t testing.TB, o Options) *Cluster {
	t.Helper()
	return StartAll(t, o)[0]
}

// StartAll starts several clusters at once.
func StartAll(t testing.TB, options ...Options) []*Cluster {
	t.Helper()
	clusters, errs := make([]*Cluster, len(options)), make([]error, len(options))
	for i, o := range options {
		clusters[i], errs[i] = newCluster(t, o)
	}
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), startLimit)
	defer cancel()
	var all sync.WaitGroup
	for i, c := range clusters {
		all.Go(func() { errs[i] = c.start(ctx) })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	return clusters
}

// newCluster makes all that is needed but starts nothing. What it makes goes with the test.
func newCluster(t testing.TB, o Options) (*Cluster, error) {
	if o.Name == "" {
		o.Name = "cluster"
	}
	found, err := findBinaries()
	if err != nil {
		return nil, err
	}
	c := &Cluster{Options: o, t: t, directory: t.TempDir(), binaries: found}
	t.Cleanup(c.end)
	for _, p := range []**port{&c.serverPort, &c.etcdPort, &c.peerPort} {
		if *p, err = reservePort(); err != nil {
			return nil, err
		}
	}
	if err := c.writeAccountKey(); err != nil {
		return nil, err
	}
	if err := c.writeTokens(); err != nil {
		return nil, err
	}
	if err := c.writeClientCA(); err != nil {
		return nil, err
	}
	return c, c.changeAuthority("ca")
}

func (c *Cluster) file(name string) string { return filepath.Join(c.directory, name) }

func (c *Cluster) write(name string, content []byte) error {
	if err := os.WriteFile(c.file(name), content, 0o600); err != nil {
		return fmt.Errorf("%s: %w", c.Name, err)
	}
	return nil
}

// start runs everything and waits until it is ready.
func (c *Cluster) start(ctx context.Context) error {
	c.processes.Lock()
	defer c.processes.Unlock()
	if err := c.startEtcd(); err != nil {
		return err
	}
	return c.startServing(ctx, nil)
}

// startServing runs the API server on the etcd that runs and, once it is ready, the controllers: they give up after 10 s without one, which a
// busy machine takes.
func (c *Cluster) startServing(ctx context.Context, flags []string) error {
	if err := c.startServer(flags); err != nil {
		return err
	}
	if err := c.waitReady(ctx); err != nil {
		return err
	}
	return c.startControllers()
}

// end stops all processes; and tells what they have said, if the test has failed or one has ended by itself.
func (c *Cluster) end() {
	c.processes.Lock()
	defer c.processes.Unlock()
	running := []*process{c.controllers, c.server, c.etcd}
	for _, p := range running {
		if err := p.crashed(); err != nil {
			c.t.Errorf("%s: %v", c.Name, err)
		}
		if err := p.kill(); err != nil {
			c.t.Errorf("%s: %v", c.Name, err)
		}
	}
	for _, p := range running {
		if p != nil && c.t.Failed() {
			c.t.Logf("%s: the end of the log of %s%s", c.Name, p.name, p.tail())
		}
	}
	for _, p := range []*port{c.serverPort, c.etcdPort, c.peerPort} {
		if p == nil {
			continue
		}
		if err := p.close(); err != nil {
			c.t.Errorf("%s: %v", c.Name, err)
		}
	}
	c.reach.Lock()
	defer c.reach.Unlock()
	if c.access != nil {
		c.access.close()
	}
}

// tails are the ends of all logs, to end an error with.
func (c *Cluster) tails() string {
	said := ""
	for _, p := range []*process{c.controllers, c.server, c.etcd} {
		if p != nil {
			said += "\nthe end of the log of " + p.name + p.tail()
		}
	}
	return said
}
