package xds

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/podway/podway/api"
)

// TestWhatWasPreparedForAnyViewIsNotEncodedAgain has two views, of which the second shares a resource with the first.
func TestWhatWasPreparedForAnyViewIsNotEncodedAgain(t *testing.T) {
	w := newWorld(t, quick())
	views := map[string][]*api.Resource{"shop/one": {cluster("a", 1), cluster("b", 1)}, "shop/two": {cluster("c", 1)}}
	views["shop/two"] = append(views["shop/two"], views["shop/one"][0])
	w.server.Prepare(views["shop/one"])
	w.server.Prepare(views["shop/two"])
	prepared := w.server.publisher.prepared
	require.Len(t, prepared, 3)
	w.server.SetViews(views)
	require.Nil(t, w.server.publisher.prepared)
	for source, r := range prepared {
		require.Same(t, r, w.server.publisher.sources[source])
	}
}
