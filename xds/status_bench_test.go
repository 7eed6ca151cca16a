package xds

import (
	"fmt"
	"io"
	"log/slog"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"github.com/stretchr/testify/require"

	"github.com/podway/podway/api"
)

// standIn is a stream without a connection: what it is sent is dropped.
type standIn struct{ delta }

func (*standIn) send(*response) error { return nil }

// crowd is a server with envoys that subscribe to clusters and their endpoints, and acknowledge all.
func crowd(b *testing.B, envoys, clusters int) (*Server, []*stream) {
	b.Helper()
	s := New(Config{Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), RemovalGrace: -1})
	var resources []*api.Resource
	var names []string
	for i := range clusters {
		name := fmt.Sprintf("tunnel/edge/service-%04d", i)
		names = append(names, name)
		resources = append(resources, cluster(name, 1), endpoints(name, 1, 2, 3))
	}
	s.SetViews(map[string][]*api.Resource{gateway: resources})
	streams := make([]*stream, 0, envoys)
	for i := range envoys {
		first := request{typeURL: clusterType, node: &corev3.Node{Id: fmt.Sprintf("envoy-%04d", i), Cluster: gateway}}
		st, err := s.open(first, &standIn{}, nil)
		require.NoError(b, err)
		_, _, err = st.accept(first)
		require.NoError(b, err)
		acknowledge(b, st)
		_, _, err = st.accept(request{typeURL: endpointType, subscribe: names})
		require.NoError(b, err)
		acknowledge(b, st)
		streams = append(streams, st)
	}
	return s, streams
}

func acknowledge(b *testing.B, st *stream) {
	b.Helper()
	for {
		responses, _, err := st.owed(time.Now())
		require.NoError(b, err)
		if len(responses) == 0 {
			return
		}
		for _, r := range responses {
			_, _, err = st.accept(request{typeURL: r.state.url, nonce: r.nonce})
			require.NoError(b, err)
		}
	}
}

// BenchmarkBehind is what podway does every 5 s: with all at rest, and with one change, or all, that nobody acknowledges.
func BenchmarkBehind(b *testing.B) {
	s, streams := crowd(b, 1000, 1000)
	measure := func(name string, longer time.Duration, want int) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if got := len(s.Behind(longer)); got != want {
					b.Fatalf("%d are behind, want %d", got, want)
				}
			}
		})
	}
	measure("rest", 0, 0)
	s.SetEndpoints([]*api.Resource{endpoints("tunnel/edge/service-0500", 4)}, nil)
	for _, st := range streams {
		_, _, err := st.owed(time.Now())
		require.NoError(b, err)
	}
	measure("one", 0, 1000)
	var all []*api.Resource
	for i := range 1000 {
		all = append(all, endpoints(fmt.Sprintf("tunnel/edge/service-%04d", i), 5))
	}
	s.SetEndpoints(all, nil)
	s.Behind(0) // the streams' own work, if they had goroutines: to take in what changed
	measure("everything, for a moment", time.Hour, 0)
	measure("everything, for long", 0, 1000)
}

// BenchmarkStreams is what podway envoys asks for.
func BenchmarkStreams(b *testing.B) {
	s, _ := crowd(b, 1000, 1000)
	b.ResetTimer()
	for b.Loop() {
		if got := len(s.Streams()); got != 1000 {
			b.Fatal(got)
		}
	}
}
