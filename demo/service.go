package demo

import (
	"context"
	"crypto/tls"
	"fmt"
	"slices"
	"time"
)

// stopTimeout bounds how long a Pod may take to finish its requests.
const stopTimeout = 5 * time.Second

// ServiceConfig says what a Service is like.
type ServiceConfig struct {
	// Name; Namespace is default if empty.
	Namespace, Name string
	// Port of the Service, 8000 if 0. Its name is http.
	Port int32
	// AppProtocol of the port, such as kubernetes.io/h2c.
	AppProtocol string
	// TLS, where set, is what the Pods speak.
	TLS *tls.Config
}

// Service is one of a cluster, with the Pods behind it. Each change of it
// replaces its file as a whole and returns when that came into force.
type Service struct {
	cfg     ServiceConfig
	cluster *Cluster
	pods    []*Pod // by cluster.mu, in the order in which they were started
}

// Pod is a backend, and what its cluster says of it.
type Pod struct {
	*Backend
	// Name of the Pod, without its namespace.
	Name        string
	notReady    bool
	terminating bool
}

// NewService adds a Service without Pods and writes its file.
func (c *Cluster) NewService(cfg ServiceConfig) (*Service, error) {
	if cfg.Namespace == "" {
		cfg.Namespace = "default"
	}
	if cfg.Port == 0 {
		cfg.Port = 8000
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	service := &Service{cfg: cfg, cluster: c}
	c.services = append(c.services, service)
	_, err := service.write()
	return service, err
}

// Pods are those that are not about to go, in the order in which they were started.
func (s *Service) Pods() []*Pod {
	s.cluster.mu.Lock()
	defer s.cluster.mu.Unlock()
	return s.staying("")
}

// Scale starts and stops Pods of a version until there are count of them. The oldest stay.
func (s *Service) Scale(version string, count int) (time.Time, error) {
	s.cluster.mu.Lock()
	defer s.cluster.mu.Unlock()
	current := s.staying(version)
	for range count - len(current) {
		if err := s.start(version); err != nil {
			return time.Time{}, err
		}
	}
	if count < len(current) {
		s.terminate(current[count:])
	}
	return s.write()
}

// Replace starts a new Pod of the same version for each one, and lets the old ones go.
func (s *Service) Replace(old ...*Pod) (time.Time, error) {
	s.cluster.mu.Lock()
	defer s.cluster.mu.Unlock()
	for _, pod := range old {
		if err := s.start(pod.Version()); err != nil {
			return time.Time{}, err
		}
	}
	s.terminate(old)
	return s.write()
}

// Remove lets a Pod go: it takes no new requests, and ends after the cluster's grace.
func (s *Service) Remove(pod *Pod) (time.Time, error) {
	s.cluster.mu.Lock()
	defer s.cluster.mu.Unlock()
	s.terminate([]*Pod{pod})
	return s.write()
}

// Settled waits until no Pod is about to go any more.
func (s *Service) Settled(ctx context.Context) error {
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for {
		s.cluster.mu.Lock()
		going := len(s.pods) - len(s.staying(""))
		s.cluster.mu.Unlock()
		if going == 0 {
			return nil
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting for Pods of %s/%s to end: %w", s.cluster.cfg.Name, s.cfg.Name, ctx.Err())
		}
	}
}

// SetReady says whether a Pod passes its readiness probe. It answers all the same.
func (s *Service) SetReady(pod *Pod, ready bool) (time.Time, error) {
	s.cluster.mu.Lock()
	defer s.cluster.mu.Unlock()
	pod.notReady = !ready
	return s.write()
}

// staying are the Pods of a version, of all if empty, that are not about to go. Call it with the cluster's mu.
func (s *Service) staying(version string) []*Pod {
	var staying []*Pod
	for _, pod := range s.pods {
		if !pod.terminating && (version == "" || pod.Version() == version) {
			staying = append(staying, pod)
		}
	}
	return staying
}

// start adds a Pod that already answers. Call it with the cluster's mu.
func (s *Service) start(version string) error {
	name := fmt.Sprintf("%s-%s-%s", s.cfg.Name, version, s.cluster.podSuffix())
	backend, err := s.cluster.startBackend(BackendConfig{Namespace: s.cfg.Namespace, Name: name, Version: version}, s.cfg.TLS)
	if err != nil {
		return err
	}
	s.pods = append(s.pods, &Pod{Backend: backend, Name: name})
	return nil
}

// terminate marks Pods as about to go, and sees to it that they do. Call it with the cluster's mu.
func (s *Service) terminate(pods []*Pod) {
	c := s.cluster
	if c.closed {
		return
	}
	for _, pod := range pods {
		pod.terminating = true
	}
	c.going.Go(func() {
		grace := time.NewTimer(c.cfg.Grace)
		defer grace.Stop()
		select {
		case <-grace.C:
		case <-c.closing:
			return // Close kills them
		}
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		for _, pod := range pods {
			_ = pod.Stop(ctx) // one that does not end in time is killed, as Kubernetes does
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		s.pods = slices.DeleteFunc(s.pods, func(pod *Pod) bool { return slices.Contains(pods, pod) })
		_, _ = s.write() // fails where the directory has been removed meanwhile: nobody looks at it any more
	})
}

// write replaces the file. Call it with the cluster's mu.
func (s *Service) write() (time.Time, error) {
	content, err := s.yaml()
	if err != nil {
		return time.Time{}, err
	}
	return WriteFile(s.cluster.file(s.cfg.Name), content)
}
