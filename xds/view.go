package xds

import (
	"sync"
	"time"
	"unsafe"

	"github.com/podway/podway/api"
)

// logLength is how many changes of a view are remembered. A stream that is further behind looks at all names once.
const logLength = 4096

// maxLogBytes is how much memory the records that a view's log remembers may take in all. Of an older change it remembers the versions only.
const maxLogBytes = 4 << 20

// change is one entry of a view's log: what a name was before.
type change struct {
	key    api.ResourceKey
	prev   *former
	origin *origin
}

// former is what a client had of a name: its version, and the record where it
// is still known. It does not change, and all streams share it.
type former struct {
	version string
	// record is nil where it is not known, and for ClusterLoadAssignments, the bulk of all bytes, of which nobody asks more than the version.
	record *record
	// partial is true for a version that lacked what is not known yet, so that the next such version may follow it.
	partial bool
}

// unknownVersion stands for a version that a client has and that is not known.
const unknownVersion = "?"

var (
	// noFormer is nothing.
	noFormer      = &former{}
	unknownFormer = &former{version: unknownVersion}
)

// formerly is a record, or nil, as what a client had.
func formerly(r *record) *former {
	if r == nil {
		return noFormer
	}
	return r.former
}

// formerVersion is a version of which no more is known, or "".
func formerVersion(version string) *former {
	switch version {
	case "":
		return noFormer
	case unknownVersion:
		return unknownFormer
	}
	return &former{version: version}
}

// newFormer is what there is of a new record once clients have it.
func newFormer(r *record) *former {
	f := &former{version: r.version, partial: r.partial}
	if r.key.Type != endpointType {
		f.record = r
	}
	return f
}

// withoutRecord is the rest.
func (f *former) withoutRecord() *former { return &former{version: f.version, partial: f.partial} }

// span says when a name came into a view, and when it last changed or left.
type span struct{ added, changed uint64 }

// asBytes is the same without the message, which takes ten times the memory of its bytes: who needs it decodes them.
func (f *former) asBytes() *former {
	if f.record == nil || f.record.source.Message == nil {
		return f
	}
	source, r := *f.record.source, *f.record
	source.Message, source.Wire = nil, r.value
	r.source = &source
	r.former = &former{version: f.version, partial: f.partial, record: &r}
	return r.former
}

// bytes is about what the record takes: it itself, and what it was made from, which may be several times as much.
func (f *former) bytes() int {
	r := f.record
	if r == nil {
		return 0
	}
	const need, owner, source = int(unsafe.Sizeof(api.ResourceKey{})), int(unsafe.Sizeof(api.Owner{})), int(unsafe.Sizeof(api.Source{}))
	return r.size + need*len(r.needs) + owner*len(r.owners) + source*len(r.source.Sources)
}

// collection is the records of one type in a view.
type collection struct {
	records map[string]*record
	// spans are those of all names, removed ones included until they are pruned.
	spans map[string]span
}

// view is what the Envoys of one Gateway should have.
type view struct {
	name string

	// backlog and listening have locks of their own, which come after mu.
	backlog   backlog
	listening listening

	// mu guards what follows. It is locked by lock and rLock.
	mu sync.RWMutex
	// known is false for a name that an Envoy gave and that is no Gateway: nothing is answered.
	known bool
	// gone is true for a Gateway that was served and is no more.
	gone  bool
	types map[string]*collection
	// head is the number of changes so far; change n is log[n % logLength].
	head uint64
	log  []change
	// logBytes is what the records in the log take; changes before logFrom have none any more.
	logBytes int
	logFrom  uint64
	// pruned is the last change of any name that was forgotten after its removal.
	pruned uint64
}

func newView(name string) *view {
	return &view{name: name, types: map[string]*collection{}}
}

// isThere is true for a view that is served now. v.mu, or the server's, is held.
func (v *view) isThere() bool { return v.known && !v.gone }

func (v *view) record(typeURL, name string) *record {
	if c := v.types[typeURL]; c != nil {
		return c.records[name]
	}
	return nil
}

// changed is the change by which a name came to be as it is.
func (v *view) changed(key api.ResourceKey) uint64 {
	if c := v.types[key.Type]; c != nil {
		return c.spans[key.Name].changed
	}
	return 0
}

func (v *view) records(typeURL string) map[string]*record {
	if c := v.types[typeURL]; c != nil {
		return c.records
	}
	return nil
}

// put sets or, with a nil record, removes a name, and says whether anything changed. v.mu is held.
func (v *view) put(key api.ResourceKey, next *record, at time.Time) bool {
	c := v.types[key.Type]
	if c == nil {
		c = &collection{records: map[string]*record{}, spans: map[string]span{}}
		v.types[key.Type] = c
	}
	prev := c.records[key.Name]
	if prev == next {
		return false
	}
	if next == nil {
		delete(c.records, key.Name)
	} else {
		c.records[key.Name] = next
		if next.sameAs(prev) {
			return false
		}
	}
	s := c.spans[key.Name]
	if prev == nil {
		s.added = v.head
	}
	s.changed = v.head
	c.spans[key.Name] = s
	entry := change{key: key, prev: formerly(prev).asBytes(), origin: &origin{at: at}}
	if next != nil {
		entry.origin.seen = next.seen
	}
	v.append(entry)
	return true
}

func (v *view) append(c change) {
	if len(v.log) < logLength {
		v.log = append(v.log, c)
	} else {
		if v.logFrom == v.head-logLength {
			v.shorten()
		}
		v.log[v.head%logLength] = c
	}
	v.head++
	v.logBytes += c.prev.bytes()
	for v.logBytes > maxLogBytes && v.logFrom < v.head {
		v.shorten()
	}
}

// shorten lets go of the oldest record in the log.
func (v *view) shorten() {
	oldest := &v.log[v.logFrom%logLength]
	v.logBytes -= oldest.prev.bytes()
	oldest.prev = oldest.prev.withoutRecord()
	v.logFrom++
}

// inLog is true where all changes since cursor are still in the log.
func (v *view) inLog(cursor uint64) bool { return v.head-cursor <= uint64(len(v.log)) }

// replace makes records all that the view has. v.mu is held.
func (v *view) replace(next map[api.ResourceKey]*record, at time.Time) (changed bool) {
	for typeURL, c := range v.types {
		for name := range c.records {
			key := api.ResourceKey{Type: typeURL, Name: name}
			if next[key] == nil {
				changed = v.put(key, nil, at) || changed
			}
		}
	}
	for key, r := range next {
		changed = v.put(key, r, at) || changed
	}
	v.prune()
	return changed
}

// prune forgets removed names once they outnumber the others. A stream that
// has not seen their removal by then has to connect anew.
func (v *view) prune() {
	for _, c := range v.types {
		if len(c.spans)-len(c.records) <= len(c.records)+logLength {
			continue
		}
		for name, s := range c.spans {
			if c.records[name] == nil && !v.inLog(s.changed) {
				v.pruned = max(v.pruned, s.changed)
				delete(c.spans, name)
			}
		}
	}
}

// wake tells all streams that there is something new. It never blocks.
func (v *view) wake() { v.listening.each((*stream).poke) }

// wakeFor is wake where all that is new is a version of one ClusterLoadAssignment. Streams that cannot send it are woken when they can.
func (v *view) wakeFor(name string) {
	v.listening.each(func(s *stream) {
		if awaited := s.awaited.Load(); awaited == nil || awaited.key.Name != name {
			s.poke()
		}
	})
}
