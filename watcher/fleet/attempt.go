package fleet

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/watcher/credential"
	"github.com/podway/podway/watcher/kube"
)

// keptCredentials is how many credentials that were renewed are remembered.
const keptCredentials = 4

// target is what a session is made of.
type target struct {
	credential *credential.Credential
	scope      *snapshot.Scope
	uid        string
}

// attempt is a session with one credential.
type attempt struct {
	target  target
	client  *kube.Client
	session *kube.Session
	// credentials are the one of the target and those that it was renewed to, the one in use last.
	credentials atomic.Pointer[[]*credential.Credential]
	labels      map[string]bool
	begun       time.Time
	cancel      context.CancelFunc
	ended       chan struct{}
}

// attempt makes one that has not started.
func (m *member) attempt(to target) (*attempt, error) {
	config := to.credential.RESTConfig()
	config.UserAgent = m.fleet.config.UserAgent
	client, err := kube.NewClient(config)
	if err != nil {
		return nil, fmt.Errorf("the kubeconfig cannot be used: %w", err)
	}
	a := &attempt{target: to, client: client, begun: time.Now(), ended: make(chan struct{})}
	a.credentials.Store(&[]*credential.Credential{to.credential})
	a.session = kube.New(client, kube.Config{
		Cluster: m.name, Scope: to.scope, UID: to.uid,
		OnChange: m.change, OnHealth: func(kube.Health) { m.poke() },
	})
	return a, nil
}

// start runs the session until stop, or the context ends.
func (a *attempt) start(ctx context.Context) {
	ctx, a.cancel = context.WithCancel(ctx)
	go func() {
		defer close(a.ended)
		_ = a.session.Run(ctx) // it ends with its context, which is no error
	}()
}

// stop returns once the session has ended.
func (a *attempt) stop() {
	a.cancel()
	<-a.ended
}

// isFor says whether there is an attempt, and it is at the target.
func (a *attempt) isFor(to target) bool {
	return a != nil && a.target.uid == to.uid && a.target.scope.Equal(to.scope) && a.had(to.credential)
}

// had says whether a credential is that of the target, or one that it was renewed to not long ago. What is configured may be what the attempt
// began with for ever: not every place can be written to.
func (a *attempt) had(c *credential.Credential) bool {
	return c.Equal(a.target.credential) || slices.ContainsFunc(*a.credentials.Load(), c.Equal)
}

// leadsElsewhere says whether a target is, or may be, another cluster than the attempt's.
func (a *attempt) leadsElsewhere(to target) bool {
	return a.target.uid != to.uid || a.target.credential.Fingerprint() != to.credential.Fingerprint()
}

// credential is the one in use.
func (a *attempt) credential() *credential.Credential {
	all := *a.credentials.Load()
	return all[len(all)-1]
}

// use takes up a renewed credential. The ones before it still count as this attempt's: the file may have them for a moment.
func (a *attempt) use(renewed *credential.Credential) {
	all := append(slices.Clone(*a.credentials.Load()), renewed)
	all = all[max(0, len(all)-keptCredentials):]
	a.credentials.Store(&all)
	a.client.SetToken(renewed.Token)
}

// follow hands on of which namespaces the labels of Pods are asked for.
func (a *attempt) follow(labels map[string]bool) {
	if maps.Equal(a.labels, labels) {
		return
	}
	a.labels = maps.Clone(labels)
	a.session.FollowLabels(labels)
}
