// Package fleet is many clients that acknowledge whatever they get and hardly decode it.
package fleet

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/podway/podway/bench/xds/raw"
	"github.com/podway/podway/bench/xds/servers"
)

const (
	// window is about that of Envoy, in bytes.
	window = 16 << 20
	// small is the window of a client that does not read.
	small = 64 << 10
)

// Options say what a fleet is.
type Options struct {
	Address string
	Streams int
	// PerConnection is how many streams share a connection; an Envoy has one of its own.
	PerConnection int
	Names         []string
	// Versions are what clients say they have.
	Versions map[string]string
	// World has them speak the state-of-the-world variant instead of delta; they say that they have Version.
	World   bool
	Version string
	// Stalled of the streams never read.
	Stalled int
	// Expected is how many resources Wait waits for at first.
	Expected int64
}

// Fleet is open streams.
type Fleet struct {
	options Options
	variant variant
	ctx     context.Context
	cancel  context.CancelFunc
	group   sync.WaitGroup
	mu      sync.Mutex
	conns   []*grpc.ClientConn
	failed  chan error

	acked, removed, oldest, target, reachedAt atomic.Int64
	bytes                                     atomic.Int64
	reached                                   chan struct{}
}

// Open opens all streams at once and returns when all have sent their first request.
func Open(o Options) (*Fleet, error) {
	v, err := o.variant()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	f := &Fleet{options: o, variant: v, ctx: ctx, cancel: cancel, failed: make(chan error, o.Streams), reached: make(chan struct{}, 1)}
	f.target.Store(o.Expected)
	var opening sync.WaitGroup
	errs := make(chan error, o.Streams)
	for at := 0; at < o.Streams; at += o.PerConnection {
		opening.Go(func() {
			if err := f.connect(at, min(at+o.PerConnection, o.Streams)); err != nil {
				errs <- err
			}
		})
	}
	opening.Wait()
	if len(errs) > 0 {
		f.Close()
		return nil, <-errs
	}
	return f, nil
}

func (o Options) variant() (variant, error) {
	if o.World {
		return newWorld(o.Names, o.Version)
	}
	return delta{names: o.Names, versions: o.Versions}, nil
}

func (f *Fleet) connect(from, to int) error {
	stalled := from < f.options.Stalled
	size := int32(window)
	if stalled {
		size = small
	}
	conn, err := Dial(f.options.Address, size)
	if err != nil {
		return err
	}
	f.mu.Lock()
	f.conns = append(f.conns, conn)
	f.mu.Unlock()
	for i := from; i < to; i++ {
		stream, err := open(f.ctx, conn, i, f.variant)
		if err != nil {
			return err
		}
		if !stalled {
			f.group.Go(func() { f.follow(stream) })
		}
	}
	return nil
}

// Dial makes a connection, with a window of so many bytes.
func Dial(address string, size int32) (*grpc.ClientConn, error) {
	return grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy(),
		grpc.WithInitialConnWindowSize(size), grpc.WithInitialWindowSize(size),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(raw.Codec{}), grpc.MaxCallRecvMsgSize(64<<20)))
}

// open opens one stream and sends its first request.
func open(ctx context.Context, conn *grpc.ClientConn, number int, v variant) (grpc.ClientStream, error) {
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, v.method())
	if err != nil {
		return nil, err
	}
	first, err := v.first(number)
	if err != nil {
		return nil, err
	}
	return stream, stream.SendMsg(first)
}

// follow acknowledges until the stream ends.
func (f *Fleet) follow(stream grpc.ClientStream) {
	for {
		var m []byte
		if err := stream.RecvMsg(&m); err != nil {
			f.failed <- err
			return
		}
		r := raw.Read(m)
		ack, err := f.variant.ack(r)
		if err == nil {
			err = stream.SendMsg(ack)
		}
		if err != nil {
			f.failed <- err
			return
		}
		f.count(r, m)
	}
}

func (f *Fleet) count(r raw.Response, m []byte) {
	now := time.Now().UnixNano()
	f.bytes.Add(int64(len(m)))
	if !f.options.World {
		f.removed.Add(int64(r.Removed))
	}
	for age := now - stamp(m, now); ; {
		oldest := f.oldest.Load()
		if age <= oldest || f.oldest.CompareAndSwap(oldest, age) {
			break
		}
	}
	n := int64(r.Resources)
	if after, target := f.acked.Add(n), f.target.Load(); after >= target && after-n < target {
		f.reachedAt.Store(now)
		f.reached <- struct{}{}
	}
}

// stamp is when the content was published, or now where it does not say.
func stamp(m []byte, now int64) int64 {
	at := bytes.Index(m, []byte(servers.Stamp))
	if at < 0 {
		return now
	}
	at += len(servers.Stamp)
	published, err := strconv.ParseInt(string(m[at:min(len(m), at+servers.StampDigits)]), 10, 64)
	if err != nil {
		return now
	}
	return published
}

// Acked is how many resources have been acknowledged.
func (f *Fleet) Acked() int64 { return f.acked.Load() }

// Removed is how many removals came.
func (f *Fleet) Removed() int64 { return f.removed.Load() }

// Bytes is the size of all messages that came.
func (f *Fleet) Bytes() int64 { return f.bytes.Load() }

// TakeOldest returns the greatest age of content since it was last asked, at its acknowledgement.
func (f *Fleet) TakeOldest() time.Duration { return time.Duration(f.oldest.Swap(0)) }

// Expect prepares Wait for when count resources in all have been acknowledged. Call it before they can come.
func (f *Fleet) Expect(count int64) { f.target.Store(count) }

// Wait returns the time of the acknowledgement that was expected.
func (f *Fleet) Wait(ctx context.Context) (time.Time, error) {
	select {
	case <-f.reached:
		return time.Unix(0, f.reachedAt.Load()), nil
	case err := <-f.failed:
		return time.Time{}, fmt.Errorf("a stream ended: %w", err)
	case <-ctx.Done():
		return time.Time{}, fmt.Errorf("%d resources were acknowledged in time, not %d: %w", f.acked.Load(), f.target.Load(), ctx.Err())
	}
}

// Close ends all streams.
func (f *Fleet) Close() {
	f.cancel()
	f.mu.Lock()
	for _, conn := range f.conns {
		_ = conn.Close()
	}
	f.mu.Unlock()
	f.group.Wait()
}
