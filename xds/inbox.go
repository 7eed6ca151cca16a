package xds

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// firstRequestBound is how long a stream may say nothing after it was opened.
const firstRequestBound = 30 * time.Second

// inbox is what the client sends. Its own goroutine takes it in: most of it are ACKs, after which nothing is owed, and none of them need wait
// for what is being sent.
type inbox struct {
	reader
	// first is the first request, or failed says why there is none; stream is what was made of it.
	first  chan request
	failed chan error
	stream chan *stream
	// done is closed once nothing more is received.
	done   chan struct{}
	intake *intake
}

// newInbox starts to receive.
func newInbox(ctx context.Context, v variant, from reader, intake *intake) *inbox {
	in := &inbox{
		reader: from, first: make(chan request, 1), stream: make(chan *stream, 1), failed: make(chan error, 1), done: make(chan struct{}),
		intake: intake,
	}
	go in.receive(ctx, v)
	return in
}

// receive takes in what comes until the stream ends.
func (in *inbox) receive(ctx context.Context, v variant) {
	defer close(in.done)
	first, err := v.receive()
	if err != nil {
		in.failed <- err
		return
	}
	names := first.count()
	in.first <- first
	select {
	case <-ctx.Done():
	case st := <-in.stream:
		for err = in.pause(ctx, names); err == nil; {
			var r request
			if r, err = v.receive(); err == nil {
				err = st.take(ctx, r)
				in.intake.took(r.size)
			}
			if err == nil {
				err = in.pause(ctx, r.count())
			}
		}
		st.end(err)
	}
}

// wait waits for the first request.
func (in *inbox) wait(ctx context.Context, down <-chan struct{}) (request, error) {
	timer := time.NewTimer(firstRequestBound)
	defer timer.Stop()
	select {
	case r := <-in.first:
		return r, nil
	case err := <-in.failed:
		return request{}, err
	case <-down:
		return request{}, errShutdown
	case <-ctx.Done():
		// gRPC ends a stream before it says what was wrong with the request.
		select {
		case <-in.first:
			return request{}, ctx.Err()
		case err := <-in.failed:
			return request{}, err
		}
	case <-timer.C:
		return request{}, status.Errorf(codes.DeadlineExceeded, "no request came within %s of opening the stream", firstRequestBound)
	}
}
