package files

import (
	"bytes"
	"compress/flate"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/podway/podway/api"
	"github.com/podway/podway/watcher/memory"
)

// Memory is what one process finds good in a configuration, for the next one: a file that is broken when that starts would otherwise cost all that is in it,
// which Envoys have. It is safe for concurrent use.
type Memory struct {
	// recalled are packed texts by absolute path, which nobody changes.
	recalled map[string][]byte
	// directory is where relative paths begin, "" where that is not known.
	directory string
	changed   chan struct{}

	mu  sync.Mutex
	now []memory.File // by mu; nobody changes what it holds
}

// NewMemory makes a Memory with what an earlier process left.
func NewMemory(recalled []memory.File) *Memory {
	directory, _ := os.Getwd() // without it, paths are as they are given
	m := &Memory{recalled: make(map[string][]byte, len(recalled)), directory: directory, changed: make(chan struct{}, 1), now: recalled}
	for _, file := range recalled {
		m.recalled[file.Path] = file.Packed
	}
	return m
}

// Changed has a value when Now may not be what it was.
func (m *Memory) Changed() <-chan struct{} { return m.changed }

// Now are the files that are worth keeping, sorted.
func (m *Memory) Now() []memory.File {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

func (m *Memory) put(now []memory.File) {
	m.mu.Lock()
	m.now = now
	m.mu.Unlock()
	select {
	case m.changed <- struct{}{}:
	default: // Whoever keeps it knows that already.
	}
}

// parse makes the content of a file, as the function parse does. Where something is wrong with a file that this process has not read yet, what an earlier one
// found good stands in for it.
func (r *reader) parse(path string, text []byte, old *content) *content {
	made := parse(path, text, old)
	if old == nil && !made.isWhole() {
		if old = r.recall(path); old != nil {
			made = parse(path, text, old)
		}
	}
	if r.Memory == nil {
		return made
	}
	r.remembers = true
	switch {
	case made.isWhole() && made.isSecret():
		made.packed = nil
	case made.isWhole():
		made.packed = r.pack(text)
	case old != nil:
		made.packed = old.packed
	}
	return made
}

// recall is what an earlier process found good in a file, nil for nothing. Once there is a State, a file that comes is a new one.
func (r *reader) recall(path string) *content {
	if r.Memory == nil || r.begun {
		return nil
	}
	packed := r.Memory.recalled[r.Memory.absolute(path)]
	if packed == nil {
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), r.MaxFileBytes+1))
	if err != nil || int64(len(text)) > r.MaxFileBytes {
		return nil // There is a checksum, so that somebody has made it so, or has made the limit less.
	}
	made := parse(path, text, nil)
	made.packed = packed
	return made
}

// pack makes a text as small as is cheap: it is in memory as long as the file is there.
func (r *reader) pack(text []byte) []byte {
	var out bytes.Buffer
	if r.packer == nil {
		r.packer, _ = flate.NewWriter(&out, flate.BestSpeed) // an error is of a level that there is not
	} else {
		r.packer.Reset(&out)
	}
	_, _ = r.packer.Write(text) // a buffer takes all
	_ = r.packer.Close()
	return slices.Clip(out.Bytes())
}

// remember hands on what is worth keeping, where that may have changed.
func (r *reader) remember() {
	if !r.remembers {
		return
	}
	r.remembers = false
	var now []memory.File
	for _, root := range r.roots {
		for path, file := range root.files {
			if file.content != nil && file.content.packed != nil {
				now = append(now, memory.File{Path: r.Memory.absolute(path), Packed: file.content.packed})
			}
		}
	}
	slices.SortFunc(now, func(a, b memory.File) int { return strings.Compare(a.Path, b.Path) })
	r.Memory.put(now)
}

// isWhole says whether nothing in a file is refused.
func (c *content) isWhole() bool {
	return c.good && !slices.ContainsFunc(c.problems, func(p api.Problem) bool { return p.Severity == api.Error })
}

// isSecret says whether a file has keys in it, or may have: what podway does not know may be a kubeconfig. Nothing of that is kept elsewhere.
func (c *content) isSecret() bool {
	return slices.ContainsFunc(c.objects, func(o *placed) bool { return o.ref.Kind == "Secret" }) ||
		slices.ContainsFunc(c.problems, func(p api.Problem) bool { return p.Code == api.CodeUnknownKind })
}

// absolute is a path by which another process knows the same file.
func (m *Memory) absolute(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(m.directory, path)
}
