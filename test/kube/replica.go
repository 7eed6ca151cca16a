package kubetest

import (
	"context"
	"fmt"

	"k8s.io/client-go/kubernetes"
)

// Replica is one more API server of a cluster, on the same etcd, with the same certificate, tokens and keys. It ends with the test.
type Replica struct {
	// Store is the network between it and etcd. While that is a blackhole the replica knows nothing new, and goes on to tell what it knows.
	Store   *Proxy
	port    *port
	process *process
}

// StartReplica starts one, and returns once it is ready. Controllers and Client stay with the API server that the cluster was started with, and what
// else starts and stops does so with that one alone.
func (c *Cluster) StartReplica() *Replica {
	c.t.Helper()
	r := &Replica{Store: NewProxy(c.t, c.etcdPort.address())}
	c.t.Cleanup(r.end)
	c.fault("starting a replica", func() (err error) {
		if r.port, err = reservePort(); err != nil {
			return err
		}
		if r.process, err = c.runServer(r.port, r.Store.Address(), "kube-apiserver-replica.log", nil); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(c.t.Context()), startLimit)
		defer cancel()
		return r.awaitReady(ctx, c)
	})
	return r
}

// Address is where it listens: 127.0.0.1:PORT.
func (r *Replica) Address() string { return r.port.address() }

func (r *Replica) awaitReady(ctx context.Context, c *Cluster) error {
	config := c.Config()
	config.Host = "https://" + r.Address()
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	return untilReady(ctx, func(ctx context.Context) error {
		_, err := client.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
		return err
	}, r.process)
}

func (r *Replica) end() {
	_ = r.process.kill() // the test's processes go with it in any case
	if r.port != nil {
		_ = r.port.close()
	}
}
