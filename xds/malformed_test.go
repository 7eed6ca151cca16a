package xds

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
)

// rawCodec sends bytes as they are.
type rawCodec struct{}

func (rawCodec) Name() string { return "proto" }
func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}
func (rawCodec) Unmarshal(mem.BufferSlice, any) error { return nil }

// says opens a stream, sends bytes and returns how it ends.
func (w *world) says(method string, bytes []byte) error {
	w.Helper()
	conn, err := grpc.NewClient(w.address, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy())
	require.NoError(w, err)
	w.Cleanup(func() { _ = conn.Close() })
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true},
		"/envoy.service.discovery.v3.AggregatedDiscoveryService/"+method, grpc.ForceCodecV2(rawCodec{}))
	require.NoError(w, err)
	require.NoError(w, stream.SendMsg(bytes))
	var answer []byte
	return stream.RecvMsg(&answer)
}

func TestRequestThatIsNoRequestEndsItsStreamOnly(t *testing.T) {
	w := newWorld(t, quick(), settledResources()...)
	c := settled(w)
	for _, method := range []string{"DeltaAggregatedResources", "StreamAggregatedResources"} {
		for about, bytes := range map[string][]byte{
			"garbage": []byte("\xff\xff\xff\xff"), "a field cut short": {0x0a, 0x7f, 'x'}, "text that is no UTF-8": {0x22, 0x01, 0xff},
		} {
			t.Run(method+" "+about, func(t *testing.T) {
				require.Equal(t, codes.Internal, status.Code(w.says(method, bytes)))
			})
		}
		t.Run(method+" empty", func(t *testing.T) {
			require.Equal(t, codes.InvalidArgument, status.Code(w.says(method, nil)))
		})
	}
	c.quiet()
	require.Len(t, w.server.Streams(), 1)
}

func TestSotWRequestMustHaveAType(t *testing.T) {
	w := newWorld(t, quick())
	c := w.sotw()
	c.subscribe("")
	require.ErrorContains(t, c.ends(), "a request without type_url")
}

func TestSotWStreamMayNotAskForAnyNumberOfTypes(t *testing.T) {
	w := newWorld(t, quick())
	c := w.sotw()
	for i := range maxTypes + 1 {
		c.subscribe(fmt.Sprintf("type-%d", i))
	}
	require.ErrorContains(t, c.ends(), "more than 32 resource types")
}

func TestSotWOversizedRequestsAreRefused(t *testing.T) {
	config := quick()
	config.Limits = Limits{MaxRequestBytes: 10_000, MaxNames: 20, MaxNameBytes: 100}
	w := newWorld(t, config)
	for about, test := range map[string]struct {
		names []string
		code  codes.Code
		says  string
	}{
		"too many names":  {make([]string, 21), codes.InvalidArgument, "21 names in one request; at most 20 are allowed"},
		"a name too long": {[]string{strings.Repeat("x", 101)}, codes.InvalidArgument, "a resource name of 101 bytes; at most 100 are allowed"},
		"too many bytes":  {[]string{strings.Repeat("x", 20_000)}, codes.ResourceExhausted, "larger than max"},
	} {
		t.Run(about, func(t *testing.T) {
			c := w.sotw()
			c.subscribe(endpointType, test.names...)
			err := c.ends()
			require.Equal(t, test.code, status.Code(err))
			require.ErrorContains(t, err, test.says)
		})
	}
}

func TestSotWUnservedTypeWithAWildcardIsNotAnsweredAndTheStreamLives(t *testing.T) {
	w := newSotWWorld(t, cluster("a", 1))
	c := w.sotw()
	c.subscribe(otherType, "*", "layer")
	c.subscribe(otherType)
	c.quiet()
	c.subscribe(clusterType)
	c.want(clusterType, "a")
}

func TestStreamThatSaysNothingIsEnded(t *testing.T) {
	onTheClock(t, quick(), nil, func(w *world) {
		d, s := w.delta(), w.sotw()
		w.took(firstRequestBound, func() {
			for _, err := range []error{d.ends(), s.ends()} {
				require.Equal(w, codes.DeadlineExceeded, status.Code(err))
				require.ErrorContains(w, err, "no request came within 30s of opening the stream")
			}
		})
	})
}
