package kubetest

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// issuer names the clusters' own service account tokens.
const issuer = "https://kubernetes.default.svc"

// startServer runs the API server. It says nothing about whether it is ready.
func (c *Cluster) startServer(flags []string) (err error) {
	c.server, err = c.runServer(c.serverPort, c.etcdPort.address(), "kube-apiserver.log", flags)
	return err
}

// runServer runs an API server on a port and an etcd.
func (c *Cluster) runServer(at *port, etcd, log string, flags []string) (*process, error) {
	args := []string{
		"--etcd-servers=http://" + etcd,
		"--bind-address=127.0.0.1", "--secure-port=" + strconv.Itoa(at.number), "--permit-port-sharing",
		// In a network namespace with a loopback device alone, none would be found.
		"--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none",
		"--tls-cert-file=" + c.file("server.crt"), "--tls-private-key-file=" + c.file("server.key"),
		"--token-auth-file=" + c.file("tokens.csv"), "--client-ca-file=" + c.file("clients.crt"), "--authorization-mode=RBAC",
		"--service-account-issuer=" + issuer, "--service-account-extend-token-expiration=false",
		"--service-account-signing-key-file=" + c.file("accounts.key"), "--service-account-key-file=" + c.file("accounts.key"),
		// Pods could not be made before a controller had given their namespace its default ServiceAccount.
		"--disable-admission-plugins=ServiceAccount",
		"--service-cluster-ip-range=10.96.0.0/16,fd00:96::/108", "--profiling=false",
	}
	args = append(append(args, c.ServerFlags...), flags...)
	server, err := startProcess("kube-apiserver", c.file(log), c.binaries.server, args...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Name, err)
	}
	return server, nil
}

// startControllers runs a controller manager with the controllers that are wanted; none if that is so.
func (c *Cluster) startControllers() error {
	if len(c.Controllers) == 0 {
		return nil
	}
	if err := c.write("controllers.kubeconfig", c.Kubeconfig(c.AdminToken())); err != nil {
		return err
	}
	controllers, err := startProcess("kube-controller-manager", c.file("kube-controller-manager.log"), c.binaries.controllers,
		"--kubeconfig="+c.file("controllers.kubeconfig"), "--controllers="+strings.Join(c.Controllers, ","),
		"--leader-elect=false", "--secure-port=0", "--profiling=false", "--kube-api-qps=2000", "--kube-api-burst=4000",
		"--concurrent-service-endpoint-syncs=10")
	if err != nil {
		return fmt.Errorf("%s: %w", c.Name, err)
	}
	c.controllers = controllers
	return nil
}

// waitReady blocks until the API server says that it is ready, its own namespaces are there, and the node.
func (c *Cluster) waitReady(ctx context.Context) error {
	err := untilReady(ctx, c.ready, c.etcd, c.server, c.controllers)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w%s", c.Name, err, c.tails())
	}
	return fmt.Errorf("%s: %w", c.Name, err)
}

// untilReady asks until the answer is good, or something that it needs has crashed.
func untilReady(ctx context.Context, ready func(context.Context) error, needs ...*process) error {
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		err := askOnce(ctx, ready)
		if err == nil {
			return nil
		}
		for _, p := range needs {
			if crashed := p.crashed(); crashed != nil {
				return crashed
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting until the API server is ready: %w; %w", context.Cause(ctx), err)
		case <-poll.C:
		}
	}
}

// askOnce bounds how long an answer may take.
func askOnce(ctx context.Context, ready func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return ready(ctx)
}

// ready asks once, and makes the node.
func (c *Cluster) ready(ctx context.Context) error {
	client := c.reached().client
	if _, err := client.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx); err != nil {
		return err
	}
	for _, name := range []string{"kube-system", "default"} {
		if _, err := c.readNamespace(ctx, name); err != nil {
			return err
		}
	}
	// The controller of EndpointSlices passes over Pods on nodes that it does not know.
	if err := c.create(ctx, Node(NodeName, Zone)); err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	return nil
}
