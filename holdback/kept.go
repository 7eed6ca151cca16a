package holdback

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync/atomic"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/snapshot"
)

// kept is what is held back, for a goroutine that keeps it for a restart.
type kept struct {
	// latest is nil until something is served.
	latest  atomic.Pointer[[]heldAt]
	changed chan struct{}
}

// heldAt is a part that is held back, as it was at some time.
type heldAt struct {
	view string
	part api.Part
	heldPart
}

// set is told what is held back.
func (k *kept) set(byView map[string]*holdback) {
	all := []heldAt{}
	for _, view := range slices.Sorted(maps.Keys(byView)) {
		held := byView[view].held
		for _, part := range slices.SortedFunc(maps.Keys(held), compareParts) {
			if p := held[part]; p.guilty {
				all = append(all, heldAt{view: view, part: part, heldPart: *p})
			}
		}
	}
	k.latest.Store(&all)
	k.poke()
}

func (k *kept) poke() {
	select {
	case k.changed <- struct{}{}:
	default: // whoever keeps it knows that already
	}
}

// Served waits for something to be served, and returns false where the context ends before: until then what was kept before still counts. Any goroutine
// may call it, before it keeps what there is to Remember.
func (h *Holdbacks) Served(ctx context.Context) bool {
	select {
	case <-ctx.Done():
	case <-h.kept.changed:
		h.kept.poke()
	}
	return h.kept.latest.Load() != nil
}

// Changed has a value when what there is to Remember may not be what it was.
func (h *Holdbacks) Changed() <-chan struct{} { return h.kept.changed }

// Remember is what is held back, without Secrets, to be kept for a restart, once something is Served. Any goroutine may call it. Nobody changes what it
// returns.
func (h *Holdbacks) Remember() []api.Holdback {
	all := []api.Holdback{}
	for _, held := range *h.kept.latest.Load() {
		if kept, ok := held.kept(h.config.Podway); ok {
			all = append(all, kept)
		}
	}
	return all
}

// Restore has go on what was held back before a restart, where it is what it was. It is called before the first Hold.
func (h *Holdbacks) Restore(remembered []api.Holdback) { h.remembered = remembered }

// kept is what is held back as it is remembered; false for a Secret, which must not be on a disk.
func (h *heldAt) kept(podway string) (api.Holdback, bool) {
	rejected, err := fingerprint(h.rejected)
	if err != nil {
		return api.Holdback{}, false
	}
	form, err := encodeForm(h.hold.Form)
	if err != nil {
		return api.Holdback{}, false
	}
	return api.Holdback{
		View: h.view, Object: h.part.ObjectRef, Listener: h.part.Listener, Podway: podway, Rejected: rejected,
		Form: form, Refused: h.hold.Refused, Everywhere: h.everywhere, Alone: h.alone,
		Type: h.key.Type, Name: h.key.Name, Version: h.version, Message: h.message, Field: h.field, Nodes: h.nodes, Builds: h.builds, Envoys: h.voters, At: h.at.UTC().Round(0),
	}, true
}

// recall holds back what was before a restart, where it is what it was. What has changed since, or was rejected as another podway made it, is
// tried: its accepted form stands by.
func (h *Holdbacks) recall(cfg *snapshot.Config) {
	for _, kept := range h.remembered {
		part := api.Part{ObjectRef: kept.Object, Listener: kept.Listener}
		form, _, _ := formOf(cfg, part)
		if form == nil {
			continue
		}
		accepted, err := decodeForm(part, kept.Form)
		now, unknown := fingerprint(form)
		if err := cmp.Or(err, unknown); err != nil {
			h.config.Logger.Warn("What Envoys rejected before the restart is tried again", "object", part.String(), "gateway", api.GatewayOf(kept.View), "error", err)
			continue
		}
		g := h.of(kept.View)
		if kept.Rejected != now || kept.Podway != h.config.Podway {
			g.standby[part] = standbyForm{form: accepted, of: kept.Type}
			g.log.Info("Tried again what an Envoy rejected before the restart", "object", part.String())
			continue
		}
		g.held[part] = &heldPart{
			rejected: form, hold: snapshot.Hold{Form: accepted, Refused: kept.Refused}, guilty: true, restored: true, remembered: true,
			everywhere: kept.Everywhere, alone: kept.Alone,
			key: api.ResourceKey{Type: kept.Type, Name: kept.Name}, version: kept.Version, message: kept.Message, field: kept.Field,
			nodes: kept.Nodes, builds: kept.Builds, voters: kept.Envoys, at: kept.At,
		}
		h.resume(kept.View, g.held[part])
		g.log.Info("Held back still what an Envoy rejected before the restart", "object", part.String())
	}
	if h.remembered != nil {
		h.remembered = nil
		h.poke() // more Envoys may come than there were
	}
}
