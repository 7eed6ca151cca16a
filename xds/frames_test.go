package xds

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
)

// cutInto is what frames make of bytes that come in pieces of a size.
func cutInto(size int, p []byte) (told []string) {
	f := frames{skip: 3}
	for len(p) > 0 {
		piece := p[:min(size, len(p))]
		p = p[len(piece):]
		f.take(piece, func(h frameHead) {
			told = append(told, fmt.Sprintf("%v %v %d %d ", h.kind, h.flags, h.stream, h.length))
		}, func(_ uint32, p []byte) {
			told[len(told)-1] += string(p)
		})
	}
	return told
}

func TestFramesAreCutAsTheyWereWritten(t *testing.T) {
	var b bytes.Buffer
	b.WriteString("pre")
	framer := http2.NewFramer(&b, nil)
	require.NoError(t, framer.WriteSettings(http2.Setting{ID: http2.SettingMaxFrameSize, Val: 1 << 20}))
	require.NoError(t, framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte("fields"), EndHeaders: true}))
	require.NoError(t, framer.WriteData(1, false, []byte("some")))
	require.NoError(t, framer.WriteDataPadded(1, false, []byte("padded"), make([]byte, 200)))
	require.NoError(t, framer.WriteDataPadded(3, false, nil, make([]byte, 9)))
	require.NoError(t, framer.WriteData(1, true, nil))
	require.NoError(t, framer.WriteRSTStream(1<<31-1, http2.ErrCodeCancel))
	should := []string{
		"SETTINGS 0 0 6 ", "HEADERS 4 1 6 ", "DATA 0 1 4 some", "DATA 8 1 207 padded", "DATA 8 3 10 ", "DATA 1 1 0 ", "RST_STREAM 0 2147483647 4 ",
	}
	for size := 1; size < b.Len(); size++ {
		require.Equal(t, should, cutInto(size, b.Bytes()))
	}
}

func FuzzFramesInPiecesAreThoseInOne(f *testing.F) {
	f.Add([]byte("pre\x00\x00\x05\x00\x08\x00\x00\x00\x01\x02abcd"), uint8(1))
	f.Add([]byte("pre\x00\x00\x02\x00\x08\x00\x00\x00\x01\xffa"), uint8(2))
	f.Fuzz(func(t *testing.T, p []byte, size uint8) {
		require.Equal(t, cutInto(len(p)+1, p), cutInto(int(size)+1, p))
	})
}
