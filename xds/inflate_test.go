package xds

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/gzip"
)

func TestCompressedRequestsAreUnpackedInTurn(t *testing.T) {
	var packed bytes.Buffer
	w, err := encoding.GetCompressor(gzip.Name).Compress(&packed)
	require.NoError(t, err)
	_, err = w.Write([]byte("a request"))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	synctest.Test(t, func(t *testing.T) {
		i := &inflater{Compressor: encoding.GetCompressor(gzip.Name), slots: make(chan struct{}, 1)}
		for range 3 { // nothing of it is in the way of the others
			_, err := i.Decompress(strings.NewReader("no gzip"))
			require.Error(t, err)
		}
		first, err := i.Decompress(bytes.NewReader(packed.Bytes()))
		require.NoError(t, err)
		second := make(chan io.Reader)
		go func() {
			r, _ := i.Decompress(bytes.NewReader(packed.Bytes())) // it is read below
			second <- r
		}()
		synctest.Wait()
		select {
		case <-second:
			require.Fail(t, "two are unpacked at a time")
		default:
		}
		require.NoError(t, first.(io.Closer).Close()) // it has not been read: it was too large
		r := <-second
		content, err := io.ReadAll(r)
		require.NoError(t, err)
		require.Equal(t, "a request", string(content))
		require.NoError(t, r.(io.Closer).Close())
	})
	require.IsType(t, &inflater{}, encoding.GetCompressor(gzip.Name), "gRPC has it")
}
