package kubetest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// startEtcd runs an etcd with a store of its own, empty where this one has not run before.
func (c *Cluster) startEtcd() error {
	client, peer := "http://"+c.etcdPort.address(), "http://"+c.peerPort.address()
	etcd, err := startProcess("etcd", c.file("etcd.log"), c.binaries.etcd,
		"--name=test", "--data-dir="+c.storeDirectory(c.store), "--unsafe-no-fsync", "--log-level=warn", "--socket-reuse-port",
		"--listen-client-urls="+client, "--advertise-client-urls="+client,
		"--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer, "--initial-cluster=test="+peer,
		// The only member need not wait for others.
		"--heartbeat-interval=50", "--election-timeout=500",
		"--quota-backend-bytes=8589934592",
	)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Name, err)
	}
	c.etcd = etcd
	return nil
}

// Compact makes etcd forget all versions of objects but the newest. An API server that runs still knows what its watch caches hold; one
// that was started afterwards answers 410 Gone to a watch from an older resourceVersion, and a list that goes on from one fails.
func (c *Cluster) Compact() {
	c.t.Helper()
	ctx, cancel := c.limited()
	defer cancel()
	if err := c.compact(ctx); err != nil {
		c.t.Fatalf("%s: compacting etcd: %v", c.Name, err)
	}
}

func (c *Cluster) compact(ctx context.Context) error {
	var now struct {
		Header struct {
			Revision string `json:"revision"`
		} `json:"header"`
	}
	if err := c.askEtcd(ctx, "/v3/kv/range", map[string]any{"key": "AA=="}, &now); err != nil {
		return err
	}
	return c.askEtcd(ctx, "/v3/kv/compaction", map[string]any{"revision": now.Header.Revision, "physical": true}, nil)
}

// askEtcd calls etcd's JSON gateway.
func (c *Cluster) askEtcd(ctx context.Context, path string, question, answer any) error {
	body, err := json.Marshal(question)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+c.etcdPort.address()+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	said, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %s", path, response.Status, said)
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(said, answer)
}
