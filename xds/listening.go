package xds

import "sync"

// listening is the streams of a view. It has a lock of its own, so that to wake them does not take waiting for those that read the view.
type listening struct {
	mu      sync.Mutex
	streams map[*stream]struct{}
}

func (l *listening) add(s *stream) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.streams == nil {
		l.streams = map[*stream]struct{}{}
	}
	l.streams[s] = struct{}{}
}

func (l *listening) remove(s *stream) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.streams, s)
}

func (l *listening) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.streams)
}

// each calls do with all streams, in no order. It must neither wait nor come back here.
func (l *listening) each(do func(*stream)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for s := range l.streams {
		do(s)
	}
}
