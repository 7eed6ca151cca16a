package xds

import (
	"context"
	"errors"
	"log/slog"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/grpc/codes"

	"github.com/podway/podway/api"
)

// sameGateway refuses a node that is of another Gateway than that of the stream's first request. A request needs none.
func (s *stream) sameGateway(node *corev3.Node) *denial {
	if cluster := node.GetCluster(); cluster != "" && cluster != s.node.gateway {
		return deny(reasonChangedGateway, codes.PermissionDenied, "node.cluster changed from %q to %q within the stream; open another stream for another Gateway",
			short(s.node.gateway), short(cluster))
	}
	return nil
}

// take takes a request in, tells of what it rejects once no lock is held, and sees to it that what it leads to is sent.
func (s *stream) take(ctx context.Context, r request) error {
	if refused := s.sameGateway(r.node); refused != nil {
		return s.server.deny(ctx, refused)
	}
	rejections, owes, err := s.accept(r)
	s.tell(rejections)
	if err != nil {
		// The stream may take long to end, where its client does not read.
		s.release()
		return s.refusal(ctx, err)
	}
	if owes {
		s.poke()
	}
	return nil
}

// tell tells of rejections. No lock is held.
func (s *stream) tell(rejections []api.Rejection) {
	for _, rejection := range rejections {
		level := slog.LevelWarn
		if rejection.Again {
			level = slog.LevelDebug
		}
		s.log.Log(context.Background(), level, "Envoy rejected a resource", "type", messageName(rejection.Key.Type), "name", rejection.Key.Name,
			"version", rejection.Version, "error", rejection.Message)
		s.server.config.OnRejected(rejection)
	}
	if len(rejections) > 0 {
		s.server.rejectsNow(s)
	}
}

// takeRejections returns what is to be told.
func (s *stream) takeRejections() []api.Rejection {
	s.mu.Lock()
	defer s.mu.Unlock()
	rejections := s.rejections
	s.rejections = nil
	return rejections
}

// refusal is why the stream ends because of a request.
func (s *stream) refusal(ctx context.Context, err error) error {
	var refused *denial
	if errors.As(err, &refused) {
		return s.server.deny(ctx, refused)
	}
	return err
}

// accept takes a request in. What changed in the view before it comes first, so that a new subscription starts from now. It returns what the
// request rejects, and whether there may be something to send.
func (s *stream) accept(r request) (rejections []api.Rejection, owes bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// What is published before this is taken in now, and the stream is woken for what is published after it.
	s.awaited.Store(nil)
	s.view.rLock()
	defer s.view.mu.RUnlock()
	if s.view.known {
		if err := s.absorb(); err != nil {
			return nil, false, err
		}
	}
	r.decode(s.view)
	if err := r.check(s.server.config.Limits); err != nil {
		return nil, false, err
	}
	st, err := s.state(r.typeURL)
	if err != nil {
		return nil, false, err
	}
	s.returning = s.returning || !st.begun && (len(r.initial) > 0 || r.version != "")
	asked := s.variant.accept(s, st, r)
	st.sub.fold(&s.server.names)
	rejections, s.rejections = s.rejections, nil
	if r.count() > 0 {
		st.loose, st.pending = s.looseCost(st), s.claimsCost(st)
	}
	if err := s.checkSubscriptions(st); err != nil {
		return rejections, false, err
	}
	// What asks for nothing that costs is not refused for what was asked before: a SotW client repeats its names with each ACK.
	if refused := s.pay(); refused != nil && (len(r.initial) > 0 || s.costs(st, asked)) {
		return rejections, false, refused
	}
	return rejections, s.mayOwe(), nil
}
