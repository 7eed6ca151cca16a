package fleet

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/podway/podway/api/v1alpha1"
	"github.com/podway/podway/watcher/access"
	"github.com/podway/podway/watcher/credential"
)

// errNotAFile is why a renewed token is not written back.
var errNotAFile = errors.New("a Secret is not podway's to write")

const (
	renewTimeout = 15 * time.Second
	// renewAgain is how long to wait after a renewal: one that failed, or one whose token is due at once, by the clock of this machine.
	renewAgain = 30 * time.Second
)

// renewal is how the renewal of a token goes.
type renewal struct {
	// running is true while a goroutine is at it.
	running bool
	next    time.Time
	failure error
	// unsaved is why a renewed token could not be written back: a restart begins with the old one.
	unsaved error
}

// renew renews the token of the active attempt in good time: once half of its life is over.
func (m *member) renew(ctx context.Context, cluster *v1alpha1.MemberCluster) {
	if m.active == nil {
		return
	}
	at := renewAt(m.active.credential())
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if at.IsZero() || now.Before(at) || now.Before(m.renewal.next) || m.renewal.running {
		return
	}
	m.renewal.running = true
	active := m.active
	m.fleet.running.Go(func() { m.renewNow(ctx, cluster, active) })
}

// renewAt is when a token is to be renewed; zero for never: it has no end, or is no ServiceAccount's.
func renewAt(c *credential.Credential) time.Time {
	if c.ServiceAccount.Name == "" || c.TokenLifetime() <= 0 {
		return time.Time{}
	}
	return c.IssuedAt.Add(c.TokenLifetime() / 2)
}

func (m *member) renewNow(ctx context.Context, cluster *v1alpha1.MemberCluster, a *attempt) {
	ctx, cancel := context.WithTimeout(ctx, renewTimeout)
	defer cancel()
	old := a.credential()
	config := old.RESTConfig()
	config.UserAgent = m.fleet.config.UserAgent
	renewed, err := access.Renew(ctx, config, old)
	var unsaved error
	if err == nil {
		a.use(renewed)
		unsaved = m.writeBack(cluster, a, renewed)
		m.log.Info("Token renewed", "expires", renewed.Expires)
		m.fleet.metrics.renewals.WithLabelValues(m.name).Inc()
	}
	m.mu.Lock()
	m.renewal.running = false
	if m.active == a { // otherwise another credential has taken its place meanwhile
		m.renewal.failure, m.renewal.unsaved = err, unsaved
		m.renewal.next = time.Now().Add(renewAgain)
	}
	m.mu.Unlock()
	m.poke()
}

// writeBack replaces the kubeconfig that the token came from, if it still has that one or one that it was renewed to. A Secret is not podway's to write.
func (m *member) writeBack(cluster *v1alpha1.MemberCluster, a *attempt, renewed *credential.Credential) error {
	source := cluster.Spec.Source.Kubeconfig
	if source == nil || source.File == "" {
		return errNotAFile
	}
	loaded, _ := credential.Load(cluster, m.fleet.config.Directory, nil)
	if !a.had(loaded) {
		return nil // somebody has put another one there, which will be looked at
	}
	data, err := renewed.Kubeconfig()
	if err != nil {
		return err
	}
	return credential.WriteFile(filepath.Join(m.fleet.config.Directory, source.File), data)
}
