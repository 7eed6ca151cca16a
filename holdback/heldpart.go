package holdback

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/snapshot"
	"github.com/podway/podway/api/v1alpha1"
)

// heldPart is a part that is not made in its present form.
type heldPart struct {
	// rejected is the form that is held back: once the part has another, it is let go.
	rejected any
	hold     snapshot.Hold
	// guilty is false for one of several suspects, until its turn comes.
	guilty bool
	// lowered counts how often another form was found to be rejected too.
	lowered int
	// everywhere is true once all Gateways that share it had held it back, and alone, once another came that does not.
	everywhere, alone bool
	// restored is true from a restart of podway until it is known what Gateways share.
	restored bool
	// What it is held for: the rejected content, what Envoys said of it, which of them did, and when.
	key              api.ResourceKey
	version, message string
	field            string
	nodes, builds    []string
	at               time.Time
	// voters is how many Envoys there were then.
	voters int
	// remembered is true for what was rejected before a restart of podway.
	remembered bool
	// gone is since when none of the nodes is there any more, zero while one is.
	gone time.Time
}

// problem tells what is held back in a view.
func (p *heldPart) problem(cfg *snapshot.Config, view string, part api.Part) api.Problem {
	_, generation, field := formOf(cfg, part)
	remedy := "change what the message names"
	if isMinority(view) {
		remedy += ", or see what is different about these of the Gateway's Envoys"
	}
	return api.Problem{
		Code: CodeRejectedByEnvoy, Severity: api.Error, Object: part.ObjectRef, Generation: generation, Field: cmp.Or(p.field, field),
		Message: fmt.Sprintf("%s %s %s with it: %s; %s", countedNodes(p.nodes, api.GatewayOf(view)), verb(len(p.nodes)), p.key.Name,
			strings.TrimRight(p.message, ".\n "), p.instead(view, part)),
		Remedy: remedy,
	}
}

// instead says what is in force.
func (p *heldPart) instead(view string, part api.Part) string {
	switch {
	case isMinority(view):
		return p.standIn(part) + ", for these Envoys alone"
	case p.hold.Form != nil && isShared(part) && !p.everywhere:
		return "they keep its last accepted form, and other Gateways have this one"
	}
	return p.standIn(part)
}

func (p *heldPart) standIn(part api.Part) string {
	switch {
	case p.hold.Form != nil:
		return "its last accepted form stays in force"
	case p.hold.Refused:
		return "what it matches is answered 500, for no accepted form of it is known"
	case part.Kind == v1alpha1.KindTunnel:
		return "the routes to it answer 500, for no accepted form of it is known"
	}
	return "it is left out, for no accepted form of it is known"
}

func (p *heldPart) heldBack(cfg *snapshot.Config, part api.Part) api.HeldBack {
	_, _, field := formOf(cfg, part)
	return api.HeldBack{
		Key: p.key, Version: p.version, Message: p.message, At: p.at, Object: part.ObjectRef, Field: cmp.Or(p.field, field),
		Nodes: slices.Sorted(slices.Values(p.nodes)),
	}
}

func compareHeldBack(a, b api.HeldBack) int {
	return cmp.Or(strings.Compare(a.Key.Type, b.Key.Type), strings.Compare(a.Key.Name, b.Key.Name),
		strings.Compare(a.Object.String(), b.Object.String()), strings.Compare(a.Field, b.Field))
}

// blame notes what a part is held for.
func (p *heldPart) blame(t *trial, part api.Part) {
	p.key, p.version, p.message, p.field, p.nodes, p.builds, p.at, p.voters = t.key, t.version, t.message, "", t.nodes, t.builds, t.at, t.voters
	if t.blamed.ObjectRef == part.ObjectRef {
		p.field = t.field
	}
}
