package xds

import (
	"bytes"
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
)

// sink is a connection that keeps what it is sent.
type sink struct {
	net.Conn
	sent bytes.Buffer
}

func (s *sink) Write(p []byte) (int, error) { return s.sent.Write(p) }

// passed is what an intake passes on of bytes that come in pieces of a size. A request on each of these streams waits until half has come.
func passed(t *testing.T, size int, p []byte, waiting ...uint32) []byte {
	t.Helper()
	out := &sink{}
	in := &intake{Conn: out, streams: map[uint32]*arrival{}}
	for _, id := range waiting {
		in.streams[id] = &arrival{wait: &wait{cancel: func() {}}}
		in.waiting.Add(1)
	}
	for half := len(p) / 2; len(p) > 0; {
		piece := p[:min(size, len(p))]
		p = p[len(piece):]
		n, err := in.Write(piece)
		require.NoError(t, err)
		require.Equal(t, len(piece), n)
		if len(p) > half {
			continue
		}
		for _, id := range waiting {
			if a := in.streams[id]; a != nil && a.wait != nil {
				w := a.wait
				a.wait = nil
				in.waiting.Add(-1)
				in.sent.extend(out, id, w.withheld)
			}
		}
	}
	return out.sent.Bytes()
}

func TestWindowsOfAStreamThatWaitsComeLaterAndWhole(t *testing.T) {
	var b bytes.Buffer
	framer := http2.NewFramer(&b, nil)
	require.NoError(t, framer.WriteSettings())
	require.NoError(t, framer.WriteWindowUpdate(0, 7))
	require.NoError(t, framer.WriteWindowUpdate(1, 100))
	require.NoError(t, framer.WriteWindowUpdate(3, 5))
	require.NoError(t, framer.WriteData(1, false, []byte("some")))
	require.NoError(t, framer.WriteWindowUpdate(1, 1000))
	require.NoError(t, framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: make([]byte, 60), EndHeaders: true}))
	require.NoError(t, framer.WriteWindowUpdate(1, 10_000))
	for size := 1; size <= b.Len(); size++ {
		windows := map[uint32]uint32{}
		framer := http2.NewFramer(nil, bytes.NewReader(passed(t, size, b.Bytes(), 1)))
		for {
			f, err := framer.ReadFrame()
			if err != nil {
				require.ErrorIs(t, err, io.EOF, "in pieces of %d", size)
				break
			}
			if w, ok := f.(*http2.WindowUpdateFrame); ok {
				windows[w.StreamID] += w.Increment
			} else if f.Header().Type == http2.FrameData {
				require.Zero(t, windows[1], "in pieces of %d", size)
			}
		}
		require.Equal(t, map[uint32]uint32{0: 7, 1: 11_100, 3: 5}, windows, "in pieces of %d", size)
	}
}

func FuzzAllIsPassedOnWhileNothingWaits(f *testing.F) {
	f.Add([]byte("\x00\x00\x04\x08\x00\x00\x00\x00\x01\x00\x00\x00\x07"), uint8(1))
	f.Fuzz(func(t *testing.T, p []byte, size uint8) {
		out := passed(t, int(size)+1, p)
		require.Equal(t, string(p[:len(out)]), string(out))
		require.Less(t, len(p)-len(out), frameHeadBytes)
		// Of streams that are not there nothing is withheld either.
		require.Equal(t, string(out), string(passed(t, int(size)+1, p, 1<<31)))
	})
}
