package xds

import (
	"slices"
	"strings"

	"github.com/podway/podway/api"
)

// SetHeldBack replaces all that is held back, by view: it is told of Envoys that have that view. It is not changed afterwards.
func (s *Server) SetHeldBack(byView map[string][]api.HeldBack) { s.heldBack.Store(&byView) }

// heldBackOf is what an Envoy rejected that is held back since in its view.
func (s *Server) heldBackOf(node, view string) []api.HeldBack {
	all := s.heldBack.Load()
	if all == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone((*all)[view]), func(h api.HeldBack) bool {
		_, rejected := slices.BinarySearch(h.Nodes, node)
		return !rejected
	})
}

// addHeldBack adds what is held back to what is rejected and served.
func (t *TypeStatus) addHeldBack(all []api.HeldBack, most int) {
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
