package files

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/podway/podway/api"
)

// text is what a file holds, or what keeps it from being read.
type text struct {
	bytes   []byte
	stamp   stamp
	problem *api.Problem
}

// read reads a file, of which known is the version that is in force. ok is
// false where the file is being written: what is in force stays, and the reader looks again shortly.
func (r *reader) read(f found, known *stamp, limit int64) (out text, ok bool) {
	for {
		// While there is nothing to keep, a file that will not be still in time is taken as it is, and read again.
		if out, ok = r.readOnce(f, known, limit); ok || r.begun || !r.waits() {
			return out, ok || !r.begun
		}
	}
}

// waits waits a moment for who writes while there is nothing to keep, and says whether there was time for that: of half a file, all routes may be missing, or
// one may have lost its hostnames.
func (r *reader) waits() bool {
	if r.waited >= writtenAtFirstFor {
		return false
	}
	const moment = 5 * time.Millisecond
	<-time.After(moment)
	r.waited += moment
	return true
}

func (r *reader) readOnce(f found, known *stamp, limit int64) (out text, ok bool) {
	fail := func(err error) (text, bool) {
		if errors.Is(err, fs.ErrNotExist) {
			r.torn = true
			if r.begun {
				return text{}, false // Another notification says so, too.
			}
		}
		if passes(err) {
			r.lookAgain(f.path, frozenRetry)
		}
		p := unreadable(f.path, "the file cannot be read: "+reasonOf(err).Error(), "let podway read it, or remove it")
		return text{problem: &p}, true // Without a stamp, so that the next look tries again.
	}
	file, err := os.OpenFile(f.resolved, os.O_RDONLY|nonblock, 0)
	if err != nil {
		return fail(err)
	}
	defer func() { _ = file.Close() }() // it was only read
	before, err := file.Stat()
	if err != nil {
		return fail(err)
	}
	if !before.Mode().IsRegular() {
		return fail(errors.New("it is not a regular file"))
	}
	if before.Size() > limit {
		return text{stamp: stampOf(before), problem: tooLarge(f.path, before.Size(), limit)}, true
	}
	bytes, err := appendAll(make([]byte, 0, before.Size()+1), io.LimitReader(file, limit+1))
	if err != nil {
		return fail(err)
	}
	// Who writes is asked before the second look at the file: what is written in between shows in it.
	writing, sure := r.writing(file)
	after, err := file.Stat()
	if err != nil {
		return fail(err)
	}
	out = text{bytes: bytes, stamp: stampOf(after)}
	if int64(len(bytes)) > limit {
		out.problem = tooLarge(f.path, int64(len(bytes)), limit)
		return out, true
	}
	still := out.stamp.equal(stampOf(before)) && int64(len(bytes)) == after.Size()
	if !still || writing && !r.begun {
		r.unsettled(f.path, out.stamp)
		return out, false
	}
	return out, !r.begun || r.settled(f, out.stamp, known, len(bytes), writing, sure)
}

// passes is true for a failure that may pass without any notification, such as too many open files, or a disk that is away for a moment.
func passes(err error) bool {
	var errno syscall.Errno
	return errors.As(err, &errno) && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, fs.ErrNotExist)
}

// appendAll reads to the end.
func appendAll(text []byte, from io.Reader) ([]byte, error) {
	for {
		n, err := from.Read(text[len(text):cap(text)])
		text = text[:len(text)+n]
		if errors.Is(err, io.EOF) {
			return text, nil
		}
		if err != nil {
			return text, err
		}
		if len(text) == cap(text) {
			text = append(text, 0)[:len(text)]
		}
	}
}

func tooLarge(path string, size, limit int64) *api.Problem {
	return &api.Problem{
		Code: api.CodeTooLarge, Severity: api.Error, File: path,
		Message: fmt.Sprintf("the file has %d bytes; at most %d are read", size, limit),
		Remedy:  "split it into several files",
	}
}
