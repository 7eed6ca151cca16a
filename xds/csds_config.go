package xds

import (
	"slices"
	"strings"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	statusv3 "github.com/envoyproxy/go-control-plane/envoy/service/status/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/podway/podway/api"
	"github.com/podway/podway/api/redact"
)

// held is what a client has of one name, as CSDS tells it.
type held struct {
	key    api.ResourceKey
	status statusv3.ConfigStatus
	// version is that of what the client has or, of what is stale, was sent; record is its content, nil where that is not known.
	version string
	record  *record
	// failure is what the client rejected last and failed its content; nil where it rejected nothing, or that is not known.
	failure *adminv3.UpdateFailureState
	failed  *record
}

// clientConfig is everything that one client subscribes to.
func (s *stream) clientConfig(contents *contents) *statusv3.ClientConfig {
	var all []held
	var view string
	s.look(func(p *pass) {
		view = p.view.name
		for _, st := range s.types {
			if isServed(st.url) {
				all = append(all, p.held(st)...)
			}
		}
	})
	all = s.withHeldBack(all, view)
	client := &statusv3.ClientConfig{Node: s.described, GenericXdsConfigs: make([]*statusv3.ClientConfig_GenericXdsConfig, 0, len(all))}
	for _, h := range all {
		config := &statusv3.ClientConfig_GenericXdsConfig{
			TypeUrl: h.key.Type, Name: h.key.Name, VersionInfo: h.version, ConfigStatus: h.status, XdsConfig: contents.of(h.record), ErrorState: h.failure,
		}
		if h.failed != nil {
			config.ErrorState = s.failureOf(h.failed, contents)
		}
		client.GenericXdsConfigs = append(client.GenericXdsConfigs, config)
	}
	return client
}

// failureOf is what the client said of the present content of a name, that it rejected.
func (s *stream) failureOf(failed *record, contents *contents) *adminv3.UpdateFailureState {
	state := &adminv3.UpdateFailureState{VersionInfo: failed.version, FailedConfiguration: contents.of(failed)}
	if known := s.server.refusals.of(s.node, failed.key, failed.version); known.version != "" {
		state.Details, state.LastUpdateAttempt = known.message, timestamppb.New(known.at)
	}
	return state
}

// withHeldBack adds what the client rejected and is served no more. It is an error as long as it is held back, though the client has taken
// what stands in for it.
func (s *stream) withHeldBack(all []held, view string) []held {
	back := s.server.heldBackOf(s.node.id, view)
	if len(back) == 0 {
		return all
	}
	index := make(map[api.ResourceKey]int, len(all))
	for i, h := range all {
		index[h.key] = i
	}
	for _, b := range back {
		i, there := index[b.Key]
		if !there {
			i, index[b.Key] = len(all), len(all)
			all = append(all, held{key: b.Key, status: statusv3.ConfigStatus_NOT_SENT})
		}
		h := &all[i]
		if h.failed != nil || h.failure != nil && h.failure.GetLastUpdateAttempt().AsTime().After(b.At) {
			continue
		}
		h.failure = &adminv3.UpdateFailureState{VersionInfo: b.Version, Details: b.Message, LastUpdateAttempt: timestamppb.New(b.At)}
		if h.status != statusv3.ConfigStatus_STALE {
			h.status = statusv3.ConfigStatus_ERROR
		}
	}
	return all
}

// held are the names that are subscribed to, and those that the client may still have, sorted.
func (p *pass) held(st *typeState) []held {
	records := p.view.records(st.url)
	names := make(map[string]bool, st.sub.count)
	if st.sub.wildcard {
		for name := range records {
			names[name] = true
		}
	}
	st.sub.each(func(name string) { names[name] = true })
	for name, e := range st.entries.all() {
		if e.present() && st.sub.covers(name) {
			names[name] = true
		}
	}
	all := make([]held, 0, len(names))
	for name := range names {
		all = append(all, p.heldOf(st, name, records[name]))
	}
	slices.SortFunc(all, func(a, b held) int { return strings.Compare(a.key.Name, b.key.Name) })
	return all
}

func (p *pass) heldOf(st *typeState, name string, r *record) held {
	h := held{key: api.ResourceKey{Type: st.url, Name: name}, status: statusv3.ConfigStatus_NOT_SENT}
	e := st.entries.get(name)
	switch {
	case e == nil && r == nil:
	case e == nil:
		h.set(statusv3.ConfigStatus_SYNCED, r)
	case e.flight != nil && e.sent == nil:
		h.status, h.version = statusv3.ConfigStatus_STALE, e.leaving.version
	case e.flight != nil:
		h.set(statusv3.ConfigStatus_STALE, e.sent)
	case r != nil && e.refuses(r.version):
		h.status, h.failed = statusv3.ConfigStatus_ERROR, r
		h.had(e)
	case r != nil && p.standingOf(st, name, e) == upToDate:
		h.set(statusv3.ConfigStatus_SYNCED, r)
	default:
		h.had(e)
	}
	return h
}

// had says what the client has, where that is known.
func (h *held) had(e *entry) {
	if e.has.version != unknownVersion {
		h.version, h.record = e.has.version, e.has.record
	}
}

func (h *held) set(status statusv3.ConfigStatus, r *record) {
	h.status, h.version, h.record = status, r.version, r
}

// contents are what records hold, without secrets and up to a limit.
type contents struct {
	left int
	made map[*record]*anypb.Any
}

func newContents(limit int) *contents { return &contents{left: limit, made: map[*record]*anypb.Any{}} }

// of is nil where there is no content, or no room for it.
func (c *contents) of(r *record) *anypb.Any {
	if r == nil || r.size > c.left {
		return nil
	}
	content, known := c.made[r]
	if !known {
		content = redactedContent(r)
		c.made[r] = content
	}
	c.left -= proto.Size(content)
	return content
}

// redactedContent is nil where it cannot be told whether there is a secret in it.
func redactedContent(r *record) *anypb.Any {
	source, err := r.source.Decoded()
	if err != nil {
		return nil
	}
	message, err := redact.Message(source.Message)
	if err != nil {
		return nil
	}
	content, err := anypb.New(message)
	if err != nil {
		return nil
	}
	return content
}
