package xds

import (
	"context"
	"errors"
	"io"
	"net"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// end notes why a connection ends. The first reason counts. A nil intake is allowed.
func (in *intake) end(err error) {
	if in == nil {
		return
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.lost == nil {
		in.lost = err
	}
}

// whyEnded says in words why a stream has ended: who reads that an Envoy comes and goes has to know on which side to look.
func whyEnded(err error, in *intake) string {
	switch {
	case errors.Is(err, io.EOF):
		return "the client has nothing more to ask"
	case errors.Is(err, context.Canceled), status.Code(err) == codes.Canceled:
		return in.whyLost()
	}
	return status.Convert(err).Message()
}

// whyLost says why a stream was canceled. A nil intake is allowed.
func (in *intake) whyLost() string {
	if in == nil {
		return "the client has gone"
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	switch {
	case in.failed != nil:
		return in.failed.Error()
	case in.lost == nil:
		return "the client ended the stream"
	case errors.Is(in.lost, io.EOF), errors.Is(in.lost, io.ErrUnexpectedEOF):
		return "the client closed the connection"
	case errors.Is(in.lost, net.ErrClosed):
		return "podway closed the connection: the client answers no pings, or pings all the time"
	}
	return in.lost.Error()
}
