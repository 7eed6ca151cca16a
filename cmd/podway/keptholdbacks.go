package main

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/watcher/memory"
)

// keptHoldbacks is what is held back, for a goroutine that keeps it for a restart.
type keptHoldbacks struct {
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
func (k *keptHoldbacks) set(byView map[string]*holdback) {
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

func (k *keptHoldbacks) poke() {
	select {
	case k.changed <- struct{}{}:
	default: // keep knows that already
	}
}

// keep saves what is held back as it changes. Nothing is saved before something is served: until then what was saved before still counts.
func (k *keptHoldbacks) keep(ctx context.Context, save func([]memory.Holdback) error, log *slog.Logger) error {
	select {
	case <-ctx.Done():
	case <-k.changed:
		k.poke()
	}
	if k.latest.Load() == nil {
		return nil
	}
	return memory.Kept[memory.Holdback]{What: "holdbacks", Changed: k.changed, Now: k.now, Save: save, Logger: log}.Run(ctx)
}

func (k *keptHoldbacks) now() []memory.Holdback {
	all := []memory.Holdback{}
	for _, held := range *k.latest.Load() {
		if kept, ok := held.kept(); ok {
			all = append(all, kept)
		}
	}
	return all
}

// kept is what is held back as it is remembered; false for a Secret, which must not be on a disk.
func (h *heldAt) kept() (memory.Holdback, bool) {
	rejected, err := fingerprint(h.rejected)
	if err != nil {
		return memory.Holdback{}, false
	}
	form, err := encodeForm(h.hold.Form)
	if err != nil {
		return memory.Holdback{}, false
	}
	return memory.Holdback{
		View: h.view, Object: h.part.ObjectRef, Listener: h.part.Listener, Podway: readVersion().Version, Rejected: rejected,
		Form: form, Refused: h.hold.Refused, Everywhere: h.everywhere, Alone: h.alone,
		Type: h.key.Type, Name: h.key.Name, Version: h.version, Message: h.message, Field: h.field, Nodes: h.nodes, Builds: h.builds, Envoys: h.voters, At: h.at.UTC().Round(0),
	}, true
}

// restore holds back what was before a restart, where it is what it was. What has changed since, or was rejected as another podway made it, is
// tried: its accepted form stands by.
func (h *holdbacks) restore(cfg *snapshot.Config) {
	for _, kept := range h.remembered {
		part := api.Part{ObjectRef: kept.Object, Listener: kept.Listener}
		form, _, _ := formOf(cfg, part)
		if form == nil {
			continue
		}
		accepted, err := decodeForm(part, kept.Form)
		now, unknown := fingerprint(form)
		if err := cmp.Or(err, unknown); err != nil {
			h.log.Warn("What Envoys rejected before the restart is tried again", "object", part.String(), "gateway", api.GatewayOf(kept.View), "error", err)
			continue
		}
		g := h.of(kept.View)
		if kept.Rejected != now || kept.Podway != readVersion().Version {
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
