package controlplane

import (
	"encoding/json"
	"net/http"

	"github.com/podway/podway/api"
	"github.com/podway/podway/holdback"
	"github.com/podway/podway/xds"
)

// envoyBoard tells of all connected Envoys.
type envoyBoard struct {
	server   *xds.Server
	rejected *holdback.Rejections
}

// all are the Envoys, with the objects and fields that they reject.
func (b *envoyBoard) all(node string) []xds.StreamStatus {
	streams := b.server.Streams
	if node != "" {
		streams = func() []xds.StreamStatus { return b.server.StreamsOf(node) }
	}
	all := streams()
	for _, envoy := range all {
		for _, of := range envoy.Types {
			for i, rejected := range of.Rejected {
				if rejected.HeldBack {
					continue
				}
				if object, field, known := b.rejected.Origin(envoy.View, api.ResourceKey{Type: of.Type, Name: rejected.Name}); known {
					of.Rejected[i].Object, of.Rejected[i].Field = object, field
				}
			}
		}
	}
	return all
}

// write answers GET /envoys, and with ?node=ID of one node in full.
func (b *envoyBoard) write(w http.ResponseWriter, r *http.Request) {
	data, err := json.Marshal(b.all(r.URL.Query().Get("node")))
	writeJSON(w, "the Envoys", data, err)
}
