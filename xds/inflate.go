package xds

import (
	"io"
	"sync"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/gzip" // for clients that ask for it
)

// maxInflating is how many compressed requests are unpacked at a time.
const maxInflating = 4

func init() { //nolint:gochecknoinits // gRPC looks for it by its name, and takes it at no other time
	encoding.RegisterCompressor(&inflater{Compressor: encoding.GetCompressor(gzip.Name), slots: make(chan struct{}, maxInflating)})
}

// inflater unpacks few requests at a time. A request of 8 KB may hold 4 MiB, for which no room was looked for: with one on each of a thousand streams at
// once, what is unpacked half would be gigabytes. All of what is unpacked is there already, so that nobody waits for a client.
type inflater struct {
	encoding.Compressor

	slots chan struct{}
}

// Decompress waits for its turn, which ends with the closing of the reader: gRPC does that as soon as it has read the request.
func (i *inflater) Decompress(r io.Reader) (io.Reader, error) {
	i.slots <- struct{}{}
	unpacked, err := i.Compressor.Decompress(r)
	if err != nil {
		<-i.slots
		return nil, err
	}
	return &inflating{Reader: unpacked, leave: sync.OnceFunc(func() { <-i.slots })}, nil
}

// inflating is a request that is being unpacked.
type inflating struct {
	io.Reader

	leave func()
}

// Close ends the turn.
func (i *inflating) Close() error {
	defer i.leave()
	if c, ok := i.Reader.(io.Closer); ok {
		return c.Close()
	}
	return nil
}
