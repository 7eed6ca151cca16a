//go:build unix

package xds

import (
	"errors"
	"io"
	"net"
	"syscall"

	"google.golang.org/grpc/mem"
)

// readyIntake is an intake of a TCP connection. gRPC keeps no buffer of 32 KiB for one that says when there is something to read, for as long as
// there is nothing.
type readyIntake struct {
	*intake

	raw syscall.RawConn
	// read is the method of that name; the others are what it is given and what comes of it. One goroutine of gRPC reads.
	read   func(fd uintptr) bool
	pool   mem.BufferPool
	size   int
	buffer *[]byte
	count  int
	failed error
}

// asReady is the intake with that method where its connection can have it.
func asReady(in *intake) net.Conn {
	conn, ok := in.Conn.(*net.TCPConn)
	if !ok {
		return in
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return in
	}
	r := &readyIntake{intake: in, raw: raw}
	r.read = r.tryRead
	return r
}

// ReadOnReady waits until there is something to read, and reads it into a buffer of the pool. It is for gRPC, which looks for this method.
func (r *readyIntake) ReadOnReady(size int, pool mem.BufferPool) (buffer *[]byte, count int, err error) {
	r.pool, r.size = pool, size
	err = r.raw.Read(r.read)
	buffer, count = r.buffer, r.count
	if err == nil {
		err = r.failed
	}
	r.pool, r.buffer, r.count, r.failed = nil, nil, 0, nil
	if err == nil && count == 0 {
		err = io.EOF
	}
	if err != nil {
		r.end(err)
	} else {
		err = r.follow((*buffer)[:count])
	}
	if err != nil {
		if buffer != nil {
			pool.Put(buffer)
		}
		return nil, 0, err
	}
	return buffer, count, nil
}

// tryRead is false while there is nothing to read.
func (r *readyIntake) tryRead(fd uintptr) bool {
	r.buffer = r.pool.Get(r.size)
	for {
		r.count, r.failed = syscall.Read(int(fd), *r.buffer)
		if !errors.Is(r.failed, syscall.EINTR) {
			break
		}
	}
	if r.failed == nil {
		return true
	}
	r.pool.Put(r.buffer)
	r.buffer, r.count = nil, 0
	return !errors.Is(r.failed, syscall.EAGAIN)
}
