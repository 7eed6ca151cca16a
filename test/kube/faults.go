package kubetest

import (
	"context"
	"errors"
	"syscall"
)

// RestartOptions say what is other than before.
type RestartOptions struct {
	// Compact makes etcd forget the history while no API server runs: see Compact.
	Compact bool
	// OtherCA has the API server show a certificate of a new authority. CA, Config, Client and Kubeconfig follow; what was made of them before is refused.
	OtherCA bool
	// Flags are handed to this kube-apiserver after all others.
	Flags []string
}

// StopServer ends the API server as an upgrade does: it refuses new connections and finishes what it has begun, watches aside. It
// returns when the process has ended, after some seconds.
func (c *Cluster) StopServer() {
	c.t.Helper()
	c.fault("stopping the API server", func() error { return c.server.stop() })
}

// Kill ends the API server as a crash does. From then on, connections are refused.
func (c *Cluster) Kill() {
	c.t.Helper()
	c.fault("killing the API server", func() error { return c.server.kill() })
}

// Freeze stops the API server from doing anything: connections are accepted by the kernel, nothing is answered, nothing is closed. It
// returns once that is so.
func (c *Cluster) Freeze() {
	c.t.Helper()
	c.fault("freezing the API server", func() error { return c.server.freeze() })
}

// Thaw lets a frozen API server go on where it was.
func (c *Cluster) Thaw() {
	c.t.Helper()
	c.fault("thawing the API server", func() error { return c.server.signal(syscall.SIGCONT) })
}

// Restart kills the API server if it runs, and starts another on the same address and data; it returns when that is ready. Its watch
// caches know no history. The controllers start anew too, or they would wait before they tried again.
func (c *Cluster) Restart(o RestartOptions) {
	c.t.Helper()
	c.fault("restarting the API server", func() error {
		if err := errors.Join(c.controllers.kill(), c.server.kill()); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(c.t.Context()), startLimit)
		defer cancel()
		if o.Compact {
			if err := c.compact(ctx); err != nil {
				return err
			}
		}
		if o.OtherCA {
			if err := c.changeAuthority("other-ca"); err != nil {
				return err
			}
		}
		return c.startServing(ctx, o.Flags)
	})
}

// Replace puts another cluster on the same address: a new etcd with nothing in it, so that ClusterUID is another, with the same certificate
// and the same tokens of AdminToken and TokenOf. Those of ServiceAccounts are refused. It returns when that is ready.
func (c *Cluster) Replace() {
	c.t.Helper()
	c.fault("replacing the cluster", func() error {
		c.stores++
		c.store = c.stores
		return c.serveStore()
	})
}

// PutBack puts the first cluster back after Replace, as it was. It returns when that is ready.
func (c *Cluster) PutBack() {
	c.t.Helper()
	c.fault("putting the cluster back", func() error {
		c.store = 0
		return c.serveStore()
	})
}

// serveStore runs everything anew on the store that counts now.
func (c *Cluster) serveStore() error {
	if err := c.endAll(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.t.Context()), startLimit)
	defer cancel()
	if err := c.startEtcd(); err != nil {
		return err
	}
	return c.startServing(ctx, nil)
}

// changeAuthority makes the certificate that the next API server shows, of a new authority, and the client that trusts it.
func (c *Cluster) changeAuthority(name string) error {
	ca, err := newAuthority(c.Name + "-" + name)
	if err != nil {
		return err
	}
	if err := c.writeServing(ca); err != nil {
		return err
	}
	return c.trust(ca)
}

// fault does what changes processes, one at a time, and fails the test with the ends of the logs where it does not work.
func (c *Cluster) fault(what string, do func() error) {
	c.t.Helper()
	c.processes.Lock()
	defer c.processes.Unlock()
	if err := do(); err != nil {
		c.t.Fatalf("%s: %s: %v", c.Name, what, err)
	}
}
