package xds

import (
	"encoding/binary"

	"golang.org/x/net/http2"
)

// frameHeadBytes is the size of a frame's head, see RFC 9113, section 4.1.
const frameHeadBytes = 9

// frameHead says what a frame of HTTP/2 is.
type frameHead struct {
	kind   http2.FrameType
	flags  http2.Flags
	stream uint32
	length int
}

// frames cuts what passes in one direction of a connection into frames of HTTP/2, in whatever pieces it comes. It checks nothing: that is
// for gRPC.
type frames struct {
	// skip is how many bytes come before the first frame: the preface of a client.
	skip int
	raw  [frameHeadBytes]byte
	have int
	head frameHead
	// left is how much of the frame's payload is to come, and padding, how much at its end means nothing.
	left, padding int
	// padded is true until the length of the padding has come.
	padded bool
}

// take takes the next bytes in. It calls began for the head of each frame, and data for each part of what a frame of type DATA carries.
func (f *frames) take(p []byte, began func(frameHead), data func(stream uint32, p []byte)) {
	for len(p) > 0 {
		switch {
		case f.skip > 0:
			n := min(f.skip, len(p))
			f.skip, p = f.skip-n, p[n:]
		case f.left > 0:
			n := min(f.left, len(p))
			f.payload(p[:n], data)
			p = p[n:]
		default:
			n := copy(f.raw[f.have:], p)
			f.have, p = f.have+n, p[n:]
			if f.have == frameHeadBytes {
				f.begin()
				began(f.head)
			}
		}
	}
}

func (f *frames) begin() {
	length := binary.BigEndian.Uint32(f.raw[:4])
	f.head = frameHead{
		length: int(length >> 8), kind: http2.FrameType(length & 0xff), flags: http2.Flags(f.raw[4]),
		stream: binary.BigEndian.Uint32(f.raw[5:]) & (1<<31 - 1),
	}
	f.have, f.left, f.padding = 0, f.head.length, 0
	f.padded = f.head.kind == http2.FrameData && f.head.flags.Has(http2.FlagDataPadded)
}

// payload takes in a part of the frame's payload, of which the first byte is the length of the padding, if there is any.
func (f *frames) payload(p []byte, data func(stream uint32, p []byte)) {
	f.left -= len(p)
	if f.head.kind != http2.FrameData {
		return
	}
	if f.padded {
		f.padded, f.padding = false, int(p[0])
		p = p[1:]
	}
	if n := min(len(p), f.left+len(p)-f.padding); n > 0 {
		data(f.head.stream, p[:n])
	}
}
