package xds

import (
	"context"
	"errors"
	"io"

	statusv3 "github.com/envoyproxy/go-control-plane/envoy/service/status/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

const (
	// maxStatusBytes is how large an answer may become: the names of a million resources need about a quarter of a gigabyte.
	maxStatusBytes = 32 << 20
	// maxContentBytes is how much of it are contents. What comes after it is told without.
	maxContentBytes = 2 << 20
	// maxInspections is how many answers are made at a time; others wait.
	maxInspections = 2
	// maxInspectors is how many calls are open at a time.
	maxInspectors = 64
)

// inspection is ClientStatusDiscoveryService: who has what, for tools.
type inspection struct {
	statusv3.UnimplementedClientStatusDiscoveryServiceServer

	server *Server
	// callers and makers have an element for each call that is open, and for each answer that is being made.
	callers, makers chan struct{}
}

func newInspection(s *Server) *inspection {
	return &inspection{server: s, callers: make(chan struct{}, maxInspectors), makers: make(chan struct{}, maxInspections)}
}

// FetchClientStatus answers once.
func (i *inspection) FetchClientStatus(ctx context.Context, r *statusv3.ClientStatusRequest) (*statusv3.ClientStatusResponse, error) {
	leave, err := i.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	return i.answer(ctx, r)
}

// StreamClientStatus answers each request.
func (i *inspection) StreamClientStatus(g statusv3.ClientStatusDiscoveryService_StreamClientStatusServer) error {
	leave, err := i.enter()
	if err != nil {
		return err
	}
	defer leave()
	// Whoever may not ask is told so before the first request.
	if err := i.server.AuthorizeOperator(g.Context()); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(g.Context())
	defer cancel()
	requests, intake := make(chan *statusv3.ClientStatusRequest), intakeOf(ctx)
	failed := make(chan error, 1)
	go func() { failed <- receiveAll(ctx, g, requests) }()
	for {
		select {
		case <-i.server.down:
			return errShutdown
		case err := <-failed:
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		case r := <-requests:
			response, err := i.answer(ctx, r)
			intake.took(proto.Size(r))
			if err != nil {
				return err
			}
			if err := g.Send(response); err != nil {
				return err
			}
		}
	}
}

func receiveAll(ctx context.Context, g statusv3.ClientStatusDiscoveryService_StreamClientStatusServer, to chan<- *statusv3.ClientStatusRequest) error {
	for {
		r, err := g.Recv()
		if err != nil {
			return err
		}
		select {
		case to <- r:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// enter lets a call in. The caller calls leave at its end.
func (i *inspection) enter() (leave func(), err error) {
	select {
	case i.callers <- struct{}{}:
		return func() { <-i.callers }, nil
	default:
		return nil, status.Errorf(codes.ResourceExhausted, "%d calls for the status of clients are open already, the limit; try again later", maxInspectors)
	}
}

func (i *inspection) answer(ctx context.Context, r *statusv3.ClientStatusRequest) (*statusv3.ClientStatusResponse, error) {
	if err := i.server.AuthorizeOperator(ctx); err != nil {
		return nil, err
	}
	wanted, err := newNodeFilter(r.GetNodeMatchers())
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	select {
	case i.makers <- struct{}{}:
		defer func() { <-i.makers }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	contents := newContents(maxContentBytes)
	if r.GetExcludeResourceContents() {
		contents = newContents(0)
	}
	response, size := &statusv3.ClientStatusResponse{}, 0
	for _, st := range i.server.sorted(func(st *stream) bool { return wanted(st.described) }) {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		client := st.clientConfig(contents)
		response.Config = append(response.Config, client)
		if size += proto.Size(client); size > maxStatusBytes {
			return nil, status.Errorf(codes.ResourceExhausted,
				"the status of these clients takes more than %d bytes; ask for fewer of them with node_matchers", maxStatusBytes)
		}
	}
	return response, nil
}
