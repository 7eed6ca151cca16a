package xds

import (
	"slices"
	"strings"
	"time"

	"github.com/podway/podway/api"
)

// HeldBack is a content that Envoys rejected and that is not served any more: what they accept stands in for it, until the object that
// it was made from changes. The server tells it of those Envoys as long as it is told so.
type HeldBack struct {
	Key api.ResourceKey
	// Version is that of the content, Message what the Envoys said of it, and At when.
	Version, Message string
	At               time.Time
	// Object is what is to blame and Field, where it can be told, which of its fields.
	Object api.ObjectRef
	Field  string
	// Nodes are the Envoys that rejected it, sorted.
	Nodes []string
}

// SetHeldBack replaces all that is held back, by view: it is told of Envoys that have that view. It is not changed afterwards.
func (s *Server) SetHeldBack(byView map[string][]HeldBack) { s.heldBack.Store(&byView) }

// heldBackOf is what an Envoy rejected that is held back since in its view.
func (s *Server) heldBackOf(node, view string) []HeldBack {
	all := s.heldBack.Load()
	if all == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone((*all)[view]), func(h HeldBack) bool {
		_, rejected := slices.BinarySearch(h.Nodes, node)
		return !rejected
	})
}

// addHeldBack adds what is held back to what is rejected and served.
func (t *TypeStatus) addHeldBack(all []HeldBack, most int) {
	for _, h := range all {
		if h.Key.Type == t.Type {
			t.HeldBack++
			t.Rejected = append(t.Rejected, RejectedStatus{
				Name: h.Key.Name, Version: h.Version, HeldBack: true, Message: h.Message, At: h.At, Object: h.Object, Field: h.Field,
			})
		}
	}
	slices.SortStableFunc(t.Rejected, func(a, b RejectedStatus) int { return strings.Compare(a.Name, b.Name) })
	t.Rejected = t.Rejected[:min(len(t.Rejected), most)]
}
