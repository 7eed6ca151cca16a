package xds

import (
	"encoding/binary"
	"net"
	"sync"

	"golang.org/x/net/http2"
)

// incrementBytes is the size of what a WINDOW_UPDATE carries, see RFC 9113, section 6.9.
const incrementBytes = 4

// outgoing is what podway sends on a connection: all that gRPC writes, but for the windows of streams whose requests wait for room.
type outgoing struct {
	// mu guards what follows; it comes before that of the intake.
	mu     sync.Mutex
	frames frames
	// withholds is true while the frame is a window that is not sent now, and increment, what has been seen of it.
	withholds bool
	increment []byte
	// later are windows to send once the frame that is being sent is whole.
	later []byte
}

// Write sends what gRPC writes. Part of a frame's head is kept until the rest of it comes: only then it is known what it is.
func (in *intake) Write(p []byte) (int, error) {
	o := &in.sent
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []byte
	if in.waiting.Load() == 0 && o.frames.have == 0 && !o.withholds && len(o.later) == 0 {
		o.frames.take(p, in.closed, func(uint32, []byte) {})
		out = p[:len(p)-o.frames.have]
	} else {
		out = in.sift(p)
	}
	if len(out) > 0 {
		if _, err := in.Conn.Write(out); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// sift returns what is to be sent now. in.sent is locked.
func (in *intake) sift(p []byte) []byte {
	o := &in.sent
	f := &o.frames
	out := make([]byte, 0, len(o.later)+f.have+len(p))
	for {
		if f.left == 0 {
			out = append(out, o.later...)
			o.later = nil
		}
		switch {
		case len(p) == 0:
			return out
		case f.left > 0:
			n := min(f.left, len(p))
			if o.withholds {
				in.withhold(p[:n])
			} else {
				out = append(out, p[:n]...)
			}
			f.left -= n
			p = p[n:]
		default:
			n := copy(f.raw[f.have:], p)
			f.have, p = f.have+n, p[n:]
			if f.have < frameHeadBytes {
				continue
			}
			f.begin()
			in.closed(f.head)
			if o.withholds = in.waits(f.head); !o.withholds {
				out = append(out, f.raw[:]...)
			}
		}
	}
}

// waits is true for the window of a stream whose request waits.
func (in *intake) waits(head frameHead) bool {
	if head.kind != http2.FrameWindowUpdate || head.length != incrementBytes {
		return false
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	a := in.streams[head.stream]
	return a != nil && a.wait != nil
}

// withhold keeps a window, or the next part of it, until there is room. in.sent is locked.
func (in *intake) withhold(p []byte) {
	o := &in.sent
	o.increment = append(o.increment, p...)
	if len(o.increment) < incrementBytes {
		return
	}
	by, id := binary.BigEndian.Uint32(o.increment), o.frames.head.stream
	o.withholds, o.increment = false, o.increment[:0]
	in.mu.Lock()
	defer in.mu.Unlock()
	if a := in.streams[id]; a != nil && a.wait != nil {
		a.wait.withheld += by
		return
	}
	o.later = appendWindow(o.later, id, by)
}

// extend sends a window that was withheld, if there is one.
func (o *outgoing) extend(conn net.Conn, id, by uint32) {
	if by == 0 {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.later = appendWindow(o.later, id, by)
	if o.frames.left == 0 {
		_, _ = conn.Write(o.later) // gRPC finds out by itself that the connection has ended
		o.later = nil
	}
}

// appendWindow appends the frame that allows a client to send more on a stream.
func appendWindow(b []byte, id, by uint32) []byte {
	b = append(b, 0, 0, incrementBytes, byte(http2.FrameWindowUpdate), 0)
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, id), by)
}
