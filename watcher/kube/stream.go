package kube

import "k8s.io/apimachinery/pkg/watch"

// stream is an open watch. The reflector stops every one of them, and asks for the ResultChan before each event; all by one goroutine.
//
// API servers compress a watch that begins with a list, and go on to compress each event for as long as it lasts, which costs either side more
// than the event itself. So once the list is there, the rest comes over another watch that is not compressed.
type stream struct {
	watch.Interface
	source *source
	// reopen opens a watch of what comes after a version; nil where this one did not begin with a list.
	reopen func(resourceVersion string) (watch.Interface, error)
	// begins is the version that is told of first, as a bookmark, "" for none; telling is true while the reflector takes that up.
	begins  string
	telling bool
}

// ResultChan is for watch.Interface.
func (w *stream) ResultChan() <-chan watch.Event {
	w.telling = w.begins != ""
	if !w.telling {
		return w.Interface.ResultChan()
	}
	first := make(chan watch.Event, 1)
	first <- watch.Event{Type: watch.Bookmark, Object: &item{version: w.begins}}
	w.begins = ""
	close(first) // the reflector asks for the next one; were it to stay with this one, that would not go unnoticed
	return first
}

// listed notes that the list is complete, as of that version. It may be nil: a list may have been asked for by itself.
func (w *stream) listed(resourceVersion string) {
	if w == nil || w.reopen == nil {
		return
	}
	next, err := w.reopen(resourceVersion)
	w.reopen = nil
	w.begins = w.source.begins(resourceVersion)
	if err != nil {
		// This one goes on, or has ended too and the reflector will see it.
		w.source.opened(false)
		return
	}
	w.Interface.Stop()
	w.Interface = next
	w.source.opened(false)
}

// Stop is for watch.Interface.
func (w *stream) Stop() {
	w.reopen = nil
	w.Interface.Stop()
	w.source.closed()
}
