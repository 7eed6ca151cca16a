package kubetest

import (
	"context"
	"errors"
	"os"
	"strconv"
)

// RestartEtcd kills etcd, and starts it again on its data after pause, while the API server runs on.
func (c *Cluster) RestartEtcd(pause func()) {
	c.t.Helper()
	c.fault("restarting etcd", func() error {
		if err := c.etcd.kill(); err != nil {
			return err
		}
		pause()
		return c.startEtcd()
	})
}

// Save ends everything, copies what etcd has, and starts everything again. It returns when that is ready, with what Restore takes.
func (c *Cluster) Save() (saved string) {
	c.t.Helper()
	c.fault("saving the store", func() error {
		if err := c.endAll(); err != nil {
			return err
		}
		c.stores++
		saved = c.storeDirectory(c.stores)
		if err := os.CopyFS(saved, os.DirFS(c.storeDirectory(c.store))); err != nil {
			return err
		}
		return c.serveStore()
	})
	return saved
}

// Restore ends everything, and starts it on what Save has saved, as from a backup: the versions of objects go back, and the cluster's
// UID stays. It returns when that is ready.
func (c *Cluster) Restore(saved string) {
	c.t.Helper()
	c.fault("restoring the store", func() error {
		if err := c.endAll(); err != nil {
			return err
		}
		c.stores++
		c.store = c.stores
		if err := os.CopyFS(c.storeDirectory(c.store), os.DirFS(saved)); err != nil {
			return err
		}
		return c.serveStore()
	})
}

// FillStore raises etcd's alarm of a full disk: it takes no write until EmptyStore.
func (c *Cluster) FillStore() { c.alarm("ACTIVATE") }

// EmptyStore ends the alarm.
func (c *Cluster) EmptyStore() { c.alarm("DEACTIVATE") }

func (c *Cluster) alarm(action string) {
	c.t.Helper()
	ctx, cancel := c.limited()
	defer cancel()
	if err := c.setAlarm(ctx, action); err != nil {
		c.t.Fatalf("%s: the alarm of etcd: %v", c.Name, err)
	}
}

func (c *Cluster) setAlarm(ctx context.Context, action string) error {
	var now struct {
		Header struct {
			Member string `json:"member_id"`
		} `json:"header"`
	}
	if err := c.askEtcd(ctx, "/v3/kv/range", map[string]any{"key": "AA=="}, &now); err != nil {
		return err
	}
	return c.askEtcd(ctx, "/v3/maintenance/alarm", map[string]any{"action": action, "memberID": now.Header.Member, "alarm": "NOSPACE"}, nil)
}

func (c *Cluster) endAll() error {
	return errors.Join(c.controllers.kill(), c.server.kill(), c.etcd.kill())
}

func (c *Cluster) storeDirectory(number int) string { return c.file("etcd-" + strconv.Itoa(number)) }
